import MeshConcurrency

/// An event that this subscriber holds: waiting, handed out, or being answered.
struct DurableEntry {
    let id: UInt64
    let event: Event
    /// The event's newest delivery.
    fileprivate(set) var message: DurableMessage
    /// When its acknowledgement wait began, by this process's clock.
    fileprivate(set) var since: ContinuousClock.Instant
    /// The number of the request that brought it.
    let batch: UInt64
    /// When it was handed out; `nil` while it waits.
    fileprivate(set) var handedOut: ContinuousClock.Instant?
    /// Whether an answer is being sent.
    fileprivate(set) var isAnswering = false
}

/// What a reader gets: an event, the end, or an error.
enum DurableTaken {
    case entry(DurableEntry)
    case end
    case failure(MeshEventsError)
}

/// The state of a durable subscription as a pure value: it takes messages, readers and answers, and decides what to do
/// next.
struct DurableState: AwaitableState {
    enum Phase {
        case running
        /// No new events are taken; the events handed out are awaited.
        case draining
        case ended(MeshEventsError?)
    }

    /// What to fetch.
    enum Demand: Equatable {
        case fetch(Int)
        /// No reader waits.
        case idle
        /// Too many events are held; ask again at this time, or after an answer.
        case full(until: ContinuousClock.Instant)
        case stop
    }

    /// What to do with a message that arrived.
    enum Arrival: Equatable {
        case accepted
        /// Drop it: the event is held here already and its delivery is still valid.
        case ignored
        /// Answer it again: the event was answered before.
        case answered(DurableAnswer)
        /// Hand it back: the subscription takes no more events.
        case refused
        /// Give it up: it was delivered too often.
        case exhausted
    }

    private let maximumOutstanding: Int
    private let acknowledgementWait: Duration
    private let workers: Int
    /// Whether the acknowledgement wait of all events held is extended by itself.
    private let keepsAlive: Bool
    private(set) var phase = Phase.running
    private var entries: [UInt64: DurableEntry] = [:]
    private var ids: [HandledEvents.Key: UInt64] = [:]
    private var waiting: [UInt64] = []
    private var waitingHead = 0
    private var handled = HandledEvents()
    /// Messages that arrived after the subscription stopped taking; `nil` when they are no longer kept.
    private var refused: [DurableMessage]? = []
    private var estimate = PrefetchEstimate()
    private var lastID: UInt64 = 0
    private var batch: UInt64 = 0
    /// One of how many events passes the filter, by the last requests.
    private var spacing = 1
    /// The most events that are fetched for each one that is wanted.
    private static let largestSpacing = 256
    /// The number of the newest request with a delivery that the store has lost.
    private var doubtful: UInt64 = 0

    init(maximumOutstanding: Int, acknowledgementWait: Duration, workers: Int, keepsAlive: Bool) {
        self.maximumOutstanding = max(maximumOutstanding, 1)
        self.acknowledgementWait = acknowledgementWait
        self.workers = max(workers, 1)
        self.keepsAlive = keepsAlive
    }

    var isRunning: Bool { if case .running = phase { true } else { false } }

    /// Whether the subscription takes no more events and holds none.
    var isSettled: Bool { !isRunning && entries.isEmpty }

    /// How many events are held.
    var outstanding: Int { entries.count }

    private var waitingCount: Int { waiting.count - waitingHead }

    // MARK: Messages

    /// What to fetch now.
    ///
    /// - Parameter readers: how many readers wait.
    func demand(_ now: ContinuousClock.Instant, readers: Int) -> Demand {
        guard isRunning else { return .stop }
        guard waitingCount == 0, readers > 0 else { return .idle }
        let held = held(now)
        let room = maximumOutstanding - held.count
        guard room > 0 else { return .full(until: held.firstEnd ?? now) }
        let ready = estimate.count(workers: workers, maximum: maximumOutstanding)
        return .fetch(min(room, (readers + ready) * spacing))
    }

    /// Whether to take the retry of a dead letter now: a reader waits for an event, or will within a quarter of a
    /// second. A retry waits for its turn beside events that come without end.
    ///
    /// - Parameter readers: how many readers wait.
    func takesRetry(_ now: ContinuousClock.Instant, readers: Int) -> Bool {
        guard isRunning, held(now).count < maximumOutstanding else { return false }
        return readers > 0 || estimate.count(workers: workers, maximum: maximumOutstanding) > 0
    }

    /// How many events are held, and when the first of their waits ends. The store delivers events not answered in time
    /// again, to any subscriber; so they do not count.
    private func held(_ now: ContinuousClock.Instant) -> (count: Int, firstEnd: ContinuousClock.Instant?) {
        let fresh = entries.values.lazy.map { $0.since + acknowledgementWait }.filter { $0 > now }
        return (fresh.count, fresh.min())
    }

    /// Notes that the messages of another request are about to arrive.
    mutating func beginBatch() { batch += 1 }

    /// Notes how many messages of a request do not pass the filter: as long as none passes, requests grow.
    mutating func endBatch(_ count: Int, unwanted: Int) {
        guard count > 0 else { return }
        let next = unwanted == count ? spacing * 2 : count / (count - unwanted)
        spacing = min(max(next, 1), Self.largestSpacing)
    }

