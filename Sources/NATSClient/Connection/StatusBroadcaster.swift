import Locking

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
