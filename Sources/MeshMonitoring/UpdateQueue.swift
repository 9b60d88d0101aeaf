import Locking
import MeshEvents

/// The changes that wait for one reader, bounded in number and in bytes: when full, the oldest is dropped for a new
/// one.
final class UpdateQueue: Sendable {
    private struct State {
        var waiting: [(update: MeshUpdate, bytes: Int)?] = []
        /// The index of the first change that has not been taken.
        var head = 0
        var bytes = 0
        var missed: UInt64 = 0
        var isFinished = false
        var readers: [UInt64: CheckedContinuation<MeshUpdate?, Never>] = [:]
        var lastReader: UInt64 = 0

        mutating func take() -> MeshUpdate? {
            guard head < waiting.count, let (update, size) = waiting[head] else { return nil }
            waiting[head] = nil
            bytes -= size
            head += 1
            if head == waiting.count {
                waiting = []
                head = 0
            } else if head >= 64, head * 2 >= waiting.count {
                waiting.removeFirst(head)
                head = 0
            }
            return update
        }
    }

    private let capacity: Int
    private let maximumBytes: Int
    private let state = Locked(State())

    init(capacity: Int, maximumBytes: Int) {
        self.capacity = capacity
        self.maximumBytes = maximumBytes
    }

    deinit { finish() }

    /// How many changes were dropped.
    var missed: UInt64 { state.withLock { $0.missed } }

    /// The approximate size of the waiting changes, in bytes.
    var bytes: Int { state.withLock { $0.bytes } }

    func add(_ update: MeshUpdate) {
        let size = update.bytes
        let reader = state.withLock { state -> CheckedContinuation<MeshUpdate?, Never>? in
            guard !state.isFinished else { return nil }
            if let (id, reader) = state.readers.first {
                state.readers[id] = nil
                return reader
            }
            state.waiting.append((update, size))
            state.bytes += size
            // The newest change is kept, however large.
            while state.waiting.count - state.head > 1,
                state.waiting.count - state.head > capacity || state.bytes > maximumBytes
            {
                _ = state.take()
                state.missed += 1
            }
            return nil
        }
        reader?.resume(returning: update)
    }

    /// Waits for the oldest change; `nil` at the end, and when the task is cancelled.
    func next() async -> MeshUpdate? {
        let id = state.withLock { state in
            state.lastReader += 1
            return state.lastReader
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isDone, update) = state.withLock { state -> (Bool, MeshUpdate?) in
                    if Task.isCancelled { return (true, nil) }
                    if let update = state.take() { return (true, update) }
                    if state.isFinished { return (true, nil) }
                    state.readers[id] = continuation
                    return (false, nil)
                }
                if isDone { continuation.resume(returning: update) }
            }
        } onCancel: {
            state.withLock { $0.readers.removeValue(forKey: id) }?.resume(returning: nil)
        }
    }

    /// Ends the queue. Changes that wait can still be taken.
    func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            defer { state.readers = [:] }
            return Array(state.readers.values)
        }
        for reader in readers { reader.resume(returning: nil) }
    }
}
