/// What a watch has received over all the consumers it has used; it decides what a delivery means. A pure value.
struct WatchProgress: Sendable {
    /// What follows from a delivery.
    enum Verdict: Sendable, Equatable {
        /// The reader gets it.
        case deliver
        /// The reader has had it, or there is nothing to deliver.
        case ignore
        /// A delivery of the consumer is missing: go on with another consumer.
        case restart
    }

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
    private var isComplete = false
    private var wasTold = false

    init(start: KeyValueBucket.WatchStart, last: UInt64) {
        (self.last, newest) = (last, last)
        switch start {
        case .values, .history: next = nil
        case .changes: next = last.following
        case .revision(let revision): next = max(revision, 1)
        }
    }

    /// Notes a new consumer, which has so many messages to deliver.
    mutating func begin(pending: UInt64) {
        (delivered, outstanding) = (0, 0)
        if pending == 0 || next ?? 0 > last { isComplete = true }
    }

    /// Notes that so many messages are asked for.
    mutating func requested(_ count: Int) { outstanding = count }

    /// Notes that the request has ended.
    mutating func requestEnded() { outstanding = 0 }

    /// Takes a message, behind which `pending` more match.
    mutating func take(delivery: UInt64, revision: UInt64, pending: UInt64) -> Verdict {
        guard delivery == delivered.following else { return .restart }
        delivered = delivery
        outstanding = max(0, outstanding - 1)
        if pending == 0 || revision >= last { isComplete = true }
        newest = max(newest, revision)
        guard revision >= next ?? 0 else { return .ignore }
        next = revision.following
        return .deliver
    }

    /// Takes a heartbeat: the consumer has nothing to deliver. `delivery` is the number of its last delivery, when the
    /// heartbeat has it.
    mutating func heartbeat(delivery: UInt64?) -> Verdict {
        if let delivery, delivery != delivered { return .restart }
        isComplete = true
        return .ignore
    }

    /// Whether all that was stored at the beginning has now come; `true` once.
    mutating func takeCompletion() -> Bool {
        guard isComplete, !wasTold else { return false }
        wasTold = true
        return true
    }
}

extension UInt64 {
    /// The next number; the greatest one is followed by itself.
    fileprivate var following: UInt64 { self == .max ? .max : self + 1 }
}