    /// Takes a message that arrived.
    ///
    /// - Parameter limit: how often a message may be delivered.
    mutating func arrive(
        _ message: DurableMessage,
        _ event: Event,
        _ now: ContinuousClock.Instant,
        limit: Int = .max
    ) -> Arrival {
        guard isRunning else { return .refused }
        let key = HandledEvents.Key(message)
        if let answer = handled.answer(to: key) { return .answered(answer) }
        if let id = ids[key], var entry = entries[id] {
            // The reader may have dropped the event without an answer, except in the cases below.
            if keepsAlive || entry.handedOut == nil || entry.isAnswering {
                entry.message = message
                entry.since = now
                entries[id] = entry
                return .ignored
            }
            forget(entry)
        }
        guard message.deliveries <= limit else { return .exhausted }
        lastID += 1
        entries[lastID] = DurableEntry(id: lastID, event: event, message: message, since: now, batch: batch)
        ids[key] = lastID
        waiting.append(lastID)
        return .accepted
    }

    // MARK: Readers

    /// Takes the next event, the end or the error for a reader; `nil` when it has to wait.
    mutating func take(_ now: ContinuousClock.Instant) -> DurableTaken? {
        switch phase {
        case .ended(let error?): return .failure(error)
        case .ended(nil), .draining: return .end
        case .running: break
        }
        while waitingHead < waiting.count {
            let id = waiting[waitingHead]
            waitingHead += 1
            if waitingHead == waiting.count {
                waiting.removeAll(keepingCapacity: true)
                waitingHead = 0
            }
            guard var entry = entries[id] else { continue }
            // The store is about to deliver an event again that has waited here for long; handed out now, it would be
            // handled twice.
            guard entry.since + acknowledgementWait * 0.8 > now else {
                forget(entry)
                continue
            }
            entry.handedOut = now
            entries[id] = entry
            return .entry(entry)
        }
        return nil
    }

    mutating func takeAnswer() -> DurableTaken? { take(.now) }

    // MARK: Answers

    /// Begins to answer an event; `nil` when it is no longer held or is being answered already.
    ///
    /// - Parameter answer: the answer to remember from now on, when it is final.
    mutating func claim(_ id: UInt64, _ answer: DurableAnswer? = nil) -> DurableEntry? {
        guard var entry = entries[id], !entry.isAnswering else { return nil }
        entry.isAnswering = true
        entries[id] = entry
        if let answer { handled.insert(HandledEvents.Key(entry.message), answer, isConfirmed: false) }
        return entry
    }

    /// Removes an event that was answered.
    ///
    /// - Parameter answer: the answer to remember, when it is final.
    mutating func settle(_ id: UInt64, _ answer: DurableAnswer?, _ now: ContinuousClock.Instant) {
        guard let entry = entries[id] else { return }
        if let answer { handled.insert(HandledEvents.Key(entry.message), answer) }
        if let handedOut = entry.handedOut { estimate.record(now - handedOut) }
        forget(entry)
    }

    /// Notes that the store may have lost the delivery of `entry`: forgets the waiting events of the same request and
    /// of earlier ones.
    ///
    /// A server that was killed may have lost its last deliveries. It does not confirm answers to them, and delivers
    /// those events again. Each of the others, if handed out, would wait in vain for its confirmation.
    mutating func unconfirmed(_ entry: DurableEntry) {
        doubtful = max(doubtful, entry.batch)
        for other in entries.values where other.batch <= entry.batch && other.handedOut == nil { forget(other) }
    }

    /// Notes that the store has confirmed the answer to a delivery.
    ///
    /// - Returns: whether this is the first confirmation of an answer to the event.
    mutating func confirm(_ message: DurableMessage) -> Bool { handled.confirm(HandledEvents.Key(message)) }

    /// Whether the store has confirmed the answer to the event, for this delivery or another one.
    func isConfirmed(_ message: DurableMessage) -> Bool { handled.isConfirmed(HandledEvents.Key(message)) }

    /// Whether the store may have lost this delivery too, so that its confirmation is awaited only briefly.
    func isDoubtful(_ entry: DurableEntry) -> Bool { entry.batch <= doubtful }

    /// Starts an event's acknowledgement wait anew; `nil` when it is no longer held.
    mutating func extend(_ id: UInt64, _ now: ContinuousClock.Instant) -> DurableMessage? {
        guard let entry = entries[id] else { return nil }
        entries[id]?.since = now
        return entry.message
    }

    /// Starts the acknowledgement wait of all events held anew, and returns their deliveries.
    mutating func extendAll(_ now: ContinuousClock.Instant) -> [DurableMessage] {
        for id in entries.keys { entries[id]?.since = now }
        return entries.values.map(\.message)
    }

    // MARK: Ending

    /// Stops taking events; returns those that waited here, to be handed back.
    mutating func drain() -> [DurableMessage] {
        guard isRunning else { return [] }
        phase = .draining
        return handBack { $0.handedOut == nil }
    }

