import MeshConcurrency
import MeshEvents

/// The changes that wait for one reader, bounded in number and in bytes: when full, the oldest is dropped for a new
/// one.
final class UpdateQueue: Sendable {
    private struct State: AwaitableState {
        var waiting: [(update: MeshUpdate, bytes: Int)?] = []
        /// The index of the first change that has not been taken.
        var head = 0
        var bytes = 0
        var missed: UInt64 = 0
        var isFinished = false

        /// The oldest change; `.some(nil)` at the end.
        mutating func takeAnswer() -> MeshUpdate?? {
            if let update = take() { return update }
            return isFinished ? .some(nil) : nil
        }

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
    private let state = Awaitable(State())

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
        state.update { state in
            guard !state.isFinished else { return }
            state.waiting.append((update, size))
            state.bytes += size
            // The newest change is kept, however large.
            while state.waiting.count - state.head > 1,
                state.waiting.count - state.head > capacity || state.bytes > maximumBytes
            {
                _ = state.take()
                state.missed += 1
            }
        }
    }

    /// Waits for the oldest change; `nil` at the end, and when the task is cancelled.
    func next() async -> MeshUpdate? { await state.next() ?? nil }

    /// Ends the queue. Changes that wait can still be taken.
    func finish() { state.update { $0.isFinished = true } }
}
