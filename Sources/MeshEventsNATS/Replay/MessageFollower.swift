import MeshConcurrency
import MeshEvents
import NATSClient

/// Follows a stream with requests that change nothing on the server: for users who may not create consumers.
///
/// It reads only when its reader asks. At the end of the stream, a plain subscription to the same subjects wakes it; a
/// look at the stream every second finds what that subscription may miss.
final class MessageFollower: StoreFollower {
    /// The most messages that one reading takes.
    private static let mostMessages = 512
    /// About the most bytes that one reading takes.
    private static let mostBytes = 8 << 20
    /// How long a reading goes on once it has messages.
    private static let pause: Duration = .seconds(1)
    /// For how many round trips it goes on at least: some are lost between two readings.
    private static let roundTrips = 4
    /// How long nothing may come while a reading is under way.
    private static let patience: Duration = .seconds(60)
    /// How long the follower waits at the end of the stream before it looks at the stream.
    private static let interval: Duration = .seconds(1)
    /// When to look again: a message reaches subscribers before it is stored.
    private static let lags: [Duration] = [
        .milliseconds(1), .milliseconds(4), .milliseconds(20), .milliseconds(100), .milliseconds(400),
    ]

    private struct State {
        var progress: ReadingProgress
        /// When the followed stream was created.
        var created: Timestamp?
        /// Messages that were read and not passed on yet; `nil` before the first reading of a stream. Only the reader
        /// uses it.
        var plan: ReadingPlan?
        /// The stream after the last reading, while it may have more to read; then no request for it is needed.
        var known: StreamInformation.State?
        var isCancelled = false
        /// Whether the subscription has received something since the last reading began.
        var isHeard = false
        /// Set while the reader sleeps.
        var sleep: OneTimeSignal?
        var subscription: NATSSubscriptionHandle?
    }

    private let store: JetStreamStore
    private let pattern: EventPattern
    private let state: Locked<State>
    private let trouble = StreamTrouble()

    /// - Parameters:
    ///   - progress: where to begin.
    ///   - created: when the stream of that position was created.
    init(store: JetStreamStore, pattern: EventPattern, progress: ReadingProgress, created: Timestamp?) {
        self.store = store
        self.pattern = pattern
        state = Locked(State(progress: progress, created: created))
    }

    deinit { state.withLock { $0.subscription }?.cancel() }

    /// Begins to listen, before the first reading, so that no message is missed in between.
    func listen(timeout: Duration) async throws(JetStreamError) {
        do throws(NATSError) {
            let handle = try await store.jetStream.connection.subscribe(
                to: pattern.subject,
                receiver: Listener(follower: self),
                timeout: timeout
            )
            let isLate = state.withLock { state in
                state.subscription = handle
                return state.isCancelled
            }
            if isLate { handle.cancel() }
        } catch {
            // Without it events come a second late.
            guard error.code == .permissionDenied else { throw JetStreamError(error) }
        }
    }

    func cancel() {
        let (handle, sleep) = state.withLock { state in
            state.isCancelled = true
            defer { (state.subscription, state.sleep) = (nil, nil) }
            return (state.subscription, state.sleep)
        }
        trouble.end()
        handle?.cancel()
        sleep?.send()
    }

