import Crypto
import Foundation
import NATSClient
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// A WebSocket server that ends every connection in one way: while it is opened, or with frames of any kind.
private final class WebSocketEndings: Sendable {
    private let channel: any Channel

    /// - Parameters:
    ///   - answer: instead of opening the WebSocket; `nil` to open it.
    ///   - frames: what follows the opening, as it goes over the wire.
    init(answer: String? = nil, frames: [UInt8] = [], closes: Bool = true) async throws {
        channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answer, frames, closes))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var url: String { "ws://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let answer: String?
        private let frames: [UInt8]
        private let closes: Bool
        private var request = ""

        init(_ answer: String?, _ frames: [UInt8], _ closes: Bool) {
            self.answer = answer
            self.frames = frames
            self.closes = closes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += String(buffer: unwrapInboundIn(data))
            guard request.contains("\r\n\r\n") else { return }
            var buffer = ByteBuffer(string: answer ?? opening(request))
            request = ""
            if answer == nil { buffer.writeBytes(frames) }
            context.writeAndFlush(NIOAny(buffer), promise: nil)
            if closes { context.close(promise: nil) }
        }

        private func opening(_ request: String) -> String {
            let line = request.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
            let key = line.map { $0.dropFirst(18).trimmingCharacters(in: .whitespaces) } ?? ""
            let hash = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
            return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(Data(hash).base64EncodedString())\r\n\r\n"
        }
    }
}

@Suite("NATS client: every way a WebSocket ends", .timeLimit(.minutes(3)))
struct WebSocketEndingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var answer: String?
        var frames: [UInt8] = []
        var closes = true
        var testDescription: String { name }
    }

    /// A frame as a server sends it.
    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        let length: [UInt8] =
            count < 126 ? [UInt8(count)] : [126, UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
        return [first] + length + payload
    }

    static let cases: [Case] = [
        .init(name: "no answer", answer: ""), .init(name: "half an answer", answer: "HTTP/1.1 101 Swit"),
        .init(name: "no HTTP", answer: "NONSENSE\r\n\r\n"),
        .init(name: "not found", answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        .init(
            name: "opened without a key",
            answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        ),
        .init(
            name: "endless header",
            answer: "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 4 << 20),
            closes: false
        ),
        .init(
            name: "endless headers",
            answer: "HTTP/1.1 200 OK\r\n"
                + String(repeating: "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", count: 100_000),
            closes: false
        ),
        .init(name: "closed after opening"),
        .init(name: "a closing frame", frames: frame(0x88, [0x03, 0xE8]), closes: false),
        .init(name: "many closing frames", frames: (0..<1_000).flatMap { _ in frame(0x88, [0x03, 0xE8]) }),
        .init(name: "a ping, then the end", frames: frame(0x89, [1, 2, 3])),
        .init(name: "a ping in pieces", frames: frame(0x09, [1]), closes: false),
        .init(name: "a ping of 200 bytes", frames: frame(0x89, [UInt8](repeating: 1, count: 200)), closes: false),
        .init(name: "a frame of 2^62 bytes", frames: [0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0], closes: false),
        .init(name: "a frame of 66 MiB", frames: [0x82, 127, 0, 0, 0, 0, 4, 0x20, 0, 0], closes: false),
        .init(name: "half a frame", frames: [0x82, 126, 1]),
        .init(name: "reserved bits", frames: [0xF2, 1, 65], closes: false),
        .init(name: "an unknown kind", frames: frame(0x83, [65])),
        .init(name: "garbage in a frame", frames: frame(0x82, Array("NONSENSE\r\n".utf8)), closes: false),
        .init(name: "a greeting, then the end", frames: frame(0x82, Array("INFO {}\r\n".utf8))),
        .init(name: "half a greeting", frames: frame(0x82, Array("INFO {".utf8))),
        .init(name: "a refusal", frames: frame(0x82, Array("INFO {}\r\n-ERR 'Parser Error'\r\n".utf8))),
    ]

    @Test("with one, two and three addresses", arguments: cases)
    func ends(_ ending: Case) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for count in 1...3 {
                group.addTask {
                    var servers: [WebSocketEndings] = []
                    for _ in 0..<count {
                        servers.append(
                            try await WebSocketEndings(
                                answer: ending.answer,
                                frames: ending.frames,
                                closes: ending.closes
                            )
                        )
                    }
                    let urls = servers.map(\.url).joined(separator: ",")
                    var settings = try configuration(at: urls)
                    settings.connectTimeout = .seconds(2)
                    let error = await connectFailure(settings)
                    #expect(error != nil)
                    // The address behind them is tried, and is a good one.
                    let good = try await EndingServer.start()
                    settings.servers = try ServerAddress.list("\(urls),\(good.address)")
                    let connection = try await NATSConnection.connect(settings, logger: quiet)
                    await connection.close()
                    try await good.stop()
                    for server in servers { try await server.stop() }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("nothing listens: each address is tried, nothing is left behind")
    func refused() async throws {
        let ports = try freePorts(3)
        let urls = ports.map { "ws://127.0.0.1:\($0)" }.joined(separator: ",")
        #expect(await connectFailure(try configuration(at: urls))?.code == .connectionFailed)
    }
}
