import Synchronization

/// A subscription as the event loop keeps it.
final class SubscriptionEntry {
    let sid: UInt64
    let subject: String
    let queueGroup: String?
    let receiver: any NATSMessageReceiver
    /// How many messages have been delivered.
    fileprivate(set) var delivered: UInt64 = 0
    /// The subscription ends after this many messages in all.
    var limit: UInt64?
    /// Whether it has had messages since the last batch end.
    fileprivate var isTouched = false
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

/// The subscriptions of a connection, by the id the protocol gives them: delivers messages to their receivers. Used on
/// the event loop only, but for ``makeID()``.
final class SubscriptionTable {
    /// Receives the answers to the connection's requests; it is not among the subscriptions.
    let inbox: SubscriptionEntry
    private let lastID = Atomic<UInt64>(0)
    private var entries: [UInt64: SubscriptionEntry] = [:]
    /// The entry that was found last: most messages go where the message before went.
    private var lastFound: SubscriptionEntry?
    /// The entries that have had messages in this read.
    private var touched: [SubscriptionEntry] = []

    init(inbox: SubscriptionEntry) { self.inbox = inbox }

    /// From any thread: the id of a new subscription.
    func makeID() -> UInt64 { lastID.wrappingAdd(1, ordering: .relaxed).newValue }

    var all: [SubscriptionEntry] { entries.values.sorted { $0.sid < $1.sid } }

    func insert(_ entry: SubscriptionEntry) { entries[entry.sid] = entry }

    func find(_ sid: UInt64) -> SubscriptionEntry? {
        if let lastFound, lastFound.sid == sid { return lastFound }
        lastFound = entries[sid]
        return lastFound
    }

    /// Passes a message to the receiver of its subscription.
    func deliver(_ frame: MessageFrame) {
        guard let entry = frame.sid == inbox.sid ? inbox : find(frame.sid) else { return }
        entry.delivered += 1
        if !entry.isTouched {
            entry.isTouched = true
            touched.append(entry)
        }
        entry.receiver.receive(NATSMessageView(frame))
        if let limit = entry.limit, entry.delivered >= limit { end(entry, error: nil) }
    }

    /// Ends the batch of every subscription that has had messages.
    func finishBatch() {
        guard !touched.isEmpty else { return }
        let entries = touched
        touched.removeAll(keepingCapacity: true)
        for entry in entries {
            entry.isTouched = false
            entry.receiver.receiveBatchEnd()
        }
    }

    /// Removes a subscription; calls its receiver's `receiveEnd` after its last batch.
    func end(_ entry: SubscriptionEntry, error: NATSError?) {
        if lastFound?.sid == entry.sid { lastFound = nil }
        guard entries.removeValue(forKey: entry.sid) != nil else { return }
        if entry.isTouched {
            entry.isTouched = false
            touched.removeAll { $0 === entry }
            entry.receiver.receiveBatchEnd()
        }
        entry.receiver.receiveEnd(error)
    }

    /// Ends the subscriptions that the server has refused by their subject.
    func denied(_ name: ServerReport.SubscriptionName, error: NATSError) {
        let denied = all.filter { entry in
            guard entry.failure == nil, entry.subject == name.subject else { return false }
            return name.sid.map { $0 == entry.sid }
                ?? (name.isAnyQueueGroup || entry.queueGroup == name.queueGroup)
        }
        for entry in denied {
            entry.failure = error
            end(entry, error: error)
        }
    }

    /// Ends every subscription: no connection follows.
    func endAll(error: NATSError?) {
        let entries = all
        self.entries = [:]
        lastFound = nil
        for entry in entries { entry.receiver.receiveEnd(error) }
    }
}
