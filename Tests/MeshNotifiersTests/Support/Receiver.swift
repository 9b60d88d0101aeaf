import MeshConcurrency
import NIOCore
import NIOPosix
import NIOSSL
import TestSupport

/// An HTTP server on loopback that records what it is sent, and answers what a test tells it to. It is also a proxy: after a
/// `CONNECT` that it answers with 200 it takes the next request on the connection for that of the target.
final class Receiver: Sendable {
    /// A request, as it came.
    struct Request: Sendable {
        /// The first line: `POST /hook HTTP/1.1`.
        let line: String
        /// The lines of the head behind it.
        let fields: [String]
        let body: [UInt8]

        /// The value of a header field; `nil` when there is none.
        func header(_ name: String) -> String? {
            let beginning = name.lowercased() + ":"
            guard let field = fields.first(where: { $0.lowercased().hasPrefix(beginning) }) else { return nil }
            return field.dropFirst(beginning.count).trimmed
        }

        /// The body as text.
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What it does with a request.
    enum Answer: Sendable {
        case status(Int, fields: [String] = [], body: String = "")
        /// Nothing; the connection stays open.
        case hang
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

    /// Its port.
    var port: Int { channel.localAddress?.port ?? 0 }
    /// The requests so far, oldest first.
    var requests: [Request] { recorded.withLock { $0 } }

    private init(_ channel: any Channel, _ recorded: Locked<[Request]>) {
        self.channel = channel
        self.recorded = recorded
    }

    /// Runs `body` with a receiver.
    ///
    /// - Parameters:
    ///   - certificates: those whose server certificate it has; `nil` for no TLS.
    ///   - answer: what it does with each request.
    static func with<Result>(
        certificates: Certificates? = nil,
        _ answer: @escaping @Sendable (Request) -> Answer = { _ in .status(200) },
        _ body: (Receiver) async throws -> Result
    ) async throws -> Result {
        let recorded = Locked<[Request]>([])
        let context = try certificates.map { certificates in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMFile(certificates.server).map { .certificate($0) },
                    privateKey: .privateKey(NIOSSLPrivateKey(file: certificates.serverKey, format: .pem))
                )
            )
        }
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.addHandler(Handler(recorded, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let receiver = Receiver(channel, recorded)
        do {
            let result = try await body(receiver)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
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
