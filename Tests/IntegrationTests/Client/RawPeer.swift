import NIOCore
import NIOPosix

/// A peer that writes bytes no proper client would write to a real server.
final class RawPeer: Sendable {
    private let channel: any Channel

    private init(channel: any Channel) { self.channel = channel }

    static func connect(port: Int) async throws -> RawPeer {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port).get()
        let peer = RawPeer(channel: channel)
        try await peer.send(
            #"CONNECT {"verbose":false,"pedantic":false,"headers":true,"lang":"raw","version":"0"}"# + "\r\n"
        )
        return peer
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func close() async throws { try await channel.close() }
}