    func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) { trouble.whenTold(tell) }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        var patience = FollowPatience()
        var looks = 0
        while true {
            let (isCancelled, wasHeard, atBegin) = state.withLock { state in
                defer { state.isHeard = false }
                return (state.isCancelled, state.isHeard, state.progress.takeCaughtUp())
            }
            if isCancelled || Task.isCancelled { return nil }
            if atBegin { return [.caughtUp] }
            if wasHeard { looks = 0 }
            let begun = ContinuousClock.now
            do throws(JetStreamError) {
                let items = try await read()
                trouble.answered()
                patience = FollowPatience()
                if !items.isEmpty { return items }
            } catch {
                trouble.failed(error, since: begun, store)
                guard await patience.bears(error, store) else {
                    trouble.end()
                    throw FollowPatience.explained(error, stream: store.streamName)
                }
                continue
            }
            let isLagging = wasHeard || (1..<Self.lags.count).contains(looks)
            await sleep(isLagging ? Self.lags[min(looks, Self.lags.count - 1)] : Self.interval, isLagging: isLagging)
            looks = isLagging ? looks + 1 : 0
        }
    }

    /// Reads up to where the stream ended before; returns the messages, and what the stream has dropped meanwhile.
    private func read() async throws(JetStreamError) -> [FollowedItem] {
        let (next, known, kept) = state.withLock { ($0.progress.next, $0.known, $0.plan) }
        let before: StreamInformation.State
        var plan: ReadingPlan
        if let known, let kept {
            (before, plan) = (known, kept)
        } else {
            let stream = try await look()
            if let reset = reset(to: stream) { return [.reset(reset)] }
            before = stream.state
            let end = max(before.lastSequence.nextSequence, next)
            plan = kept ?? ReadingPlan(next..<end, .oldestFirst, of: stream, matching: pattern)
        }
        plan.extend(to: before.lastSequence.nextSequence)
        plan.skip(below: before.firstSequence)
        try await read(&plan)
        // Looked at afterwards: the stream's first sequence shows which messages were dropped before they could be
        // read.
        let stream = try await look()
        // The messages may be those of the other stream.
        if let reset = reset(to: stream) { return [.reset(reset)] }
        let found = stream.state
        guard found.lastSequence.nextSequence >= plan.end else {
            // The stream has lost its end, and uses those sequences again.
            state.withLock { ($0.plan, $0.known) = (nil, nil) }
            return []
        }
        let reading = plan.take(Self.mostMessages)
        let (messages, held) = (try StoredMessage.all(reading.messages), plan.firstHeld)
        return state.withLock { state in
            state.plan = plan
            state.known = found.lastSequence >= reading.reached ? found : nil
            let first = found.messages == 0 ? found.lastSequence.nextSequence : found.firstSequence
            // Messages that were read are not lost.
            return state.progress.read(messages, reached: reading.reached, first: min(first, held ?? .max))
        }
    }

    /// Reads on; keeps the messages that have come, however this reading ends.
    private func read(_ plan: inout ReadingPlan) async throws(JetStreamError) {
        let reader = MessageReader(jetStream: store.jetStream, stream: store.streamName)
        let pause = max(Self.pause, (plan.pace.quickest ?? .zero) * Self.roundTrips)
        defer { state.withLock { $0.plan = plan } }
        try await reader.read(
            &plan,
            Self.mostMessages,
            maximumBytes: Self.mostBytes,
            matching: pattern,
            until: .now + pause,
            patience: Self.patience
        )
    }

    private func look() async throws(JetStreamError) -> StreamInformation {
        let timeout = JetStreamStore.remaining(.now + Self.patience)
        return try await store.jetStream.streamInfo(store.streamName, timeout: timeout)
    }

    /// Checks whether the stream was created again, or has lost messages.
    private func reset(to stream: StreamInformation) -> ReplayReset? {
        state.withLock { state in
            let (found, last) = (stream.creation, stream.state.lastSequence)
            let reset = ReplayReset(from: state.created, to: found, last: last, next: state.progress.next)
            guard let reset else { return nil }
            (state.created, state.known, state.plan) = (found, nil, nil)
            state.progress.reset(next: reset.next, end: last)
            return reset
        }
    }

    private func sleep(_ duration: Duration, isLagging: Bool) async {
        let completion = OneTimeSignal()
        let isDue = state.withLock { state in
            guard !state.isCancelled, isLagging || !state.isHeard else { return true }
            state.sleep = completion
            return false
        }
        guard !isDue else { return }
        try? await completion.wait(until: .now + duration, for: "a message")
    }

    fileprivate func heard() {
        let sleep = state.withLock { state in
            state.isHeard = true
            defer { state.sleep = nil }
            return state.sleep
        }
        sleep?.send()
    }
}

/// Wakes a follower when a message comes; drops the message. The reference is weak, because the connection holds this.
private final class Listener: NATSMessageReceiver {
    private let follower: Reference

    private final class Reference: Sendable {
        weak let follower: MessageFollower?
        init(_ follower: MessageFollower) { self.follower = follower }
    }

    init(follower: MessageFollower) { self.follower = Reference(follower) }

    func receive(_ message: NATSMessageView) {}
    func receiveBatchEnd() { follower.follower?.heard() }
    func receiveEnd(_ error: NATSError?) { follower.follower?.heard() }
}

extension StreamTrouble {
    /// Notes that a request has failed. Without a connection that says nothing about the stream.
    func failed(_ error: JetStreamError, since began: ContinuousClock.Instant, _ store: JetStreamStore) {
        guard store.jetStream.connection.isUp else { return pause() }
        failed(MeshEventsError(error, stream: store.streamName), since: began)
    }
}

/// How long a follower tries again after errors: without end after those that can pass, for a while after others,
/// because a server that starts may not have its streams yet.
struct FollowPatience {
    private static let grace: Duration = .seconds(5)

    private var backoff = RetryBackoff(deadline: .now + .seconds(1 << 32))
    private var refusedSince: ContinuousClock.Instant?

    /// Waits before the next attempt; `false` when there must be none.
    mutating func bears(_ error: JetStreamError, _ store: JetStreamStore) async -> Bool {
        if await Self.isFinal(error, store) {
            let since = refusedSince ?? .now
            refusedSince = since
            let code = error.underlying?.code
            if .now - since >= Self.grace || code == .closed || code == .permissionDenied { return false }
        } else {
            refusedSince = nil
        }
        _ = await backoff.wait()
        return true
    }

    private static func isFinal(_ error: JetStreamError, _ store: JetStreamStore) async -> Bool {
        guard error.isNoResponders else { return !error.isRetriable && error.errorCode != .consumerNotFound }
        // Is there no leader at the moment, or no JetStream at all?
        return await store.jetStream.connection.serverInfo?.hasJetStream == false
    }

    /// The error with which a follower ends.
    static func explained(_ error: JetStreamError, stream: String) -> MeshEventsError {
        MeshEventsError(error, stream: stream)
    }
}
