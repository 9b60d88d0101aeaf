import NIOCore
import NIOEmbedded
import NIOSOCKS
import Testing

@testable import NATSClient

struct SOCKSProxyTests {
    @Test(arguments: [
        ("socks5://proxy", "socks5://proxy:1080"), ("socks5h://10.0.0.1:99/", "socks5://10.0.0.1:99"),
        ("SOCKS5://[::1]:7", "socks5://[::1]:7"),
    ])
    func addressesAreRead(text: String, expected: String) throws {
        #expect(try NATSConnection.SOCKSProxy(text).description == expected)
    }

    @Test(arguments: [
        ("http://proxy:1080", "socks5://"), ("proxy", "socks5://"), ("", "socks5://"),
        ("socks5://me:s3cr3t@proxy", "login"), ("socks5://proxy/path", "path"), ("socks5://proxy:0", "65535"),
    ])
    func othersAreRefused(text: String, word: String) {
        let error = #expect(throws: NATSError.self) { try NATSConnection.SOCKSProxy(text) }
        #expect(error?.code == .invalidAddress && error?.message.contains(word) == true)
        #expect(error?.message.contains("s3cr3t") == false)
    }
}

/// The tunnel through a proxy, on a channel without a socket.
struct SOCKSTunnelTests {
    private let tunnel = SOCKSTunnel(
        proxy: NATSConnection.SOCKSProxy(host: "proxy"),
        server: ServerAddress(host: "server", port: 4222)
    )

    private func channel() throws -> (EmbeddedChannel, EventLoopFuture<Void>) {
        let channel = EmbeddedChannel()
        let open = try tunnel.configure(channel)
        try channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1080)).wait()
        return (channel, open)
    }

    private func read(_ channel: EmbeddedChannel) throws -> [UInt8]? {
        try channel.readOutbound(as: ByteBuffer.self).map { Array(buffer: $0) }
    }

    @Test func theServerIsNamedAndWhatComesBehindTheAnswerIsPassedOn() throws {
        let (channel, open) = try channel()
        #expect(try read(channel) == [5, 1, 0])
        try channel.writeInbound(ByteBuffer(bytes: [5, 0]))
        #expect(try read(channel) == [5, 1, 0, 3, 6] + Array("server".utf8) + [16, 126])
        try channel.writeInbound(ByteBuffer(bytes: [5, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Array("INFO".utf8)))
        try open.wait()
        #expect(try channel.readInbound(as: ByteBuffer.self).map { String(buffer: $0) } == "INFO")
        // Nothing of the proxy is left in the pipeline: TLS goes to its front.
        #expect(throws: (any Error).self) { try channel.pipeline.syncOperations.handler(type: SOCKSClientHandler.self) }
        _ = try? channel.finish()
    }

    @Test(arguments: [
        ([[5, 0xFF]], "wants a login"), ([[5, 0], [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], "refused"),
        ([[5, 0], [5, 2, 0, 1, 0, 0, 0, 0, 0, 0]], "rules"), ([[0x49, 0x4E]], "does not answer as a SOCKS5 proxy"),
    ])
    func whatAProxySaysOtherwiseIsTold(answers: [[UInt8]], words: String) throws {
        let (channel, open) = try channel()
        for answer in answers { _ = try? channel.writeInbound(ByteBuffer(bytes: answer)) }
        let error = #expect(throws: NATSError.self) { try open.wait() }
        #expect(error?.message.contains(words) == true && error?.isRetriable == true, "\(String(describing: error))")
        _ = try? channel.finish()
    }

    @Test func aProxyThatCloses() throws {
        let (channel, open) = try channel()
        channel.pipeline.fireChannelInactive()
        let error = #expect(throws: NATSError.self) { try open.wait() }
        #expect(error?.message.contains("closed the connection") == true)
        _ = try? channel.finish()
    }
}
