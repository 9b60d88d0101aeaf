import MeshConcurrency
import MeshEvents
import NATSClient

/// Follows a stream with pull requests, each watched by heartbeats; lost consumers are replaced.
///
/// A request leaves when the reader has taken what came before. Requests overlap, except for a pattern: then losses are
/// found by looking at the stream between two requests. Messages come in on the connection's event loop; one task does
/// everything that needs an answer of the server.
final class JetStreamFollower: StoreFollower {
    /// The most messages that a request asks for; the bytes limit it when messages are large.
    static let batch = 2_048
    /// How often the server sends a heartbeat while it has nothing to deliver.
    static let heartbeat: Duration = .seconds(1)
    /// How long nothing may arrive before the follower asks the server why.
    static let silenceTolerated: Duration = .milliseconds(2_500)
    /// How long a consumer outlives its last request.
    static let consumerLife: Duration = .seconds(60)

    struct State: AwaitableState {
        var progress: FollowProgress
        var window: PullWindow
        var queue = FollowQueue()
        /// When the followed stream was created.
        var created: Timestamp?
        /// Counts consumers: messages for a former consumer do not count for the present one.
        var session: UInt64 = 0
        var consumer: String?
        var inbox = ""
        var handle: NATSSubscriptionHandle?
        /// What the present consumer allows in one request.
        var limits = PullLimits()
        /// Refused requests without a delivery in between.
        var refusals = FollowRefusals()
        /// Why the consumer has to be replaced.
        var loss: String?
        var lastArrival = ContinuousClock.now
        var lastRequest = ContinuousClock.now
        /// Set while the task sleeps.
        var sleep: Completion?
        /// Set while the task waits after a refusal; only the end of the follower wakes it.
        var pause: Completion?

        /// Whether a request is due: none is under way, or another one may leave and there is room.
        var isRequestDue: Bool {
            guard progress.outstanding > 0 else { return true }
            return progress.mayOverlap && hasRoom && window.isDue(outstanding: progress.outstanding)
        }
        /// Whether the reader has taken enough for the follower to ask for more.
        var hasRoom: Bool { queue.count <= JetStreamFollower.batch / 2 && queue.bytes <= 2 << 20 }

        mutating func takeAnswer() -> FollowQueue.Answer? { queue.take() }
    }

    let store: JetStreamStore
    let pattern: EventPattern
    private let start: ConsumerConfiguration.Start
    let state: Awaitable<State>

    init(
        store: JetStreamStore,
        pattern: EventPattern,
        start: ConsumerConfiguration.Start,
        progress: FollowProgress,
        created: Timestamp?
    ) {
        self.store = store
        self.pattern = pattern
        self.start = start
        let window = PullWindow(most: 4 << 20, maximumPayload: store.jetStream.connection.maximumPayload)
        state = Awaitable(State(progress: progress, window: window, created: created))
    }

    // MARK: For the reader

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        let answer = await state.next(isolation: isolation)
        // There is room now: the task sends the next request.
        wakeTask()
        switch answer {
        case .items(let items)?: return items
        case .end?, nil: return nil
        case .failure(let error)?: throw error
        }
    }

    func cancel() { end { $0.cancel() } }

    // MARK: Ending

    /// Ends for good with an error; the reader still gets what has arrived.
    func fail(_ error: MeshEventsError) { end { $0.finish(error) } }

    private func end(_ change: @Sendable (inout FollowQueue) -> Void) {
        let (handle, consumer, sleep, pause) = state.update { state in
            change(&state.queue)
            defer { (state.handle, state.consumer, state.sleep, state.pause) = (nil, nil, nil, nil) }
            state.session += 1
            return (state.handle, state.consumer, state.sleep, state.pause)
        }
        handle?.cancel()
        if let consumer { store.jetStream.discardConsumer(consumer, on: store.streamName) }
        sleep?.complete()
        pause?.complete()
    }

    /// Notes that the present consumer cannot be used any more.
    func lose(_ reason: String) {
        state.withLock { if $0.loss == nil { $0.loss = reason } }
        wakeTask()
    }

    func wakeTask() {
        let sleep = state.withLock { state in
            defer { state.sleep = nil }
            return state.sleep
        }
        sleep?.complete()
    }

    // MARK: Consumers

    /// Creates the next consumer, directly behind the last delivery; requests nothing yet.
    func beginSession(timeout: Duration) async throws(JetStreamError) {
        let jetStream = store.jetStream
        let (session, next, handle, consumer) = state.withLock { state in
            state.session += 1
            state.loss = nil
            defer { (state.handle, state.consumer) = (nil, nil) }
            return (state.session, state.progress.next, state.handle, state.consumer)
        }
        handle?.cancel()
        if let consumer { jetStream.discardConsumer(consumer, on: store.streamName) }
        let inbox = jetStream.connection.makeInbox()
        let receiver = FollowReceiver(follower: self, session: session)
        let newHandle: NATSSubscriptionHandle
        do throws(NATSError) {
            newHandle = try await jetStream.connection.subscribe(to: inbox, receiver: receiver, timeout: timeout)
        } catch {
            throw JetStreamError(error)
        }
        do throws(JetStreamError) {
            let created = try await jetStream.createConsumer(
                .reader(
                    start: next.map { .sequence($0) } ?? start,
                    filterSubjects: state.withLock { $0.progress.matchesAll } ? [] : [pattern.subject],
                    inactiveThreshold: Self.consumerLife
                ),
                on: store.streamName,
                timeout: timeout
            )
            // Requested after the consumer was created: it cannot deliver what is gone by now.
            let stream = try await jetStream.streamInfo(store.streamName, timeout: timeout)
            let found = stream.state
            if reset(to: stream) {
                jetStream.discardConsumer(created.name, on: store.streamName)
                newHandle.cancel()
                passOn()
                // Now with a consumer that begins at the stream's present first sequence.
                return try await beginSession(timeout: timeout)
            }
            let isCurrent = state.withLock { state -> Bool in
                guard state.session == session, !state.queue.isEnded else { return false }
                (state.consumer, state.inbox, state.handle) = (created.name, inbox, newHandle)
                state.limits = PullLimits(created.configuration)
                state.lastArrival = .now
                state.lastRequest = .now
                let first = found.messages == 0 ? found.lastSequence.nextSequence : found.firstSequence
                let lost = state.progress.begin(first: first, last: found.lastSequence, pending: created.pending)
                if let lost { state.queue.append(.lost(lost)) }
                if state.progress.takeCaughtUp() { state.queue.append(.caughtUp) }
                return true
            }
            if !isCurrent {
                newHandle.cancel()
                jetStream.discardConsumer(created.name, on: store.streamName)
            }
        } catch {
            newHandle.cancel()
            throw error
        }
        passOn()
    }

    /// Checks whether the stream was created again, or has lost messages; if so, tells the reader.
    func reset(to stream: StreamInformation) -> Bool {
        state.withLock { state in
            let reset = ReplayReset(
                from: state.created,
                to: stream.creation,
                last: stream.state.lastSequence,
                next: state.progress.next ?? 0
            )
            guard let reset else { return false }
            state.created = stream.creation
            state.progress.reset(next: reset.next)
            state.queue.append(.reset(reset))
            return true
        }
    }

    /// Passes the items that have arrived to waiting readers.
    func passOn() { state.update { _ in } }
}
