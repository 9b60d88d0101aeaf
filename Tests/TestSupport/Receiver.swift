import MeshConcurrency
import NIOCore
import NIOPosix

#if TLS
    import NIOSSL
#endif

/// An HTTP server on loopback that records what it is sent, and answers what a test tells it to. It is also a proxy: after a
/// `CONNECT` that it answers with 200 it takes the next request on the connection for that of the target.
public final class Receiver: Sendable {
    /// A request, as it came.
    public struct Request: Sendable {
        /// The first line: `POST /hook HTTP/1.1`.
        public let line: String
        /// The lines of the head behind it.
        public let fields: [String]
        /// What follows the head.
        public let body: [UInt8]

        /// The value of a header field; `nil` when there is none.
        public func header(_ name: String) -> String? {
            let beginning = name.lowercased() + ":"
            guard let field = fields.first(where: { $0.lowercased().hasPrefix(beginning) }) else { return nil }
            return field.dropFirst(beginning.count).trimmed
        }

        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What it does with a request.
    public enum Answer: Sendable {
        case status(Int, fields: [String] = [], body: String = "")
        /// Nothing; the connection stays open.
        case hang
        /// This status, after a time.
        case late(Duration, Int)
        /// Closes without an answer.
        case close
        /// Sends this much, then cuts the connection off.
        case reset(after: String)
        /// A head with this status, then a body without end.
        case endless(Int)
        /// A head with this status, then a byte of the body every 50 ms.
        case drip(Int)
    }

    private let channel: any Channel
    private let recorded: Locked<[Request]>
    private let connections: Connections

    /// Its port.
    public var port: Int { channel.localAddress?.port ?? 0 }
    /// The requests so far, oldest first.
    public var requests: [Request] { recorded.withLock { $0 } }

    private init(_ channel: any Channel, _ recorded: Locked<[Request]>, _ connections: Connections) {
        self.channel = channel
        self.recorded = recorded
        self.connections = connections
    }

    /// Starts one; ``stop()`` ends it.
    ///
    /// - Parameters:
    ///   - port: where it listens; any free port for 0.
    ///   - certificates: those whose server certificate it has; `nil` for no TLS.
    ///   - answer: what it does with each request.
    public static func start(
        port: Int = 0,
        certificates: Certificates? = nil,
        _ answer: @escaping @Sendable (Request) -> Answer
    ) async throws -> Receiver {
        let recorded = Locked<[Request]>([])
        let connections = Connections()
        #if TLS
            let context = try certificates.map { certificates in
                try NIOSSLContext(
                    configuration: .makeServerConfiguration(
                        certificateChain: NIOSSLCertificate.fromPEMFile(certificates.server).map { .certificate($0) },
                        privateKey: .privateKey(NIOSSLPrivateKey(file: certificates.serverKey, format: .pem))
                    )
                )
            }
        #endif
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    connections.add(channel)
                    #if TLS
                        if let context {
                            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        }
                    #endif
                    try channel.pipeline.syncOperations.addHandler(Handler(recorded, answer))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return Receiver(channel, recorded, connections)
    }

    /// Refuses connections from now on, and closes those that there are.
    public func stop() async throws {
        try await channel.close()
        for connection in connections.all { try? await connection.close() }
    }

    /// Runs `body` with a receiver.
    ///
    /// - Parameters:
    ///   - certificates: those whose server certificate it has; `nil` for no TLS.
    ///   - answer: what it does with each request.
    public static func with<Result>(
        certificates: Certificates? = nil,
        _ answer: @escaping @Sendable (Request) -> Answer = { _ in .status(200) },
        _ body: (Receiver) async throws -> Result
    ) async throws -> Result {
        let receiver = try await start(certificates: certificates, answer)
        do {
            let result = try await body(receiver)
            try await receiver.stop()
            return result
        } catch {
            try? await receiver.stop()
            throw error
        }
    }

    /// The connections that are open.
    private final class Connections: Sendable {
        private let open = Locked<[ObjectIdentifier: any Channel]>([:])

        var all: [any Channel] { open.withLock { Array($0.values) } }

        func add(_ channel: any Channel) {
            let id = ObjectIdentifier(channel)
            open.withLock { $0[id] = channel }
            channel.closeFuture.whenComplete { _ in self.open.withLock { $0[id] = nil } }
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let recorded: Locked<[Request]>
        private let answer: @Sendable (Request) -> Answer
        private var pending: [UInt8] = []

        init(_ recorded: Locked<[Request]>, _ answer: @escaping @Sendable (Request) -> Answer) {
            self.recorded = recorded
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            pending += unwrapInboundIn(data).readableBytesView
            while let request = next() {
                recorded.withLock { $0.append(request) }
                act(answer(request), on: context.channel)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        /// Takes a whole request off what has come.
        private func next() -> Request? {
            guard let end = pending.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let lines = String(decoding: pending[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n").map(
                String.init
            )
            let request = Request(line: lines.first ?? "", fields: Array(lines.dropFirst()), body: [])
            let length = request.header("Content-Length").flatMap { Int($0) } ?? 0
            guard pending.count >= end.upperBound + length else { return nil }
            let body = Array(pending[end.upperBound..<end.upperBound + length])
            pending.removeFirst(end.upperBound + length)
            return Request(line: request.line, fields: request.fields, body: body)
        }

        private func act(_ answer: Answer, on channel: any Channel) {
            switch answer {
            case .status(let status, let fields, let body):
                let lines = ["HTTP/1.1 \(status) Phrase", "Content-Length: \(body.utf8.count)"] + fields
                write(lines.joined(separator: "\r\n") + "\r\n\r\n" + body, to: channel)
            case .hang: break
            case .late(let time, let status):
                channel.eventLoop.scheduleTask(in: .nanoseconds(Int64(time / .nanoseconds(1)))) {
                    let text = "HTTP/1.1 \(status) Phrase\r\nContent-Length: 0\r\n\r\n"
                    channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                }
            case .close: channel.close(promise: nil)
            case .reset(let text):
                let socket = channel as? any SocketOptionProvider
                _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                write(text, to: channel)
                channel.close(promise: nil)
            case .endless(let status):
                write("HTTP/1.1 \(status) Phrase\r\nTransfer-Encoding: chunked\r\n\r\n", to: channel)
                Self.flood(channel)
            case .drip(let status):
                write("HTTP/1.1 \(status) Phrase\r\nContent-Length: 100000\r\n\r\n", to: channel)
                channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(50)) { task in
                    channel.writeAndFlush(ByteBuffer(string: "x")).whenFailure { _ in task.cancel() }
                }
            }
        }

        private func write(_ text: String, to channel: any Channel) {
            channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
        }

        private static func flood(_ channel: any Channel) {
            let chunk = "4000\r\n" + String(repeating: "y", count: 0x4000) + "\r\n"
            channel.writeAndFlush(ByteBuffer(string: chunk)).whenSuccess {
                // Not at once: that would be a recursion without end.
                channel.eventLoop.execute { flood(channel) }
            }
        }
    }
}

extension Substring {
    fileprivate var trimmed: String { String(self.drop { $0 == " " }) }
}
