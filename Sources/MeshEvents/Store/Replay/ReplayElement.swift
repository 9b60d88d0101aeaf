/// What a replay hands over, in the order of the stream.
public enum ReplayElement: Sendable, Hashable {
    /// An event, stored before or after the replay was opened.
    case event(StoredEvent)
    /// Events may be missing here: the stream has dropped them before the replay could read them.
    case gap(ReplayGap)
    /// All that was stored when the replay was opened has been handed over; what follows is live. Comes once.
    case caughtUp

    /// The event; `nil` for anything else.
    public var event: StoredEvent? {
        guard case .event(let event) = self else { return nil }
        return event
    }
}

/// Sequences that a replay could not read, because the stream has them no longer: its limits dropped them, or somebody
/// deleted them.
public struct ReplayGap: Sendable, Hashable, CustomStringConvertible {
    /// The sequences lost. With a pattern, those of events that do not match are among them.
    public let sequences: ClosedRange<UInt64>

    /// Creates a gap.
    public init(sequences: ClosedRange<UInt64>) { self.sequences = sequences }

    /// How many sequences were lost.
    public var count: UInt64 { (sequences.upperBound - sequences.lowerBound).nextSequence }

    /// `sequence 7` or `sequences 7 to 12`.
    public var description: String {
        count == 1
            ? "sequence \(sequences.lowerBound)" : "sequences \(sequences.lowerBound) to \(sequences.upperBound)"
    }
}
