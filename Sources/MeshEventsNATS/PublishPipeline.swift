import MeshEvents
import NATSClient
import NIOCore

/// Stores messages in order, many under way at once; see ``PublishWindow`` for the rules.
final class PublishPipeline: EventAppender {
    private struct State {
        var window: PublishWindow
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let store: JetStreamStore
    private let deadline: Duration
    private let onStored: @Sendable (Int, StoredPosition) -> Void
    private let state: Locked<State>

    init(
        store: JetStreamStore,
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (Int, StoredPosition) -> Void
    ) {
        self.store = store
        self.deadline = deadline
        self.onStored = onStored
        state = Locked(State(window: PublishWindow(size: window)))
    }

    func append(_ message: PendingMessage) async throws(MeshEventsError) {
        while true {
            try await wait { $0.hasRoom }
            let index = state.withLock { $0.window.add(message) }
            do throws(NATSError) {
                return try send(message, index)
            } catch {
                state.withLock { $0.window.withdraw(index) }
                guard error.code == .bufferFull else { throw MeshEventsError(error) }
                // The connection is slower than we are, or gone: it says when there is room.
                do throws(NATSError) {
                    try await store.jetStream.connection.waitUntilWritable()
                } catch {
                    throw MeshEventsError(error)
                }
            }
        }
    }

    func finish() async throws(MeshEventsError) {
        try await wait { $0.isDone }
    }

    private func send(_ message: PendingMessage, _ index: Int) throws(NATSError) {
        try store.jetStream.startPublish(
            ByteBuffer(bytes: message.payload),
            to: message.subject,
            messageID: message.messageID,
            expectedStream: store.streamName,
            timeout: min(JetStreamStore.attemptTimeout, deadline)
        ) { result in
            self.answered(index, result)
        }
    }

    private func answered(_ index: Int, _ result: Result<PublishAcknowledgement, JetStreamError>) {
        switch result {
        case .success(let acknowledgement):
            onStored(index, StoredPosition(acknowledgement))
            act { $0.stored(index) }
        case .failure(let error):
            let isFinal = !error.isRetriable || error.errorCode.meansFull
            act { $0.missed(index, final: isFinal ? MeshEventsError(error, stream: store.streamName) : nil) }
        }
    }

    private func act(_ change: (inout PublishWindow) -> PublishWindow.Event?) {
        let (event, waiter) = state.withLock { state in
            let event = change(&state.window)
            guard event == .wake else { return (event, CheckedContinuation<Void, Never>?.none) }
            defer { state.waiter = nil }
            return (event, state.waiter)
        }
        waiter?.resume()
        if case .recover(let indexes) = event { Task { await self.recover(indexes) } }
    }

    /// Sends again what was not acknowledged, oldest first, each until it is stored or its deadline has come.
    private func recover(_ indexes: [Int]) async {
        for index in indexes {
            guard let message = state.withLock({ $0.window.message(index) }) else { continue }
            do throws(MeshEventsError) {
                let position = try await store.append(
                    subject: message.subject,
                    payload: message.payload,
                    messageID: message.messageID,
                    deadline: deadline
                )
                onStored(index, position)
                state.withLock { $0.window.restored(index) }
            } catch {
                state.withLock { $0.window.fail(error) }
                break
            }
        }
        act { window in
            window.recovered()
            return .wake
        }
    }

    /// Suspends until `ready` holds.
    ///
    /// - Throws: the window's failure; `closed` when the task is cancelled.
    private func wait(until ready: @escaping @Sendable (PublishWindow) -> Bool) async throws(MeshEventsError) {
        while true {
            if Task.isCancelled { throw MeshEventsError(NATSError(.cancelled, "the task was cancelled")) }
            let (isReady, failure) = state.withLock { (ready($0.window), $0.window.failure) }
            if let failure { throw failure }
            if isReady { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        let goesOn = ready(state.window) || state.window.failure != nil || Task.isCancelled
                        if !goesOn { state.waiter = continuation }
                        return goesOn
                    }
                    if goesOn { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume()
            }
        }
    }
}
