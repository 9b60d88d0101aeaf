import Locking
import NIOCore

/// Collects the messages of one subscription for a reader: one lock per batch on either side.
final class MessageBuffer: NATSMessageReceiver {
    private typealias Continuation = CheckedContinuation<Result<[NATSMessage], NATSError>, Never>

    private struct State {
        var waiting: [NATSMessage] = []
        var bytes = 0
        var dropped = 0
        var isEnded = false
        var failure: NATSError?
        var readers: [(id: UInt64, continuation: Continuation)] = []
        var nextReader: UInt64 = 0

        /// What a reader gets now; `nil` when it has to wait.
        mutating func answer() -> Result<[NATSMessage], NATSError>? {
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
    private let state = Locked(State())
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
        let overflowed = state.withLock { state in
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
        wakeReaders()
        if overflowed { onOverflow() }
    }

    func receiveEnd(_ error: NATSError?) {
        state.withLock { state in
            state.isEnded = true
            state.failure = error
        }
        wakeReaders()
    }

    /// Takes all messages that wait, and suspends while there are none; empty at the end or when the task is cancelled.
    func takeAll(isolation: isolated (any Actor)?) async throws(NATSError) -> [NATSMessage] {
        let (ready, id) = state.withLock { state in
            state.nextReader += 1
            return (state.answer(), state.nextReader)
        }
        if let ready { return try ready.get() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation(isolation: isolation) { (continuation: Continuation) in
                let answer = state.withLock { state -> Result<[NATSMessage], NATSError>? in
                    if Task.isCancelled { return .success([]) }
                    if let answer = state.answer() { return answer }
                    state.readers.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                state.readers.firstIndex { $0.id == id }.map { state.readers.remove(at: $0) }
            }
            reader?.continuation.resume(returning: .success([]))
        }
        return try result.get()
    }

    private func wakeReaders() {
        while true {
            let wake = state.withLock { state -> (Continuation, Result<[NATSMessage], NATSError>)? in
                guard !state.readers.isEmpty, let answer = state.answer() else { return nil }
                return (state.readers.removeFirst().continuation, answer)
            }
            guard let (continuation, answer) = wake else { return }
            continuation.resume(returning: answer)
        }
    }
}
