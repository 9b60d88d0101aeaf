/// The `PONG`s that a server waits for.
///
/// Only one write of them is under way at a time, and the number owed meanwhile is bounded. Otherwise a server that
/// pings and does not read would fill the memory with answers. For a server, any `PONG` answers its earlier pings.
struct OwedPongs {
    /// The most that are owed at a time; those beyond it are not sent.
    static let maximum = 1_024

    private(set) var count = 0
    private var isWriting = false

    /// Notes that the server has sent a `PING`.
    mutating func pinged() { count = min(count + 1, Self.maximum) }

    /// How many to write now; 0 while others are being written.
    mutating func take() -> Int {
        guard !isWriting, count > 0 else { return 0 }
        defer { count = 0 }
        isWriting = true
        return count
    }

    /// Notes that the last write is done.
    mutating func written() { isWriting = false }
}
