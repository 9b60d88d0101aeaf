import Logging
import MeshConcurrency
import MeshLogging
import Synchronization

/// The shared state of a durable subscription: one task fetches messages while readers wait, readers take them, answers
/// go to the store.
final class DurableSource: MetricSource {
    /// How long one request waits for a first message.
    private static let longWait: Duration = .seconds(5)
    /// How long handing back waits for the messages of the last request.
    private static let lastRequest: Duration = .seconds(1)
    /// How long the durable may be missing, as it is while a cluster starts, before the subscription ends.
    private static let absenceTolerated: Duration = .seconds(5)

    let name: String
    let configuration: DurableSubscription.Configuration
    let consumer: any DurableConsumer
    let retries: RetryDeliveries
    let store: any EventStore
    let bus: EventBus
    let logger: Logger
    let counts = DurableCounts()
    /// Makes ids for dead letters whose own id another message has.
    let messageIDs = MessageIDs()

    private let limit = SharedRateLimit()
    private let state: Awaitable<DurableState>
    private let tasks = Locked<(pump: Task<Void, Never>?, isWaiting: Bool, keepAlive: Task<Void, Never>?)>(
        (nil, false, nil)
    )
    private let wake: AsyncStream<Void>.Continuation
    private let wakes: AsyncStream<Void>
    private let pumped = OneTimeSignal()
    private let settled = OneTimeSignal()
    private let handedBack = OneTimeSignal()
    private let onEnd: Locked<(@Sendable () -> Void)?>

    /// - Parameters:
    ///   - retries: the retries of this durable's dead letters.
    ///   - keepsAlive: whether the acknowledgement wait of every event held is extended, as for handlers.
    init(
        name: String,
        configuration: DurableSubscription.Configuration,
        consumer: any DurableConsumer,
        retries: RetryDeliveries,
        store: any EventStore,
        bus: EventBus,
        keepsAlive: Bool
    ) {
        self.name = name
        self.configuration = configuration
        self.consumer = consumer
        self.retries = retries
        self.store = store
        self.bus = bus
        logger = bus.logger
        state = Awaitable(
            DurableState(
                maximumOutstanding: configuration.maximumOutstanding,
                acknowledgementWait: configuration.acknowledgementWait,
                workers: keepsAlive ? configuration.concurrency : 1,
                keepsAlive: keepsAlive
            )
        )
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        onEnd = Locked(nil)
        let pump = Task { await self.pump() }
        let keepAlive = keepsAlive ? Task { await self.keepAlive() } : nil
        tasks.withLock { $0 = (pump, false, keepAlive) }
        // Ends by itself after `retries.stop()`.
        Task {
            await retries.run { [state] in
                state.withLock { $0.takesRetry(.now, readers: $1) }
            } deliver: { message in
                if let leftover = self.accept(message) { await self.finish(message, leftover) }
            }
        }
        bus.metrics?.add(self)
    }

    deinit {
        guard let metrics = bus.metrics else { return }
        var readings = MetricReadings()
        read(into: &readings)
        metrics.ended(readings)
    }

    func read(into readings: inout MetricReadings) {
        func add(_ metric: EventMetric, _ count: borrowing Atomic<UInt64>) {
            readings.add(metric, count.load(ordering: .relaxed), label: name)
        }
        add(.durableAcknowledged, counts.acknowledged)
        add(.durableFailed, counts.failed)
        add(.durableRedelivered, counts.redelivered)
        add(.durableDeadLettered, counts.deadLettered)
        add(.durableMalformed, counts.malformed)
        add(.durableRejected, counts.rejected)
        add(.durableSkipped, counts.skipped)
        readings.add(.durableOutstanding, UInt64(state.withLock { $0.outstanding }), label: name)
    }

    /// Sets the function to call when the subscription has ended; calls it at once when it has.
    func whenEnded(_ body: @escaping @Sendable () -> Void) {
        onEnd.withLock { $0 = body }
        if !isRunning { tellEnd() }
    }

    var isRunning: Bool { state.withLock { $0.isRunning } }

    /// Why it ended by itself; `nil` while it runs and after a cancellation.
    var failure: MeshEventsError? {
        state.withLock { if case .ended(let error) = $0.phase { error } else { nil } }
    }

    // MARK: Reading

    /// The next event; ends when the calling task is cancelled.
    func next(isolation: isolated (any Actor)? = #isolation) async throws(MeshEventsError) -> DurableDelivery? {
        if Task.isCancelled { return nil }
        switch await state.next(isolation: isolation, onWait: { wakePumps() }) {
        case .entry(let entry)?: return DurableDelivery(entry, self)
        case .end?, nil: return nil
        case .failure(let error)?: throw error
        }
    }

    private func wakePumps() {
        wake.yield()
        retries.wakeForReader()
    }

    private func wakeReaders() { state.update { _ in } }

    // MARK: Fetching

