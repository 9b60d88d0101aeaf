import Logging
import MeshConcurrency
import MeshLogging
import Synchronization

/// Delivers the retries of a durable's dead letters to the handlers of this process.
///
/// All handlers of the durable follow its records. The one that stores `delivered` first has the event; when it neither
/// answers nor asks for more time, another one takes it. While no retry is asked for, this costs a subscription, and one
/// small request a minute.
final class RetryDeliveries: Sendable {
    /// How often to look for records of which no message told. A connected server may have been cut off from others.
    private static let interval: Duration = .seconds(60)
    /// When to look again after a message: it reaches subscribers before it is stored.
    private static let lags: [Duration] = [
        .zero, .milliseconds(2), .milliseconds(10), .milliseconds(50), .milliseconds(200), .seconds(1),
    ]
    /// How long a handler may have an event without a word, at most. Each time that it asks for more, it gets twice as
    /// much: the stream keeps a record of each.
    private static let longestWait: Duration = .seconds(600)
    /// How long storing a record may take.
    private static let recordTime: Duration = .seconds(5)

    /// A retry that this process has.
    private struct Held {
        let order: UInt64
        let delivery: Int
        var wait: Duration
        /// When half of the wait is over.
        var half: ContinuousClock.Instant
        var wantsMore = false
        /// The new dead letter, once the event was given up again.
        var successor: UInt64?
        var isGivenUp = false
    }

    private struct State {
        var log: DeadLetterLog
        var held: [UInt64: Held] = [:]
        /// Whether records may have come of which no message told.
        var isStale = true
        /// The newest record that a message told of comes after this one.
        var heardAfter: UInt64?
        var isStopped = false
        var subscription: (any TransportSubscription)?
    }

    /// Sent when it has ended.
    let ended = OneTimeSignal()

    /// Tells this process's handlers from others.
    private let handler: String
    private let pattern: EventPattern
    private let acknowledgementWait: Duration
    private let history: HistoryStore
    private let records: DeadLetterLogStore
    private let state: Locked<State>
    /// Sent when the state has changed.
    private let waking = Wake()
    /// One record at a time, so that this process does not contradict itself.
    private let writing = OperationLock()
    /// Whether a retry waits for a reader.
    private let waitsForReader = Atomic(false)
    private let limit = SharedRateLimit(interval: .seconds(60))

    /// - Parameters:
    ///   - pattern: which events the durable delivers.
    ///   - acknowledgementWait: how long a handler may have an event without a word, at first.
    ///   - history: the messages of the stream and of its archive.
    ///   - records: the durable's records.
    init(pattern: EventPattern, acknowledgementWait: Duration, history: HistoryStore, records: DeadLetterLogStore) {
        handler = records.messageIDs.next()
        self.pattern = pattern
        self.acknowledgementWait = acknowledgementWait
        self.history = history
        self.records = records
        state = Locked(State(log: Self.emptyLog))
    }

    private static let emptyLog = DeadLetterLog(keepsSettled: false)

    // MARK: Following

    /// Follows the records until ``stop()``.
    ///
    /// - Parameters:
    ///   - isWanted: whether a reader can take an event now.
    ///   - deliver: takes an event.
    func run(isWanted: @Sendable () -> Bool, deliver: @Sendable (DurableMessage) async -> Void) async {
        await listen()
        let reconnections = Task { [weak self, transport = records.bus.transport] in
            for await _ in transport.reconnections { self?.wake { $0.isStale = true } }
        }
        defer {
            reconnections.cancel()
            state.withLock { $0.subscription.take() }?.cancel()
            ended.send()
        }
        var nextLook = ContinuousClock.now
        var failures = 0
        var hasLooked = false
        while !isStopped {
            do throws(MeshEventsError) {
                if try await look(isDue: nextLook <= .now) {
                    nextLook = .now + Self.interval
                    hasLooked = true
                }
                try await renew()
                failures = 0
                if hasDue {
                    if isWanted() {
                        if let message = try await take() { await deliver(message) }
                        continue
                    }
                    waitsForReader.store(true, ordering: .sequentiallyConsistent)
                    if isWanted() { continue }
                }
                await waking.wait(until: min(nextLook, nextTime))
            } catch {
                guard error.code != .closed else { return }
                failures += 1
                report(error)
                // A user who may only take the durable's events.
                guard hasLooked || error.code != .permissionDenied else { return }
                let delay: Duration = error.isRetriable ? .seconds(min(failures, 5)) : Self.interval
                nextLook = .now + delay
                await pause(until: nextLook)
            }
        }
    }

    /// Ends; events that are delivered still take their answers.
    func stop() {
        let subscription = state.withLock { state in
            state.isStopped = true
            return state.subscription.take()
        }
        subscription?.cancel()
        waking.send()
    }

    /// Notes that a reader waits.
    func wakeForReader() {
        guard waitsForReader.load(ordering: .sequentiallyConsistent) else { return }
        waitsForReader.store(false, ordering: .sequentiallyConsistent)
        wake { _ in }
    }

