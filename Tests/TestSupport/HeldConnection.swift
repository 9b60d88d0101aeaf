import NIOCore
import NIOPosix

/// A connection on which some bytes are sent, and then nothing, by a client that does not read either if told so.
public final class HeldConnection: Sendable {
    private let channel: any Channel

    /// Connects to a port of this machine, and sends.
    ///
    /// - Parameters:
    ///   - text: what is sent.
    ///   - address: the address of this machine that it comes from, such as `127.0.0.2`; `nil` for any.
    ///   - isReading: whether what comes is taken; if not, few bytes fit between the two.
    /// - Throws: when there is no listener.
    public init(port: Int, sending text: String, from address: String? = nil, isReading: Bool = true) async throws {
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        if let address { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: address, port: 0)) }
        if !isReading {
            bootstrap = bootstrap.channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.so_rcvbuf), value: 4_096)
        }
        channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        // The other side may have closed it already.
        try? await channel.writeAndFlush(ByteBuffer(string: text))
    }

    deinit { close() }

    /// Whether it has not been closed. A client that does not read does not notice.
    public var isActive: Bool { channel.isActive }

    /// Closes it.
    public func close() { channel.close(promise: nil) }
}
