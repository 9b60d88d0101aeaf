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
