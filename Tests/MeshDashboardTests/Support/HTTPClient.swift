import MeshEvents
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport

#if TLS
    import NIOSSL
#endif

/// A client that says exactly what it is told, and can listen for as long as it likes.
struct HTTPClient: Sendable {
    struct Answer: Sendable {
        let status: UInt
        let headers: HTTPHeaders
        /// The body.
        let bytes: [UInt8]

        /// The body as text.
        var text: String { String(decoding: bytes, as: UTF8.self) }
        /// The body as JSON.
        var json: JSONValue { get throws { try EventData(json: text).value } }
    }

    typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    let port: Int
    /// The authority of the server's certificate, PEM; `nil` for HTTP without TLS.
    var authority: String?

    func get(_ path: String, _ headers: [(String, String)] = []) async throws -> Answer {
        try await send(.GET, path, headers)
    }

    /// Sends a request and waits for the whole answer.
    func send(
        _ method: HTTPMethod,
        _ path: String,
        _ headers: [(String, String)] = [],
        body: String? = nil
    ) async throws -> Answer {
        try await withDeadline(.seconds(20), "an answer to \(method) \(path)") {
            try await connect(method, path, headers, body: body) { inbound in
                var head: HTTPResponseHead?
                var text = ByteBuffer()
                for try await part in inbound {
                    switch part {
                    case .head(let received): head = received
                    case .body(var bytes): text.writeBuffer(&bytes)
                    case .end:
                        guard let head else { throw TestSupportError("an answer without a head") }
                        return Answer(status: head.status.code, headers: head.headers, bytes: Array(buffer: text))
                    }
                }
                throw TestSupportError("the connection was closed before the answer to \(method) \(path)")
            }
        }
    }

    /// Listens to server-sent events.
    func listen<Result: Sendable>(
        _ path: String = "/api/stream",
        _ headers: [(String, String)] = [],
        _ body: @escaping @Sendable (inout EventReader) async throws -> Result
    ) async throws -> Result {
        try await connect(.GET, path, headers) { inbound in
            var reader = EventReader(inbound)
            defer { reader.cancel() }
            return try await body(&reader)
        }
    }

    #if TLS
        private static func addTLS(_ channel: any Channel, _ authority: String) throws {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .file(authority)
            let context = try NIOSSLContext(configuration: configuration)
            // Without a name, the certificate is checked against the address.
            try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        }
    #endif

    /// Sends a request and hands over what comes.
    func connect<Result: Sendable>(
        _ method: HTTPMethod,
        _ path: String,
        _ headers: [(String, String)] = [],
        body: String? = nil,
        _ read: @escaping @Sendable (NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws -> Result
    ) async throws -> Result {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { [authority] channel in
                channel.eventLoop.makeCompletedFuture {
                    #if TLS
                        if let authority { try Self.addTLS(channel, authority) }
                    #endif
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var fields = HTTPHeaders([("host", "127.0.0.1:\(port)")])
            for (name, value) in headers { fields.replaceOrAdd(name: name, value: value) }
            if let body { fields.add(name: "content-length", value: "\(body.utf8.count)") }
            try await outbound.write(.head(.init(version: .http1_1, method: method, uri: path, headers: fields)))
            if let body { try await outbound.write(.body(.byteBuffer(ByteBuffer(string: body)))) }
            try await outbound.write(.end(nil))
            return try await read(inbound)
        }
    }
}
