/// An event in this subscriber's hands.
struct DurableEntry {
    let id: UInt64
    let event: Event
    /// The newest delivery of it.
    fileprivate(set) var message: DurableMessage
    /// When its acknowledgement wait began, as far as known here.
    fileprivate(set) var since: ContinuousClock.Instant
    /// The number of the request that brought it.
    let batch: UInt64
    /// When it was handed out; `nil` while it waits.
    fileprivate(set) var handedOut: ContinuousClock.Instant?
    /// Whether an answer is on its way.
    fileprivate(set) var isAnswering = false
}

/// What a reader gets.
enum DurableTaken {
    case entry(DurableEntry)
    case end
    case failure(MeshEventsError)
}

/// What a durable subscription holds and what it does next, as a pure value: messages, readers and answers go in,
/// decisions come out.
struct DurableState<Waiter: Sendable>: Sendable {
    enum Phase {
        case running
        /// Nothing new comes; what was handed out is waited for.
        case draining
        case ended(MeshEventsError?)
    }

    /// What to fetch.
    enum Demand: Equatable {
        case fetch(Int)
        /// Nobody waits.
        case idle
        /// Too much is in hand; look again then, or when something was answered.
        case full(until: ContinuousClock.Instant)
        case stop
    }

    /// What became of a message that arrived.
    enum Arrival: Equatable {
        case accepted
        /// It is here already, and alive.
        case ignored
        /// It was handled before: answer again.
        case answered(DurableAnswer)
        /// Nobody takes it any more: hand it back.
        case refused
        /// It was delivered too often: give it up.
        case exhausted
    }

    private let maximumOutstanding: Int
    private let acknowledgementWait: Duration
    private let workers: Int
    /// Whether everything in hand has its acknowledgement wait extended by itself.
    private let keepsAlive: Bool
    private(set) var phase = Phase.running
    private var entries: [UInt64: DurableEntry] = [:]
    private var ids: [HandledEvents.Key: UInt64] = [:]
    private var waiting: [UInt64] = []
    private var waitingHead = 0
    private var waiters: [(id: UInt64, waiter: Waiter)] = []
    private var handled = HandledEvents()
    /// What arrived when nothing was taken any more; `nil` when it is not kept any longer.
    private var refused: [DurableMessage]? = []
    private var estimate = PrefetchEstimate()
    private var lastID: UInt64 = 0
    private var batch: UInt64 = 0
    /// The newest request of which the store does not know a delivery.
    private var doubtful: UInt64 = 0

    init(maximumOutstanding: Int, acknowledgementWait: Duration, workers: Int, keepsAlive: Bool) {
        self.maximumOutstanding = max(maximumOutstanding, 1)
        self.acknowledgementWait = acknowledgementWait
        self.workers = max(workers, 1)
        self.keepsAlive = keepsAlive
    }

    var isRunning: Bool { if case .running = phase { true } else { false } }

    /// Whether nothing comes any more and nothing is in hand.
    var isSettled: Bool { !isRunning && entries.isEmpty }

    /// How many events are in hand.
    var outstanding: Int { entries.count }

    private var waitingCount: Int { waiting.count - waitingHead }

    // MARK: Messages

    /// What to fetch now.
    func demand(_ now: ContinuousClock.Instant) -> Demand {
        guard isRunning else { return .stop }
        guard waitingCount == 0, !waiters.isEmpty else { return .idle }
        // What was not answered in time comes again, to whomever: it is not in hand any more.
        let fresh = entries.values.lazy.map { $0.since + acknowledgementWait }.filter { $0 > now }
        let room = maximumOutstanding - fresh.count
        guard room > 0 else { return .full(until: fresh.min() ?? now) }
        let ready = estimate.count(workers: workers, maximum: maximumOutstanding)
        return .fetch(min(room, waiters.count + ready))
    }

    /// The messages of another request are about to arrive.
    mutating func beginBatch() { batch += 1 }

