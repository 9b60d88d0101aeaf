import HTTPTypes
import Hummingbird
import HummingbirdCore
import MeshConcurrency
import NIOCore

/// Compresses answers in JSON for clients that take gzip.
///
/// The page's files and the metrics are compressed where they are made, once for all clients; the event stream is not, for
/// each event would need a flush.
///
/// An answer with a secret of this server in it must not be compressed together with what a stranger has chosen: its length
/// would tell when the two are alike (BREACH). The only such secret is the key of a session, and answers about sessions are
/// sent as they are. Events are not secret from those who may emit them: every role of a mesh reads all events.
enum AnswerCompression {
    /// Shorter answers are sent as they are, in bytes: they fit into one packet in any case.
    static let smallest = 1_024
    /// Longer ones, too: they are in memory twice meanwhile.
    static let largest = 16 << 20

    /// The answer, compressed where the client takes it and it gets shorter.
    ///
    /// - Parameter route: the matched route.
    /// - Throws: what writing the body throws.
    static func compressed(
        _ response: Response,
        to request: Request,
        route: AccessPolicy.Route
    ) async throws -> Response {
        guard response.headers[.contentType]?.hasPrefix("application/json") == true,
            response.headers[.contentEncoding] == nil, response.headers[.vary] == nil,
            !AccessPolicy.secretRoutes.contains(route)
        else { return response }
        var response = response
        response.headers[.vary] = "Accept-Encoding"
        guard let length = response.body.contentLength, (smallest...largest).contains(length),
            AcceptedEncoding.takesGzip(request)
        else { return response }
        let collected = Locked(ByteBuffer())
        try await response.body.write(BodyCollector(bytes: collected))
        let bytes = collected.withLock { $0 }
        let compressed = Gzip.compressed(bytes)
        if compressed != nil { response.headers[.contentEncoding] = "gzip" }
        // The old body can be written only once.
        response.body = .parts(of: compressed ?? bytes)
        return response
    }
}

/// Keeps the bytes of an answer's body.
private struct BodyCollector: ResponseBodyWriter {
    let bytes: Locked<ByteBuffer>

    mutating func write(_ buffer: ByteBuffer) async throws {
        bytes.withLock { _ = $0.writeImmutableBuffer(buffer) }
    }

    consuming func finish(_: HTTPFields?) async throws {}
}