    /// Notes that a record comes after this one.
    fileprivate func heard(_ after: UInt64) { wake { $0.heardAfter = max($0.heardAfter ?? 0, after) } }

    private func wake(_ change: (inout State) -> Void) {
        state.withLock { change(&$0) }
        waking.send()
    }

    /// Whether it takes no more retries.
    var isStopped: Bool { state.withLock { $0.isStopped } }

    private func listen() async {
        // Without a subscription retries come up to a minute late.
        let subscription = try? await records.bus.transport.subscribe(
            to: records.subject,
            queueGroup: nil,
            receiver: RetryListener(self)
        )
        let isLate = state.withLock { state in
            if !state.isStopped { state.subscription = subscription }
            return state.isStopped
        }
        if isLate { subscription?.cancel() }
    }

    /// Sleeps, whatever happens meanwhile, until a deadline or the end.
    private func pause(until deadline: ContinuousClock.Instant) async {
        while .now < deadline, !isStopped { await waking.wait(until: deadline) }
    }

    private func report(_ error: MeshEventsError) {
        // Of these the durable itself tells.
        guard !error.isRetriable, error.code != .streamNotFound else { return }
        limit.admit { suppressed in
            records.bus.logger.warning(
                "the retries of dead letters cannot be followed, or their records not be stored",
                [.durable: "\(records.durable)", .error: "\(error)", .unreported: "\(suppressed)"]
            )
        }
    }

    // MARK: Records

    /// Takes in the records that were stored since, when there may be some.
    ///
    /// - Parameter isDue: whether to look in any case.
    /// - Returns: whether it has looked.
    private func look(isDue: Bool) async throws(MeshEventsError) -> Bool {
        let (isStale, heard) = state.withLock { state in
            defer { (state.isStale, state.heardAfter) = (false, nil) }
            return (state.isStale, state.heardAfter)
        }
        if isDue || isStale { try await catchUp() }
        guard let heard else { return isDue || isStale }
        for lag in Self.lags {
            // The records of this process are known already.
            guard state.withLock({ $0.log.last }) <= heard, !isStopped else { break }
            if lag > .zero { try? await Task.sleep(for: lag) }
            try await catchUp()
        }
        return true
    }

    private func catchUp() async throws(MeshEventsError) {
        try await writing.withLock { () async throws(MeshEventsError) in try await catchUpUnlocked() }
    }

    private func catchUpUnlocked() async throws(MeshEventsError) {
        var log = state.withLock { $0.log }
        try await records.read(into: &log, empty: Self.emptyLog, verifies: true)
        state.withLock { $0.log = log }
    }

    /// Stores a record about a dead letter, in the state in which it is then.
    ///
    /// - Parameter decision: what to store; `nil` for nothing.
    /// - Returns: what was stored.
    @discardableResult
    private func write(
        _ letter: UInt64,
        deadline: Duration,
        _ decision: (DeadLetterLog) -> DeadLetterRecord.Action?
    ) async throws(MeshEventsError) -> DeadLetterRecord.Action? {
        try await writing.withLock { () async throws(MeshEventsError) in
            let end = ContinuousClock.now + deadline
            while true {
                let log = state.withLock { $0.log }
                guard let action = decision(log) else { return nil }
                let record = DeadLetterRecord(letter, action, after: log.last)
                do throws(MeshEventsError) {
                    let note = try await records.append(record, deadline: max(end - .now, .milliseconds(100)))
                    state.withLock { $0.log.take(record, note, now: .now) }
                    return action
                } catch {
                    guard error.code == .conflict, .now < end else { throw error }
                    try? await Task.sleep(for: .milliseconds(Int.random(in: 0...10)))
                    try await catchUpUnlocked()
                }
            }
        }
    }

    // MARK: Taking

    private var hasDue: Bool { state.withLock { $0.log.due(.now) != nil } }

    /// When the next retry is due, or more time to be asked for.
    private var nextTime: ContinuousClock.Instant {
        state.withLock { state in
            let halves = state.held.values.lazy.filter(\.wantsMore).map(\.half)
            // What is due already waits for a reader.
            let due = state.log.nextDue.flatMap { $0 > .now ? $0 : nil }
            return [due, halves.min()].compactMap { $0 }.min() ?? .now + Self.interval
        }
    }

