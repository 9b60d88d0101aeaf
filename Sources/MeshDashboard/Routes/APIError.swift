import HTTPTypes
import Hummingbird
import MeshEvents
import NIOCore

/// An error answer: `{"error": {"code": …, "message": …}}`.
struct APIError: HTTPResponseError {
    let status: HTTPResponse.Status
    let code: String
    let message: String

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        // Cut, because it may quote the request.
        self.message = EventJSONFormatter.cut(message)
    }

    /// Converts any error to an answer for HTTP clients.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as MeshEventsError:
            self.init(Self.status(of: error), error.code.description, error.message)
        case let error as any HTTPResponseError where error.status == .notFound: self = .notFound
        case let error as any HTTPResponseError:
            self.init(error.status, "http", error.status.reasonPhrase)
        default: self.init(.internalServerError, "internal", "an unexpected error occurred")
        }
    }

    static var notFound: APIError { APIError(.notFound, "notFound", "there is no such resource") }

    private static func status(of error: MeshEventsError) -> HTTPResponse.Status {
        switch error.code {
        case .invalidEventType, .invalidPattern, .invalidData, .invalidTimestamp, .malformedEvent, .invalidArgument:
            .badRequest
        case .payloadTooLarge: .contentTooLarge
        case .permissionDenied, .authenticationFailed: .badGateway
        case .timeout: .gatewayTimeout
        case .streamReplaced: .gone
        default: .serviceUnavailable
        }
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        let json: EventData = ["error": ["code": .string(code), "message": .string(message)]]
        var response = Response.json(json.json.utf8, status: status)
        if status == .tooManyRequests { response.headers[.retryAfter] = "60" }
        return response
    }
}

extension Response {
    /// An answer in JSON.
    static func json(_ bytes: some Sequence<UInt8>, status: HTTPResponse.Status = .ok) -> Response {
        json(ByteBuffer(bytes: bytes), status: status)
    }

    /// An answer in JSON.
    static func json(_ bytes: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        answer(bytes, "application/json; charset=utf-8", status: status)
    }

    /// An answer of a media type.
    static func answer(_ bytes: ByteBuffer, _ mediaType: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: mediaType, .cacheControl: "no-store"],
            body: .parts(of: bytes)
        )
    }
}

extension ResponseBody {
    /// How many bytes of an answer are passed to the connection at once. A client must take them within a time limit,
    /// which has to be enough for a slow line.
    private static let partSize = 64 << 10

    /// These bytes, passed on in parts when they are many.
    static func parts(of bytes: ByteBuffer) -> ResponseBody {
        if bytes.readableBytes <= partSize { return ResponseBody(byteBuffer: bytes) }
        return ResponseBody(contentLength: bytes.readableBytes) { writer in
            var rest = bytes
            while let part = rest.readSlice(length: min(partSize, rest.readableBytes)), part.readableBytes > 0 {
                try await writer.write(part)
            }
            try await writer.finish(nil)
        }
    }
}
