import MeshConcurrency
import Synchronization

/// What happens to a connection, in order; see ``NATSConnection/statusUpdates()``.
public enum NATSStatus: Sendable {
    /// The connection is up for the first time.
    case connected(ServerAddress)
    /// The connection was lost; it is being restored. `unconfirmed` messages were written but not confirmed by the
    /// server: they may be lost.
    case disconnected(reason: NATSError, unconfirmed: Int)
    /// The connection is up again, its subscriptions restored.
    case reconnected(ServerAddress)
    /// An attempt to reconnect failed; the next one follows by itself.
    case reconnectFailed(ServerAddress, NATSError)
    /// The server is about to shut down; when it does, the connection moves to another one.
    case lameDuck(ServerAddress)
    /// The server reported an error that leaves the connection up, a forbidden subject for example.
    case serverError(NATSError)
    /// A subscription's buffer overflowed; counted once per overflow, not per message.
    case slowConsumer(subject: String)
    /// The connection has ended for good: `nil` after `close()` or `drain()`.
    case closed(NATSError?)
}

/// Sends the connection's status to every listener.
final class StatusBroadcaster: Sendable {
    private struct State {
        var listeners: [UInt64: AsyncStream<NATSStatus>.Continuation] = [:]
        var nextID: UInt64 = 0
        /// The status that a new listener gets first.
        var current: NATSStatus?
        var isFinished = false
    }

    private let state = Locked(State())

    /// Whether the connection has ended for good.
    var isClosed: Bool { state.withLock { $0.isFinished } }

    func send(_ status: NATSStatus) {
        let (listeners, isLast) = state.withLock { state in
            switch status {
            case .connected, .disconnected, .reconnected: state.current = status
            case .closed:
                state.current = status
                state.isFinished = true
            case .reconnectFailed, .lameDuck, .serverError, .slowConsumer: break
            }
            return (Array(state.listeners.values), state.isFinished)
        }
        for listener in listeners {
            listener.yield(status)
            if isLast { listener.finish() }
        }
    }

    /// The current status first, then every change. A listener that does not read keeps the newest 256.
    func updates() -> AsyncStream<NATSStatus> {
        let (stream, continuation) = AsyncStream.makeStream(of: NATSStatus.self, bufferingPolicy: .bufferingNewest(256))
        let (id, current, isFinished) = state.withLock { state in
            state.nextID += 1
            if !state.isFinished { state.listeners[state.nextID] = continuation }
            return (state.nextID, state.current, state.isFinished)
        }
        if let current { continuation.yield(current) }
        if isFinished { continuation.finish() }
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }
}

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
