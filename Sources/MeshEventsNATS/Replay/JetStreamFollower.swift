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
    private static let batch = 2_048
    /// How often the server sends a heartbeat while it has nothing to deliver.
    private static let heartbeat: Duration = .seconds(1)
    /// How long nothing may arrive before the follower asks the server why.
    private static let silenceTolerated: Duration = .milliseconds(2_500)
    /// How long a consumer outlives its last request.
    private static let consumerLife: Duration = .seconds(60)

    private struct State: AwaitableState {
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
        var sleep: OneTimeSignal?
        /// Set while the task waits after a refusal; only the end of the follower wakes it.
        var pause: OneTimeSignal?

        /// Whether a request is due: none is under way, or another one may leave and there is room.
        var isRequestDue: Bool {
            guard progress.outstanding > 0 else { return true }
            return progress.mayOverlap && hasRoom && window.isDue(outstanding: progress.outstanding)
        }
        /// Whether the reader has taken enough for the follower to ask for more.
        var hasRoom: Bool { queue.count <= JetStreamFollower.batch / 2 && queue.bytes <= 2 << 20 }

        mutating func takeAnswer() -> FollowQueue.Answer? { queue.take() }
    }

    private let store: JetStreamStore
    private let pattern: EventPattern
    private let start: ConsumerConfiguration.Start
    private let state: Awaitable<State>
    private let trouble = StreamTrouble()

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

    func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) { trouble.whenTold(tell) }

    // MARK: Ending

    /// Ends for good with an error; the reader still gets what has arrived.
    private func fail(_ error: MeshEventsError) { end { $0.finish(error) } }

    private func end(_ change: @Sendable (inout FollowQueue) -> Void) {
        let (handle, consumer, sleep, pause) = state.update { state in
            change(&state.queue)
            defer { (state.handle, state.consumer, state.sleep, state.pause) = (nil, nil, nil, nil) }
            state.session += 1
            return (state.handle, state.consumer, state.sleep, state.pause)
        }
        trouble.end()
        handle?.cancel()
        if let consumer { store.jetStream.discardConsumer(consumer, on: store.streamName) }
        sleep?.send()
        pause?.send()
    }

    /// Notes that the present consumer cannot be used any more.
    private func lose(_ reason: String) {
        state.withLock { if $0.loss == nil { $0.loss = reason } }
        wakeTask()
    }

    private func wakeTask() {
        let sleep = state.withLock { state in
            defer { state.sleep = nil }
            return state.sleep
        }
        sleep?.send()
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
    private func reset(to stream: StreamInformation) -> Bool {
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
    private func passOn() { state.update { _ in } }
}

// The task of a follower: it sends requests, checks silent consumers, and replaces lost ones.
extension JetStreamFollower {
    private enum Step {
        case sleep(OneTimeSignal, until: ContinuousClock.Instant)
        case check
        case request(inbox: String, consumer: String)
        case probe(consumer: String, delivered: UInt64)
        case replace
        case pause(OneTimeSignal, until: ContinuousClock.Instant)
        case refuse(String)
        case stop
    }

    /// How often the server may say that something is on its way before the request counts as lost.
    private static let maximumSilentChecks = 6

    /// Starts the task; it ends with the follower.
    func run() {
        let updates = store.jetStream.connection.statusUpdates()
        // Not kept: it ends when the reader cancels the follower, or when following fails.
        Task {
            await withBackgroundTask {
                for await status in updates { self.noticed(status) }
            } _: {
                await self.work()
            }
        }
    }

    private func noticed(_ status: NATSStatus) {
        switch status {
        case .reconnected: lose("the connection was lost")
        case .closed(let error):
            fail(MeshEventsError(error ?? NATSError(.closed, "the connection has been closed")))
        case .serverError(let error):
            // A refused request has no other answer.
            let subject = "CONSUMER.MSG.NEXT.\(store.streamName)."
            if error.subject?.contains(subject) == true { fail(MeshEventsError(error)) }
        default: break
        }
    }

    private func work() async {
        var silentChecks = 0
        while true {
            switch nextStep() {
            case .stop: return
            case .sleep(let completion, let deadline):
                let isWoken = (try? await completion.wait(until: deadline, for: "a message")) != nil
                if isWoken { silentChecks = 0 }
            case .request(let inbox, let consumer): request(inbox, consumer)
            case .check: await check()
            case .pause(let completion, let deadline):
                try? await completion.wait(until: deadline, for: "the next attempt")
            case .refuse(let reason):
                fail(
                    MeshEventsError(
                        .serverRefused,
                        "the server refuses the requests of a replay of stream \(store.streamName) (\(reason)); raise "
                            + "that limit of the server or of the stream's consumers"
                    )
                )
            case .probe(let consumer, let delivered):
                let isSilent = await probe(consumer, delivered, isLast: silentChecks >= Self.maximumSilentChecks)
                silentChecks = isSilent ? silentChecks + 1 : 0
            case .replace:
                silentChecks = 0
                await replace()
            }
        }
    }

    private func nextStep() -> Step {
        let now = ContinuousClock.now
        return state.withLock { state in
            if state.queue.isEnded { return .stop }
            switch state.refusals.verdict(now) {
            case .goOn: break
            case .wait(let until):
                let completion = OneTimeSignal()
                state.pause = completion
                return .pause(completion, until: until)
            case .giveUp(let reason): return .refuse(reason)
            }
            guard state.loss == nil, let consumer = state.consumer else { return .replace }
            let completion = OneTimeSignal()
            guard state.isRequestDue else {
                let deadline = state.lastArrival + Self.silenceTolerated
                if deadline <= now { return .probe(consumer: consumer, delivered: state.progress.consumerSequence) }
                state.sleep = completion
                return .sleep(completion, until: deadline)
            }
            guard state.hasRoom else {
                state.sleep = completion
                return .sleep(completion, until: now + .seconds(600))
            }
            // A consumer without requests for long may be gone, and old servers do not say so.
            if now - state.lastRequest > Self.consumerLife / 2, now - state.lastArrival > Self.consumerLife / 2 {
                return .replace
            }
            if state.progress.needsCheck { return .check }
            return .request(inbox: state.inbox, consumer: consumer)
        }
    }

    private func request(_ inbox: String, _ consumer: String) {
        let jetStream = store.jetStream
        let request = state.withLock { state -> PullRequest? in
            guard state.consumer == consumer else { return nil }
            let outstanding = state.progress.outstanding
            // The window counts what is asked for, not what is wished.
            let batch = min(Self.batch, state.limits.batch ?? Self.batch)
            guard let next = state.window.next(outstanding: outstanding, missing: batch) else { return nil }
            let wish = PullRequest(
                batch: next.messages,
                maximumBytes: next.bytes,
                expires: .seconds(30),
                idleHeartbeat: Self.heartbeat
            )
            let request = state.limits.applied(to: wish)
            state.progress.request(request.batch)
            state.lastRequest = .now
            state.lastArrival = .now
            return request
        }
        guard let request else { return }
        do throws(JetStreamError) {
            try jetStream.sendPull(request, to: consumer, on: store.streamName, inbox: inbox)
        } catch {
            if error.isRetriable { lose(error.message) } else { fail(MeshEventsError(error, stream: store.streamName)) }
        }
    }

    /// Checks whether the stream has dropped messages while the consumer stood still.
    private func check() async {
        do throws(JetStreamError) {
            let stream = try await store.jetStream.streamInfo(store.streamName, timeout: .seconds(5))
            guard stream.creation == state.withLock({ $0.created }) else {
                return lose("the stream was created again")
            }
            let found = stream.state
            let first = found.messages == 0 ? found.lastSequence.nextSequence : found.firstSequence
            state.update { state in
                guard state.loss == nil, state.progress.needsCheck else { return }
                for lost in state.progress.check(first: first) { state.queue.append(.lost(lost)) }
                if state.progress.takeCaughtUp() { state.queue.append(.caughtUp) }
            }
        } catch {
            lose(error.message)
        }
    }

    /// Asks whether the request still waits, after nothing has arrived for long. The answer comes behind everything the
    /// server has sent before it; on a slow link, that may be a message that takes seconds.
    ///
    /// - Returns: whether the server has answered, and nothing has come meanwhile.
    private func probe(_ consumer: String, _ delivered: UInt64, isLast: Bool) async -> Bool {
        let begun = ContinuousClock.now
        do throws(JetStreamError) {
            let info = try await store.jetStream.consumerInfo(consumer, on: store.streamName, timeout: .seconds(1))
            trouble.answered()
            let hasArrived = state.withLock { $0.lastArrival > begun }
            if hasArrived { return false }
            // A flooded stream delivers late, and so do its heartbeats.
            if info.requestsWaiting > 0 || info.delivered.consumerSequence > delivered, !isLast {
                state.withLock { $0.lastArrival = .now }
            } else {
                lose("the request was lost")
            }
            return true
        } catch {
            // A missing answer is no loss.
            guard error.kind == .timeout else {
                lose(error.message)
                return false
            }
            let hasArrived = state.withLock { state in
                defer { state.lastArrival = .now }
                return state.lastArrival > begun
            }
            if !hasArrived { trouble.failed(error, since: begun, store) }
            return false
        }
    }

    /// Replaces the consumer, however long that takes; reports when that takes long.
    private func replace() async {
        var patience = FollowPatience()
        while !state.withLock({ $0.queue.isEnded }) {
            let begun = ContinuousClock.now
            do throws(JetStreamError) {
                try await beginSession(timeout: .seconds(5))
                return trouble.answered()
            } catch {
                trouble.failed(error, since: begun, store)
                guard await patience.bears(error, store) else {
                    return fail(FollowPatience.explained(error, stream: store.streamName))
                }
            }
        }
    }
}

/// Receives the messages for one consumer of a follower, on the connection's event loop.
///
/// It is `@unchecked Sendable` because the connection never calls it concurrently, which protects its batch.
private final class FollowReceiver: NATSMessageReceiver, @unchecked Sendable {
    enum Arrival {
        case message(AcknowledgementSubject, StoredMessage)
        case status(NATSMessage)
    }

    // The connection holds the receiver, and the follower the subscription. So the follower ends with its reader.
    private weak var follower: JetStreamFollower?
    private let session: UInt64
    private var batch: [Arrival] = []

    init(follower: JetStreamFollower, session: UInt64) {
        self.follower = follower
        self.session = session
    }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyToBytes) else {
            batch.append(.status(message.copied()))
            return
        }
        let stored = StoredMessage(
            subject: String(decoding: message.subjectBytes, as: UTF8.self),
            payload: Array(message.payloadBytes),
            sequence: position.streamSequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: position.timestamp),
            headers: MessageHeaders(block: message.headerBytes)
        )
        batch.append(.message(position, stored))
    }

    func receiveBatchEnd() {
        guard !batch.isEmpty else { return }
        follower?.arrived(batch, session: session)
        batch.removeAll(keepingCapacity: true)
    }

    func receiveEnd(_ error: NATSError?) {
        guard let error else { return }
        follower?.receivingEnded(error, session: session)
    }
}