    /// Keeps a message that arrived after the end, to be handed back with the others.
    ///
    /// - Returns: whether it is kept; `false` when the others have been handed back already.
    mutating func keepRefused(_ message: DurableMessage) -> Bool {
        refused?.append(message)
        return refused != nil
    }

    /// Returns the messages kept; from now on none are kept.
    mutating func takeRefused() -> [DurableMessage] {
        defer { refused = nil }
        return refused ?? []
    }

    /// Ends; returns the events held, to be handed back, except those whose answer is being sent.
    mutating func end(_ error: MeshEventsError?) -> [DurableMessage] {
        if case .ended = phase { return [] }
        phase = .ended(error)
        return handBack { !$0.isAnswering }
    }

    private mutating func handBack(_ isReturned: (DurableEntry) -> Bool) -> [DurableMessage] {
        let returned = entries.values.filter(isReturned).sorted { $0.id < $1.id }
        for entry in returned { forget(entry) }
        return returned.map(\.message)
    }

    private mutating func forget(_ entry: DurableEntry) {
        entries[entry.id] = nil
        let key = HandledEvents.Key(entry.message)
        if ids[key] == entry.id { ids[key] = nil }
    }
}

/// Remembers the newest final answers. When an answer was lost and its event is delivered again, the event is answered
/// again and not handled again. A pure value of bounded size.
struct HandledEvents {
    /// A sequence alone is not enough: a stream that was deleted and created again assigns the same sequences. The retry
    /// of an event that was given up is another key.
    struct Key: Hashable {
        let sequence: UInt64
        let storedAt: Timestamp
        let retry: DurableRetry?

        init(_ message: DurableMessage) {
            sequence = message.stored.sequence
            storedAt = message.stored.storedAt
            retry = message.retry
        }
    }

    private let capacity: Int
    private var answers: [Key: DurableAnswer] = [:]
    /// The events whose answer the store has not confirmed yet.
    private var unconfirmed: Set<Key> = []
    private var order: [Key] = []
    private var next = 0

    init(capacity: Int = 8192) { self.capacity = max(capacity, 1) }

    /// The answer to the event; `nil` when there was none, or too long ago.
    func answer(to key: Key) -> DurableAnswer? { answers[key] }

    /// Notes that the store has confirmed the answer to an event.
    ///
    /// - Returns: whether this is the first confirmation.
    mutating func confirm(_ key: Key) -> Bool { unconfirmed.remove(key) != nil || answers[key] == nil }

    /// Whether the store has confirmed the answer to an event, for any of its deliveries.
    func isConfirmed(_ key: Key) -> Bool { answers[key] != nil && !unconfirmed.contains(key) }

    /// Remembers an answer; replaces the oldest one when the capacity is reached.
    ///
    /// - Parameter isConfirmed: `false` when the answer is about to be sent.
    mutating func insert(_ key: Key, _ answer: DurableAnswer, isConfirmed: Bool = true) {
        guard answers.updateValue(answer, forKey: key) == nil else { return }
        if !isConfirmed { unconfirmed.insert(key) }
        if order.count < capacity {
            order.append(key)
        } else {
            answers[order[next]] = nil
            unconfirmed.remove(order[next])
            order[next] = key
            next = (next + 1) % capacity
        }
    }
}

/// Estimates how many events to fetch beyond those that readers wait for: as many as they handle in a quarter of a
/// second. Quick handlers get large batches, slow ones leave events to other subscribers. A pure value.
struct PrefetchEstimate {
    private static let horizon: Duration = .milliseconds(250)

    /// The running mean of the time from handing out to the answer.
    private var mean: Duration?

    /// Records how long it took to handle an event.
    mutating func record(_ duration: Duration) {
        mean = mean.map { $0 * 0.8 + duration * 0.2 } ?? duration
    }

    /// How many events to have ready for so many workers, at most `maximum`; 0 until a first duration is recorded.
    func count(workers: Int, maximum: Int) -> Int {
        guard let mean, maximum > 0 else { return 0 }
        let each = Self.horizon / max(mean, .microseconds(1))
        return Int(min(each * Double(workers), Double(maximum)))
    }
}

/// Computes how long to wait after a failed request, and when to give up. A pure value.
struct DurableFailures {
    private let tolerated: Duration
    private var delay: Duration = .milliseconds(50)
    private var missingSince: ContinuousClock.Instant?

    /// - Parameter tolerated: how long the durable may be missing.
    init(tolerated: Duration) { self.tolerated = tolerated }

    mutating func succeeded() {
        delay = .milliseconds(50)
        missingSince = nil
    }

    /// The wait before the next request; `nil` to give up.
    mutating func failed(_ error: MeshEventsError, now: ContinuousClock.Instant) -> Duration? {
        switch error.code {
        case .durableNotFound, .streamNotFound:
            let since = missingSince ?? now
            missingSince = since
            guard now - since < tolerated else { return nil }
        default:
            missingSince = nil
            guard error.isRetriable else { return nil }
        }
        defer { delay = min(delay * 2, .seconds(2)) }
        return delay
    }
}