    /// Takes the next retry that is due; `nil` when another handler has it, or its original is gone.
    private func take() async throws(MeshEventsError) -> DurableMessage? {
        guard let entry = state.withLock({ $0.log.due(.now) }), let original = entry.original else { return nil }
        let stored = try await history.message(original.sequence, timeout: .seconds(10))
        guard let stored, stored.storedAt == original.storedAt, pattern.matches(subject: stored.subject) else {
            let reason =
                stored?.storedAt == original.storedAt
                ? "event \(original.sequence) is not one of this durable"
                : "event \(original.sequence) was gone, or another one, when it was to be delivered"
            try await write(entry.letter, deadline: Self.recordTime) { log in
                log[entry.letter]?.order == entry.order ? .undeliverable(reason: reason) : nil
            }
            return nil
        }
        let delivery = entry.deliveries + 1
        let wait = acknowledgementWait
        let taken = try await write(entry.letter, deadline: Self.recordTime) { log in
            guard let found = log[entry.letter], found.order == entry.order, found.deliveries == entry.deliveries,
                found.isDue(.now)
            else { return nil }
            return .delivered(delivery: delivery, handler: handler, wait: wait)
        }
        guard taken != nil else { return nil }
        state.withLock {
            $0.held[entry.letter] = Held(order: entry.order, delivery: delivery, wait: wait, half: .now + wait / 2)
        }
        return DurableMessage(
            stored: stored,
            deliveries: delivery,
            token: "retry \(entry.letter)",
            retry: DurableRetry(letter: entry.letter, order: entry.order)
        )
    }

    /// Asks for more time for the events whose handlers want it.
    private func renew() async throws(MeshEventsError) {
        let due = state.withLock { state in state.held.filter { $0.value.wantsMore && $0.value.half <= .now } }
        for (letter, held) in due {
            let wait = min(held.wait * 2, max(Self.longestWait, acknowledgementWait))
            try await extend(letter, held, wait, deadline: Self.recordTime)
        }
    }

    private func extend(
        _ letter: UInt64,
        _ held: Held,
        _ wait: Duration,
        deadline: Duration
    ) async throws(MeshEventsError) {
        let extended = try await write(letter, deadline: deadline) { log in
            guard let entry = log[letter], isHeld(entry, held.order, held.delivery) else { return nil }
            return .delivered(delivery: held.delivery, handler: handler, wait: wait)
        }
        state.withLock { state in
            guard state.held[letter]?.order == held.order else { return }
            state.held[letter]?.wantsMore = false
            guard extended != nil else { return }
            state.held[letter]?.wait = wait
            state.held[letter]?.half = .now + wait / 2
        }
    }

    private func isHeld(_ entry: DeadLetterLog.Entry, _ order: UInt64, _ delivery: Int) -> Bool {
        entry.order == order && entry.deliveries == delivery && entry.isHeld(by: handler)
    }

    // MARK: Answers

    /// Notes that the event was given up again, as another dead letter.
    func gaveUp(_ message: DurableMessage, letter: UInt64) {
        guard let retry = message.retry else { return }
        state.withLock { state in
            state.held[retry.letter]?.isGivenUp = true
            state.held[retry.letter]?.successor = letter
        }
    }

    /// Asks for more time soon.
    func extend(_ message: DurableMessage) {
        guard let retry = message.retry else { return }
        wake { $0.held[retry.letter]?.wantsMore = true }
    }

    /// Answers a delivery; returns once the answer is stored.
    ///
    /// - Throws: as ``DurableConsumer/answer(_:_:deadline:)``.
    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError) {
        guard let retry = message.retry else { return }
        let (letter, delivery) = (retry.letter, message.deliveries)
        switch answer {
        case .inProgress:
            let held = state.withLock { $0.held[letter] }
            guard let held, held.order == retry.order, held.delivery == delivery else { return }
            return try await extend(letter, held, acknowledgementWait, deadline: deadline)
        case .redeliver(let delay):
            try await write(letter, deadline: deadline) { log in
                guard let entry = log[letter], isHeld(entry, retry.order, delivery) else { return nil }
                return .failed(delivery: delivery, handler: handler, after: delay)
            }
        case .acknowledge, .terminate:
            let held = state.withLock { $0.held[letter] }
            try await write(letter, deadline: deadline) { log in
                guard !log.isSettled(letter) else { return nil }
                guard let held, held.isGivenUp else { return .handled(delivery: delivery) }
                return .givenUp(delivery: delivery, letter: held.successor)
            }
        }
        // A later delivery of the same retry is another one.
        state.withLock { state in
            guard let held = state.held[letter], held.order == retry.order, held.delivery == delivery else { return }
            state.held[letter] = nil
        }
        wake { _ in }
    }
}

/// Wakes the retries when a record is stored; drops the message. The reference is weak, because the transport holds this.
private final class RetryListener: MessageReceiver {
    private final class Reference: Sendable {
        weak let retries: RetryDeliveries?
        init(_ retries: RetryDeliveries) { self.retries = retries }
    }

    private let retries: Reference

    init(_ retries: RetryDeliveries) { self.retries = Reference(retries) }

    func receive(_ message: IncomingMessage) {
        let event = try? EventDecoder.decode(
            subject: String(decoding: message.subjectBytes, as: UTF8.self),
            payload: Array(message.payloadBytes),
            received: .now
        )
        guard let record = event.flatMap({ DeadLetterRecord($0.data) }) else { return }
        retries.retries?.heard(record.after)
    }

    func receiveBatchEnd() {}
    func receiveEnd(_ error: MeshEventsError?) {}
}
