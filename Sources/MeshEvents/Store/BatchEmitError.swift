/// Why a batch was not stored completely, and which of its events are stored.
public struct BatchEmitError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public let cause: MeshEventsError
    /// The events that are stored, by their index in the batch. When the batch was an asynchronous sequence, those
    /// below ``forgotten`` are stored but not listed here.
    public let stored: [Int: StoredPosition]
    /// All events below this index are stored, but their positions are no longer kept. 0 unless the batch was an
    /// asynchronous sequence, which may have no end.
    public let forgotten: Int
    /// The events that were sent but never acknowledged, in order: they may be stored or not.
    public let unconfirmed: [Int]
    /// How many events were sent: those from this index on are not stored.
    public let sent: Int

    /// The first event, by its index, that is not known to be stored: all before it are.
    public var firstNotStored: Int { unconfirmed.first ?? sent }

    /// Creates an error about a batch of which the first `sent` events were sent.
    public init(cause: MeshEventsError, stored: [Int: StoredPosition], sent: Int, forgotten: Int = 0) {
        self.cause = cause
        self.stored = stored
        self.sent = sent
        self.forgotten = forgotten
        unconfirmed = (forgotten..<max(sent, forgotten)).filter { stored[$0] == nil }
    }

    /// The cause, and how many events are stored, unconfirmed and unsent.
    public var description: String {
        "\(cause.code): \(cause.message); \(forgotten + stored.count) events are stored"
            + (unconfirmed.isEmpty ? "" : ", \(unconfirmed.count) were sent but not acknowledged")
            + ", those from index \(sent) on were not sent"
    }
}