extension JetStreamFollower {
    /// Takes what came with one read of the connection.
    fileprivate func arrived(_ batch: [FollowReceiver.Arrival], session: UInt64) {
        let (wakesTask, isAnswer) = state.update { state in
            guard state.session == session, state.loss == nil else { return (false, false) }
            state.lastArrival = .now
            for arrival in batch where state.loss == nil { Self.take(arrival, into: &state) }
            return (state.loss != nil || state.isRequestDue, state.loss == nil)
        }
        if isAnswer { trouble.answered() }
        if wakesTask { wakeTask() }
    }

    /// Handles a subscription that has ended without having been cancelled.
    fileprivate func receivingEnded(_ error: NATSError, session: UInt64) {
        guard state.withLock({ $0.session == session }) else { return }
        if error.isRetriable { lose(error.message) } else { fail(MeshEventsError(error)) }
    }

    private static func take(_ arrival: FollowReceiver.Arrival, into state: inout State) {
        switch arrival {
        case .message(let position, let message):
            state.window.took(message.payload.count + message.subject.utf8.count)
            let verdict = state.progress.delivered(
                consumer: position.consumerSequence,
                stream: position.streamSequence,
                pending: position.pending
            )
            switch verdict {
            case .deliver(let lost):
                if let lost { state.queue.append(.lost(lost)) }
                // Without a filter, a stream whose subjects were changed also delivers older messages with other
                // subjects.
                let matches = !state.progress.matchesAll || EventPattern.all.matches(subject: message.subject)
                if matches { state.queue.append(.message(message)) }
                state.refusals = FollowRefusals()
            case .ignore: break
            case .restart(let reason): state.loss = reason
            }
        case .status(let status): take(status, into: &state)
        }
        if state.progress.takeCaughtUp() { state.queue.append(.caughtUp) }
    }

