import Synchronization

/// What a connection has counted since it was made.
public struct NATSStatistics: Sendable, Hashable {
    /// How often the connection was lost and restored.
    public let reconnects: UInt64
    /// How many messages were written but not confirmed when a connection was lost: they may be lost.
    public let unconfirmed: UInt64
    /// How many bytes wait to be sent, or are being written, at this moment.
    public let pendingBytes: Int
}

/// The counters behind ``NATSStatistics``: written on the event loop, read on any thread.
final class ConnectionCounts: Sendable {
    private let reconnectCount = Atomic<UInt64>(0)
    private let unconfirmedCount = Atomic<UInt64>(0)
    private let movedBytes = Atomic<UInt64>(0)
    private let receivedBytes = Atomic<UInt64>(0)

    var reconnects: UInt64 { reconnectCount.load(ordering: .relaxed) }
    var unconfirmed: UInt64 { unconfirmedCount.load(ordering: .relaxed) }

    /// How many bytes have come and gone on established connections; while this grows, the server is reachable.
    var moved: UInt64 { movedBytes.load(ordering: .relaxed) }

    /// How many bytes have come on any connection.
    var received: UInt64 { receivedBytes.load(ordering: .relaxed) }

    func countReceived(_ bytes: Int) { receivedBytes.add(UInt64(bytes), ordering: .relaxed) }

    func countMoved(_ bytes: Int) { movedBytes.add(UInt64(bytes), ordering: .relaxed) }

    func countReconnect() { reconnectCount.add(1, ordering: .relaxed) }

    func countUnconfirmed(_ messages: Int) { unconfirmedCount.add(UInt64(messages), ordering: .relaxed) }
}