    /// A message arrived.
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
            // Whoever has it may have let go of it, unless we know better.
            if keepsAlive || entry.handedOut == nil || entry.isAnswering {
                entry.message = message
                entry.since = now
                entries[id] = entry
                return .ignored
            }
            entries[id] = nil
        }
        guard message.deliveries <= limit else { return .exhausted }
        lastID += 1
        entries[lastID] = DurableEntry(id: lastID, event: event, message: message, since: now, batch: batch)
        ids[key] = lastID
        waiting.append(lastID)
        return .accepted
    }

    // MARK: Readers

    /// A number for a reader that may have to wait.
    mutating func reserveID() -> UInt64 {
        lastID += 1
        return lastID
    }

    /// What a reader gets now; `nil` when it has to wait.
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
            // What has waited here for long is about to come again: to hand it out now would be to do it twice.
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

    /// A reader waits.
    mutating func wait(_ waiter: Waiter, id: UInt64) { waiters.append((id, waiter)) }

    /// A reader waits no more.
    mutating func removeWaiter(_ id: UInt64) -> Waiter? {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return nil }
        return waiters.remove(at: index).waiter
    }

    /// A reader that waits and what it gets.
    mutating func takeWake(_ now: ContinuousClock.Instant) -> (waiter: Waiter, taken: DurableTaken)? {
        guard !waiters.isEmpty, let taken = take(now) else { return nil }
        return (waiters.removeFirst().waiter, taken)
    }

    // MARK: Answers

    /// Begins to answer; `nil` when the event is not in hand any more.
    ///
    /// - Parameter answer: what is remembered from now on, when it is for good.
    mutating func claim(_ id: UInt64, _ answer: DurableAnswer? = nil) -> DurableEntry? {
        guard var entry = entries[id], !entry.isAnswering else { return nil }
        entry.isAnswering = true
        entries[id] = entry
        if let answer { handled.insert(HandledEvents.Key(entry.message), answer) }
        return entry
    }

    /// The event is not in hand any more.
    ///
    /// - Parameter answer: what is remembered, when it was answered for good.
    mutating func settle(_ id: UInt64, _ answer: DurableAnswer?, _ now: ContinuousClock.Instant) {
        guard let entry = entries[id] else { return }
        if let answer { handled.insert(HandledEvents.Key(entry.message), answer) }
        if let handedOut = entry.handedOut { estimate.record(now - handedOut) }
        forget(entry)
    }

    /// The store does not know the delivery of `entry`: what waits here and was delivered with it or before is forgotten.
    ///
    /// A server that was killed may have forgotten its last deliveries; it does not confirm answers to them, and
    /// delivers again. To hand the others out would be to wait in vain for each.
    mutating func unconfirmed(_ entry: DurableEntry) {
        doubtful = max(doubtful, entry.batch)
        for other in entries.values where other.batch <= entry.batch && other.handedOut == nil { forget(other) }
    }

    /// Whether the store may not know this delivery either, so that its confirmation is not to be waited for long.
    func isDoubtful(_ entry: DurableEntry) -> Bool { entry.batch <= doubtful }

    /// An event's acknowledgement wait begins anew; `nil` when it is not in hand any more.
    mutating func extend(_ id: UInt64, _ now: ContinuousClock.Instant) -> DurableMessage? {
        guard let entry = entries[id] else { return nil }
        entries[id]?.since = now
        return entry.message
    }

    /// Everything whose acknowledgement wait is to begin anew.
    mutating func extendAll(_ now: ContinuousClock.Instant) -> [DurableMessage] {
        for id in entries.keys { entries[id]?.since = now }
        return entries.values.map(\.message)
    }

    // MARK: Ending

    /// Takes nothing more; what waited here is handed back.
    mutating func drain() -> [DurableMessage] {
        guard isRunning else { return [] }
        phase = .draining
        return handBack { $0.handedOut == nil }
    }

    /// Keeps a message that no reader takes any more, to be handed back with the others.
    ///
    /// - Returns: Whether it is kept; when it is not, the others have been handed back already.
    mutating func keepRefused(_ message: DurableMessage) -> Bool {
        refused?.append(message)
        return refused != nil
    }

    /// What was kept; from now on nothing is.
    mutating func takeRefused() -> [DurableMessage] {
        defer { refused = nil }
        return refused ?? []
    }

    /// Ends; what is in hand is handed back, unless its answer is on its way.
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
