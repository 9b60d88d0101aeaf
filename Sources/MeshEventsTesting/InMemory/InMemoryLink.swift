import MeshConcurrency
import MeshEvents

/// The outbound buffer of one transport: how much of it is used, and which tasks wait for room.
final class InMemoryLink: Sendable {
    private enum Outcome { case writable, closed }

    private struct State {
        var used = 0
        var isClosed = false
        var lastID: UInt64 = 0
        var waiters: [UInt64: UnsafeContinuation<Outcome, Never>] = [:]
    }

    private let capacity: Int
    private let state = Locked(State())

    init(capacity: Int) {
        self.capacity = capacity
    }

    static let closedError = MeshEventsError(.closed, "the in-memory transport has been closed")

    var isClosed: Bool { state.withLock { $0.isClosed } }
    var used: Int { state.withLock { $0.used } }

    /// Reserves room for a message; one message of any size fits into an empty buffer.
    func reserve(_ size: Int) throws(MeshEventsError) {
        try state.withLock { state throws(MeshEventsError) in
            if state.isClosed { throw Self.closedError }
            guard state.used == 0 || state.used + size <= capacity else {
                throw MeshEventsError(
                    .bufferFull,
                    "\(state.used) of \(capacity) bytes wait to be delivered; wait until the bus is writable",
                    isRetriable: true
                )
            }
            state.used += size
        }
    }

    /// Returns room; wakes the waiting tasks once half of the buffer is free.
    func release(_ size: Int) {
        let waiters = state.withLock { state -> [UnsafeContinuation<Outcome, Never>] in
            state.used -= size
            guard state.used <= capacity / 2, !state.waiters.isEmpty else { return [] }
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: .writable) }
    }

    func close() {
        let waiters = state.withLock { state -> [UnsafeContinuation<Outcome, Never>] in
            state.isClosed = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: .closed) }
    }

    func waitUntilWritable() async throws(MeshEventsError) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let outcome = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Outcome, Never>) in
                let immediate = state.withLock { state -> Outcome? in
                    if state.isClosed || Task.isCancelled { return .closed }
                    if state.used <= capacity / 2 { return .writable }
                    state.waiters[id] = continuation
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.resume(returning: .closed)
        }
        if outcome == .closed { throw Self.closedError }
    }
}