    /// Takes a status instead of a message (NATS ADR-13).
    private static func take(_ status: NATSMessage, into state: inout State) {
        let words = status.statusDescription ?? ""
        let text = words.lowercased()
        let unfilled = status.headers["Nats-Pending-Messages"].flatMap { Int($0) }
        switch status.status {
        case 100?:
            state.refusals = FollowRefusals()
            let verdict = state.progress.heartbeat(
                consumer: status.headers["Nats-Last-Consumer"].flatMap { UInt64($0) },
                stream: status.headers["Nats-Last-Stream"].flatMap { UInt64($0) }
            )
            switch verdict {
            case .deliver(let lost?): state.queue.append(.lost(lost))
            case .deliver(nil), .ignore: break
            case .restart(let reason): state.loss = reason
            }
        case 404?, 408?:
            state.refusals = FollowRefusals()
            state.progress.requestEnded(unfilled: unfilled, isCutShort: false)
        case 409? where text.hasPrefix("exceeded max"):
            // The whole request was refused: the next request keeps the limit that the server names.
            state.refusals.add("409 \(words)", state.limits.learn(words))
            state.progress.requestEnded(unfilled: nil, isCutShort: false)
        case 409? where text.contains("maxbytes"):
            state.progress.requestEnded(unfilled: unfilled, isCutShort: true)
            if state.progress.outstanding == 0, state.window.ended() {
                state.refusals.add("409 \(words), although nothing was delivered", .knownLimit)
            }
        case 409? where text.contains("batch completed"):
            state.progress.requestEnded(unfilled: unfilled, isCutShort: true)
        default:
            let isPassing =
                ["leadership", "deleted", "shutdown"].contains { text.contains($0) } || status.status == 503
            if !isPassing { state.refusals.add("\(status.status ?? 0) \(words)", .none) }
            state.loss = "the server ended the request: \(status.status ?? 0) \(text)"
        }
    }
}
