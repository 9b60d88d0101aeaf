import NIOCore
import NIOPosix
import TestSupport

/// Sends bytes as they are given, and looks at what comes.
struct RawClient: Sendable {
    /// What came.
    struct Answer: Sendable {
        let text: String

        /// The status of the first answer; `nil` when there was none.
        var status: Int? {
            guard text.hasPrefix("HTTP/1.1 ") else { return nil }
            return Int(text.dropFirst("HTTP/1.1 ".count).prefix(3))
        }
        /// How many answers came.
        var count: Int { text.ranges(of: "HTTP/1.1 ").count }
        /// What follows the head.
        var body: Substring { text.firstRange(of: "\r\n\r\n").map { text[$0.upperBound...] } ?? "" }
    }

    let port: Int

    /// Sends `text` and reads until `isEnough`, or until the server closes the connection.
    func send(
        _ text: String,
        isEnough: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> Answer {
        try await withDeadline(.seconds(30), "an answer to \(text.prefix(200).debugDescription)") {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
            return try await channel.executeThenClose { inbound, outbound in
                var found = ""
                do {
                    try await outbound.write(ByteBuffer(string: text))
                    for try await part in inbound {
                        found += String(buffer: part)
                        if isEnough(found) { break }
                    }
                } catch is IOError {
                    // Closed by the server before all was read or written.
                } catch is ChannelError {
                    // The same.
                }
                return Answer(text: found)
            }
        }
    }
}
