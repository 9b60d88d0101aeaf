import MeshConcurrency
import NIOCore

/// Collects the messages of one subscription for a reader: one lock per batch on either side.
final class MessageBuffer: NATSMessageReceiver {
    private struct State: AwaitableState {
        var waiting: [NATSMessage] = []
        var bytes = 0
        var dropped = 0
        var isEnded = false
        var failure: NATSError?

        mutating func takeAnswer() -> Result<[NATSMessage], NATSError>? {
            if !waiting.isEmpty {
                defer {
                    waiting = []
                    bytes = 0
                }
                return .success(waiting)
            }
            guard isEnded else { return nil }
            defer { failure = nil }
            return failure.map(Result.failure) ?? .success([])
        }
    }

    private let maximumMessages: Int
    private let maximumBytes: Int
    private let onOverflow: @Sendable () -> Void
    private let state = Awaitable(State())
    /// Filled and emptied on the event loop only.
    private nonisolated(unsafe) var batch: [NATSMessage] = []

    init(maximumMessages: Int, maximumBytes: Int, onOverflow: @escaping @Sendable () -> Void) {
        self.maximumMessages = maximumMessages
        self.maximumBytes = maximumBytes
        self.onOverflow = onOverflow
    }

    var dropped: Int { state.withLock { $0.dropped } }

    func receive(_ message: NATSMessageView) { batch.append(message.copied()) }

    func receiveBatchEnd() {
        let messages = batch
        batch.removeAll(keepingCapacity: true)
        let overflowed = state.update { state in
            let droppedBefore = state.dropped
            for message in messages {
                let size = message.memory
                guard state.waiting.count < maximumMessages, state.bytes + size <= maximumBytes else {
                    state.dropped += 1
                    continue
                }
                state.waiting.append(message)
                state.bytes += size
            }
            return state.dropped > droppedBefore
        }
        if overflowed { onOverflow() }
    }

    func receiveEnd(_ error: NATSError?) {
        state.update { state in
            state.isEnded = true
            state.failure = error
        }
    }

    /// Takes all messages that wait, and suspends while there are none; empty at the end or when the task is cancelled.
    func takeAll(isolation: isolated (any Actor)?) async throws(NATSError) -> [NATSMessage] {
        guard let answer = await state.next(isolation: isolation) else { return [] }
        return try answer.get()
    }
}