    private func pump() async {
        var isQuiet = false
        var failures = DurableFailures(tolerated: Self.absenceTolerated)
        var wakes = wakes.makeAsyncIterator()
        while true {
            tasks.withLock { $0.isWaiting = isQuiet }
            switch state.withLock({ $0.demand(.now, readers: $1) }) {
            case .stop:
                pumped.send()
                return
            case .idle:
                await wakes.next()
            case .full(let until):
                let timer = Task { [wake] in
                    try? await Task.sleep(until: until, clock: .continuous)
                    wake.yield()
                }
                await wakes.next()
                timer.cancel()
            case .fetch(let count):
                do throws(MeshEventsError) {
                    let messages = try await consumer.fetch(
                        isQuiet ? 1 : count,
                        wait: isQuiet ? Self.longWait : .zero
                    )
                    isQuiet = messages.isEmpty
                    failures.succeeded()
                    state.withLock { $0.beginBatch() }
                    let rest = messages.compactMap { message in accept(message).map { (message, $0) } }
                    state.withLock { $0.endBatch(messages.count, unwanted: rest.count { $0.1.isUnwanted }) }
                    await finish(rest)
                } catch {
                    guard isRunning else { continue }
                    guard let delay = failures.failed(error, now: .now) else {
                        end(error)
                        continue
                    }
                    report("the durable subscription cannot be read at the moment; it retries by itself", error)
                    try? await Task.sleep(for: delay)
                }
            }
        }
    }

    /// What is left to do about a message that no reader gets.
    private enum Leftover {
        /// Its event does not pass the filter.
        case unwanted
        /// It was answered before, and comes again: the store may have lost the delivery to which the first answer belonged.
        case repeated(DurableAnswer)
        case answer(DurableAnswer)
        case giveUp(Event?, reason: String)

        var isUnwanted: Bool { if case .unwanted = self { true } else { false } }
    }

    /// Takes a message that arrived.
    ///
    /// - Returns: What is left to do about it; `nil` when a reader gets its event, or has it.
    private func accept(_ message: DurableMessage) -> Leftover? {
        // A durable on `events.>` would otherwise get its own dead letters, and make new ones from them for ever. What was
        // done about them is not for its handlers either.
        let subject = message.stored.subject
        if subject == DeadLetterMessage.subjectPrefix + name || subject == DeadLetterRecord.subject(name) {
            return .answer(.acknowledge)
        }
        if message.deliveries > 1 { counts.redelivered.add(1, ordering: .relaxed) }
        let decoded: Event
        do throws(MeshEventsError) {
            decoded = try EventDecoder.decode(
                subject: message.stored.subject,
                payload: message.stored.payload,
                received: message.stored.storedAt
            )
        } catch {
            counts.malformed.add(1, ordering: .relaxed)
            return .giveUp(nil, reason: "not an event: \(error.message)")
        }
        // What a person has sent again is wanted, whatever the filter is by now.
        guard message.retry != nil || configuration.filter.matches(decoded) else { return .unwanted }
        guard let event = bus.admission.admit(decoded, message.stored) else {
            counts.rejected.add(1, ordering: .relaxed)
            return .giveUp(decoded, reason: "rejected: it is not signed by its node")
        }
        switch state.withLock({ $0.arrive(message, event, .now, limit: configuration.maximumDeliveries) }) {
        case .accepted:
            wakeReaders()
            return nil
        case .ignored: return nil
        case .answered(let answer): return .repeated(answer)
        case .refused:
            return state.withLock { $0.keepRefused(message) } ? nil : .answer(.redeliver(after: .zero))
        case .exhausted:
            return .giveUp(event, reason: "delivered \(message.deliveries - 1) times without an answer")
        }
    }

    /// Does what is left, for all messages together. The answers to deliveries that the store has lost are confirmed by nothing:
    /// one after the other they would hold up the next request for minutes.
    private func finish(_ messages: [(DurableMessage, Leftover)]) async {
        guard !messages.isEmpty else { return }
        await withDiscardingTaskGroup { group in
            for (message, leftover) in messages { group.addTask { await self.finish(message, leftover) } }
        }
    }

    private func finish(_ message: DurableMessage, _ leftover: Leftover) async {
        switch leftover {
        case .unwanted:
            guard await answerQuietly(message, .acknowledge) else { return }
            counts.skipped.add(1, ordering: .relaxed)
        case .repeated(let answer):
            if await answerQuietly(message, answer) { countConfirmed(message) }
        case .answer(let answer): await answerQuietly(message, answer)
        case .giveUp(let event, let reason): await giveUp(message, event, reason)
        }
    }

    /// Extends the acknowledgement wait of every event held, three times within that wait.
    private func keepAlive() async {
        while !settled.isSent {
            do {
                try await Task.sleep(for: configuration.acknowledgementWait / 3)
            } catch {
                return
            }
            for message in state.withLock({ $0.extendAll(.now) }) {
                message.retry == nil ? consumer.extend(message) : retries.extend(message)
            }
        }
    }

