/// An event with its place in the stream.
public struct StoredEvent: Sendable, Hashable {
    /// The event.
    public let event: Event
    /// Its sequence in the stream, from 1; sequences never repeat.
    public let sequence: UInt64
    /// When the store stored it, by the server's clock.
    public let storedAt: Timestamp

    /// Creates a stored event.
    public init(event: Event, sequence: UInt64, storedAt: Timestamp) {
        self.event = event
        self.sequence = sequence
        self.storedAt = storedAt
    }
}
