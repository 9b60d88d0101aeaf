/// What a watch has received over all the consumers it has used; it decides what a delivery means. A pure value.
///
/// A watch that begins with values has two phases. The first consumer brings the newest revision of each key
/// (`last_per_subject`). Of these only the ones count that were stored when the watch began. A second consumer, by
/// sequence, brings all later ones: nats-server 2.9 may leave out of the first what is stored while that is made. After
/// a loss within the first phase, a consumer by sequence does the work of both.
struct WatchProgress: Sendable {
    /// What follows from a delivery.
    enum Verdict: Sendable, Equatable {
        /// The reader gets it.
        case deliver
        /// The reader has had it, or there is nothing to deliver.
        case ignore
        /// A delivery of the consumer is missing: go on with another consumer.
        case restart
        /// The consumer may have delivered all: ask how many messages it still has; see ``answered(pending:delivered:)``.
        case ask
    }

    /// After so many heartbeats in a row the beginning is complete, whatever the server counts: nats-server 2.9 may
    /// count one message too many for ever.
    static let heartbeatsTolerated = 3

    /// Where the next consumer begins: behind the last revision that came. `nil` before the first one, unless the watch
    /// begins at a revision.
    private(set) var next: UInt64?
    /// How many messages were asked for and have not come.
    private(set) var outstanding = 0
    /// The newest revision when the watch began.
    private let last: UInt64
    /// The newest revision that is known: the bucket has lost revisions when its last one is older.
    private(set) var newest: UInt64
    /// The number of the present consumer's last delivery.
    private(set) var delivered: UInt64 = 0
    /// Whether the present consumer is that of the first phase.
    private(set) var readsValues = false
    private let beginsWithValues: Bool
    private var isComplete = false
    private var wasTold = false
    /// How many heartbeats have come in a row.
    private var heartbeats = 0

    init(start: KeyValueBucket.WatchStart, last: UInt64) {
        (self.last, newest) = (last, last)
        beginsWithValues = start == .values
        switch start {
        // A stream that has never held a message has no first phase.
        case .values: next = last == 0 ? 1 : nil
        case .history: next = nil
        case .changes: next = last.following
        case .revision(let revision): next = max(revision, 1)
        }
    }

    /// Where the next consumer begins.
    var start: ConsumerConfiguration.Start { next.map { .sequence($0) } ?? (beginsWithValues ? .lastPerSubject : .all) }

    /// Whether the first phase is over, and the second one needs its consumer.
    var needsConsumer: Bool { readsValues && next != nil && isComplete }

    /// Notes a new consumer, which has so many messages to deliver.
    mutating func begin(pending: UInt64) {
        (delivered, outstanding, heartbeats) = (0, 0, 0)
        readsValues = beginsWithValues && next == nil
        if pending == 0 || next ?? 0 > last { complete() }
    }

    /// Notes that so many messages are asked for.
    mutating func requested(_ count: Int) { outstanding = count }

    /// Notes that the request has ended; `isCut` when the next message was larger than what was left of its bytes.
    mutating func requestEnded(isCut: Bool = false) {
        outstanding = 0
        if isCut { heartbeats = 0 }
    }

    /// Gives up the first phase: the next consumer begins by sequence.
    mutating func leaveValues() { next = next ?? 1 }

    /// Takes a message, behind which `pending` more match.
    mutating func take(delivery: UInt64, revision: UInt64, pending: UInt64) -> Verdict {
        guard delivery == delivered.following else { return .restart }
        delivered = delivery
        outstanding = max(0, outstanding - 1)
        heartbeats = 0
        newest = max(newest, revision)
        if readsValues, isComplete || revision > last {
            if !isComplete { complete() }
            return .ignore
        }
        // The second phase begins behind this revision, not behind `last`: when others write, the server may count too
        // few messages.
        if pending == 0 || revision >= last { isComplete = true }
        guard revision >= next ?? 0 else { return .ignore }
        next = revision.following
        return .deliver
    }

    /// Takes a heartbeat: the consumer delivers nothing at the moment. `delivery` is the number of its last delivery,
    /// when the heartbeat has it.
    mutating func heartbeat(delivery: UInt64?) -> Verdict {
        if let delivery, delivery != delivered { return .restart }
        guard !isComplete else { return .ignore }
        heartbeats += 1
        if heartbeats >= Self.heartbeatsTolerated { complete() }
        return heartbeats == 1 ? .ask : .ignore
    }

    /// Takes the server's answer about the consumer: how many messages it still has, and how many it has delivered.
    mutating func answered(pending: UInt64, delivered count: UInt64) {
        if pending == 0, count == delivered, !isComplete { complete() }
    }

    /// Whether all that was stored at the beginning has now come; `true` once.
    mutating func takeCompletion() -> Bool {
        guard isComplete, !wasTold else { return false }
        wasTold = true
        return true
    }

    /// Nothing more comes of what was stored at the beginning.
    private mutating func complete() {
        isComplete = true
        if readsValues { next = max(next ?? 0, last.following) }
    }
}

extension UInt64 {
    /// The next number; the greatest one is followed by itself.
    fileprivate var following: UInt64 { self == .max ? .max : self + 1 }
}