    // MARK: For answers

    /// Begins to answer an event; `nil` when it is no longer held here.
    func claim(_ id: UInt64, _ answer: DurableAnswer? = nil) -> DurableEntry? {
        state.withLock { $0.claim(id, answer) }
    }

    /// Removes an event that was answered.
    func settle(_ id: UInt64, _ answer: DurableAnswer? = nil) {
        let isSettled = state.withLock { state in
            state.settle(id, answer, .now)
            return state.isSettled
        }
        wakePumps()
        if isSettled { settled.send() }
    }

    /// Counts an acknowledgement that the store has confirmed, once for each event.
    func countConfirmed(_ message: DurableMessage) {
        if state.withLock({ $0.confirm(message) }) { counts.acknowledged.add(1, ordering: .relaxed) }
    }

    /// Whether the store has confirmed an answer to this event.
    func isConfirmed(_ entry: DurableEntry) -> Bool { state.withLock { $0.isConfirmed(entry.message) } }

    /// Whether the store may have lost this delivery.
    func isDoubtful(_ entry: DurableEntry) -> Bool { state.withLock { $0.isDoubtful(entry) } }

    /// Notes that the store has not confirmed an answer.
    func unconfirmed(_ entry: DurableEntry) { state.withLock { $0.unconfirmed(entry) } }

    /// Starts an event's acknowledgement wait anew here, and returns its newest delivery; `nil` when it is no longer
    /// held.
    func extend(_ id: UInt64) -> DurableMessage? { state.withLock { $0.extend(id, .now) } }

    func report(_ message: Logger.Message, _ error: MeshEventsError) {
        limit.admit { suppressed in
            logger.warning(
                message,
                [.durable: "\(name)", .error: "\(error)", .unreported: "\(suppressed)"]
            )
        }
    }

    // MARK: Ending

    /// Ends at once; a background task hands back the events held.
    func cancel() { end(nil) }

    /// Ends at once; on return the events held have been handed back, if the store could be reached.
    func cancelAndWait() async {
        end(nil)
        let deadline = ContinuousClock.now + .seconds(5)
        try? await handedBack.wait(until: deadline, for: "")
        try? await pumped.wait(until: deadline, for: "")
    }

    /// Stops fetching; on return the events that waited here have been handed back.
    func stopTaking() async {
        let (messages, isSettled) = state.withLock { state in (state.drain(), state.isSettled) }
        stopPump()
        if isSettled { settled.send() }
        wakeReaders()
        await handBack(messages)
    }

    /// Stops fetching and waits until all events handed out have been answered; at the deadline hands back the rest.
    func drain(until deadline: ContinuousClock.Instant) async throws(MeshEventsError) {
        await stopTaking()
        do throws(MeshEventsError) {
            try await pumped.wait(until: deadline, for: "the last request for events to end")
            try await settled.wait(until: deadline, for: "the events handed out to be answered")
        } catch {
            await cancelAndWait()
            throw error
        }
        await cancelAndWait()
    }

    private func end(_ error: MeshEventsError?) {
        let (messages, isFirst, isSettled) = state.withLock { state in
            if case .ended = state.phase { return ([DurableMessage](), false, false) }
            return (state.end(error), true, state.isSettled)
        }
        guard isFirst else { return }
        if let error {
            logger.error("durable subscription ended", [.durable: "\(name)", .error: "\(error)"])
        }
        stopPump()
        retries.stop()
        tasks.withLock { $0.keepAlive }?.cancel()
        if isSettled { settled.send() }
        wakeReaders()
        Task {
            await handBack(messages)
            handedBack.send()
            tellEnd()
        }
    }

    private func stopPump() {
        wake.yield()
        // Cancels a request that waits for a first message. One that does not wait may bring messages, so it is left to
        // end.
        let pump = tasks.withLock { $0.isWaiting ? $0.pump : nil }
        pump?.cancel()
    }

    /// Hands messages back in the order of the stream. The store delivers those not handed back in time again by
    /// itself.
    ///
    /// The last request may still bring messages. They are sorted in with the others: handed back on arrival, they
    /// would break the order.
    private func handBack(_ messages: [DurableMessage]) async {
        let end = ContinuousClock.now + Self.lastRequest
        try? await pumped.wait(until: end, for: "the last request for events to end")
        if retries.isStopped { try? await retries.ended.wait(until: end, for: "the last retry to be taken") }
        let late = state.withLock { $0.takeRefused() }
        let deadline = ContinuousClock.now + .seconds(4)
        for message in (messages + late).sorted(by: { $0.stored.sequence < $1.stored.sequence }) {
            let left = deadline - .now
            guard left > .zero else { return }
            await answerQuietly(message, .redeliver(after: .zero), deadline: left)
        }
    }

    private func tellEnd() {
        let body = onEnd.withLock { $0.take() }
        body?()
    }
}
