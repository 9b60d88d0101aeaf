import MeshEvents
import NATSClient

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
    private let watch = Locked<Task<Void, Never>?>(nil)

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

    deinit { watch.withLock { $0 }?.cancel() }

    func append(_ message: PendingMessage) async throws(MeshEventsError) {
        while true {
            if Task.isCancelled { throw Self.cancelled }
            guard let index = add(message) else {
                try await wait { $0.hasRoom }
                continue
            }
            if index == 0 { startWatch() }
            do throws(NATSError) {
                return try send(message, index)
            } catch {
                guard error.code == .bufferFull else { return refused(index, error) }
                // The connection is slower than we are: it says when there is room.
                state.withLock { $0.window.withdraw(index) }
                do throws(NATSError) {
                    try await store.jetStream.connection.waitUntilWritable()
                } catch {
                    throw MeshEventsError(error)
                }
            }
        }
    }

    /// The message's index in the window; `nil` when it has no room, or has failed.
    private func add(_ message: PendingMessage) -> Int? {
        state.withLock { $0.window.hasRoom ? $0.window.add(message) : nil }
    }

    func finish() async throws(MeshEventsError) {
        state.withLock { $0.window.finish() }
        try await wait { $0.isDone }
    }

    /// Acknowledgements come in the order of the messages. When the oldest does not come for a while, whatever else
    /// does, it is lost, as over a change of the stream's leader: then what is under way is given up and sent again. A
    /// store that is merely slow goes on acknowledging, and is left alone.
    private func startWatch() {
        watch.withLock { watch in
            guard watch == nil else { return }
            watch = Task { [weak self] in
                var last: (oldest: Int, since: ContinuousClock.Instant)?
                while (try? await Task.sleep(for: .milliseconds(500))) != nil, let self {
                    guard let oldest = state.withLock({ $0.window.oldestUnderWay }) else {
                        last = nil
                        continue
                    }
                    guard let seen = last, seen.oldest == oldest else {
                        last = (oldest, .now)
                        continue
                    }
                    guard .now - seen.since > JetStreamStore.attemptTimeout else { continue }
                    last = nil
                    let error = NATSError(.timeout, "an acknowledgement is missing", isRetriable: true)
                    store.jetStream.connection.endRequests(of: ObjectIdentifier(self), error: error)
                }
            }
        }
    }

    private func send(_ message: PendingMessage, _ index: Int) throws(NATSError) {
        try store.jetStream.startPublish(
            message.payload,
            to: message.subject,
            messageID: message.messageID,
            expectedStream: store.streamName,
            timeout: deadline,
            owner: ObjectIdentifier(self)
        ) { outcome in
            self.answered(index, Result { () throws(JetStreamError) in try PublishAcknowledgement(outcome) })
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

    /// The connection did not take a message: when it is down, the message waits for the next one like those that were
    /// under way; for any other reason it fails for good.
    private func refused(_ index: Int, _ error: NATSError) {
        act { $0.missed(index, final: error.isRetriable ? nil : MeshEventsError(error)) }
    }

    /// Sends again what was not acknowledged: the oldest until it is stored or its deadline has come, then the others.
    private func recover(_ indexes: [Int]) async {
        guard let oldest = indexes.first, let message = state.withLock({ $0.window.message(oldest) }) else {
            return act { $0.recovered() }
        }
        do throws(MeshEventsError) {
            let position = try await store.append(
                subject: message.subject,
                payload: message.payload,
                messageID: message.messageID,
                deadline: deadline
            )
            onStored(oldest, position)
            state.withLock { $0.window.restored(oldest) }
        } catch {
            state.withLock { $0.window.fail(error) }
        }
        for index in indexes.dropFirst() {
            guard let message = state.withLock({ $0.window.resend(index) }) else { break }
            do throws(NATSError) {
                try send(message, index)
            } catch {
                // A full buffer too ends this round; the next begins when everything under way is answered.
                refused(index, error)
            }
        }
        act { $0.recovered() }
    }

    private static var cancelled: MeshEventsError {
        MeshEventsError(NATSError(.cancelled, "the task was cancelled"))
    }

    /// Suspends until `ready` holds.
    ///
    /// - Throws: the window's failure; `closed` when the task is cancelled.
    private func wait(until ready: @escaping @Sendable (PublishWindow) -> Bool) async throws(MeshEventsError) {
        while true {
            if Task.isCancelled { throw Self.cancelled }
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
