/// A subscription as the event loop keeps it.
final class SubscriptionEntry {
    let sid: UInt64
    let subject: String
    let queueGroup: String?
    let receiver: any NATSMessageReceiver
    /// How many messages have been delivered.
    var delivered: UInt64 = 0
    /// The subscription ends after this many messages in all.
    var limit: UInt64?
    /// Whether it has had messages since the last batch end.
    var isTouched = false
    /// Why the server refused the subscription.
    var failure: NATSError?
    /// Whether it was drained: the server has been told to send no more, so that a new connection does not restore it.
    var isDraining = false

    init(sid: UInt64, subject: String, queueGroup: String?, receiver: any NATSMessageReceiver) {
        self.sid = sid
        self.subject = subject
        self.queueGroup = queueGroup
        self.receiver = receiver
    }
}

/// The subscriptions of a connection, by the id the protocol gives them. Confined to the event loop.
struct SubscriptionTable {
    private var entries: [UInt64: SubscriptionEntry] = [:]
    /// The entry that was found last: most messages go where the message before went.
    private var lastFound: SubscriptionEntry?

    var all: [SubscriptionEntry] { entries.values.sorted { $0.sid < $1.sid } }

    mutating func insert(_ entry: SubscriptionEntry) { entries[entry.sid] = entry }

    mutating func find(_ sid: UInt64) -> SubscriptionEntry? {
        if let lastFound, lastFound.sid == sid { return lastFound }
        lastFound = entries[sid]
        return lastFound
    }

    @discardableResult
    mutating func remove(_ sid: UInt64) -> SubscriptionEntry? {
        if lastFound?.sid == sid { lastFound = nil }
        return entries.removeValue(forKey: sid)
    }

    mutating func removeAll() -> [SubscriptionEntry] {
        defer {
            entries = [:]
            lastFound = nil
        }
        return all
    }
}
