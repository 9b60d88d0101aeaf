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

/// Decodes stored messages: an event without a usable timestamp gets its time of storing.
struct StoredMessageDecoder {
    private var decoder = EventDecoder()

    mutating func decode(_ message: StoredMessage) throws(MalformedEvent) -> Event {
        var subject = message.subject
        let result = subject.withUTF8 { subject -> Result<Event, MalformedEvent> in
            message.payload.withUnsafeBytes { payload in
                Result { () throws(MalformedEvent) in
                    try decoder.decode(
                        subject: UnsafeRawBufferPointer(subject),
                        payload: payload,
                        received: message.storedAt
                    )
                }
            }
        }
        return try result.get()
    }
}

/// A place in a stream. The sequence alone does not identify an event: a stream that was deleted and created again
/// counts from 1.
package struct StreamPosition: Sendable, Equatable {
    /// The sequence.
    package var sequence: UInt64
    /// When the stream was created; `nil` when that is not known.
    package var created: Timestamp?

    package init(_ sequence: UInt64, created: Timestamp?) {
        self.sequence = sequence
        self.created = created
    }

    /// Reads `17-1764367000123456789`, the sequence and the nanoseconds since 1970, or `17`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return nil }
        guard let sequence = UInt64(parts[0]) else { return nil }
        self.sequence = sequence
        guard parts.count == 2 else { return }
        guard let nanoseconds = Int64(parts[1]) else { return nil }
        created = Timestamp(nanosecondsSinceEpoch: nanoseconds)
    }

    /// The text that ``init(_:)`` reads.
    package var text: String { created.map { "\(sequence)-\($0.nanosecondsSinceEpoch)" } ?? "\(sequence)" }

    /// Throws `streamReplaced` when both times of creation are known and differ.
    package static func check(_ found: Timestamp?, isOf known: Timestamp?) throws(MeshEventsError) {
        guard let known, let found, found != known else { return }
        throw MeshEventsError(
            .streamReplaced,
            "the stream was deleted and created again at \(found): its sequences now belong to other events; start over"
        )
    }

    /// The lowest of several positions; sequence 0 when they are not all in one stream.
    package static func lowest(_ positions: [StreamPosition]) -> StreamPosition? {
        guard let lowest = positions.min(by: { $0.sequence < $1.sequence }) else { return nil }
        return positions.allSatisfy { $0.created == lowest.created } ? lowest : StreamPosition(0, created: nil)
    }

    /// Whether the position is in the stream created at this time; `true` when one of the times is not known.
    package func isSameStream(_ other: Timestamp?) -> Bool {
        guard let created, let other else { return true }
        return created == other
    }
}
