/// An element of a replay; elements come in the order of the stream.
public enum ReplayElement: Sendable, Hashable {
    /// An event, stored before or after the replay was opened.
    case event(StoredEvent)
    /// Events may be missing here: the stream has dropped them before the replay could read them.
    case gap(ReplayGap)
    /// All events stored when the replay was opened have been handed over; new events follow. Comes once.
    case caughtUp
    /// The stream was deleted and created again, or has lost its messages. Sequences after this element belong to other
    /// events than those before it. The replay continues with all events that the stream has now.
    case reset(ReplayReset)

    /// The event; `nil` for anything else.
    public var event: StoredEvent? {
        guard case .event(let event) = self else { return nil }
        return event
    }
}

/// A change of a replay's stream: it was created again, or has lost its newest events.
public struct ReplayReset: Sendable, Hashable, CustomStringConvertible {
    /// When the stream with which the replay continues was created; `nil` when the store cannot tell.
    public let created: Timestamp?
    /// The first sequence to come: 1, or more when the same stream has lost its newest events.
    public let next: UInt64

    /// Creates a reset.
    public init(created: Timestamp?, next: UInt64 = 1) {
        self.created = created
        self.next = next
    }

    /// A sentence that says what has happened.
    public var description: String {
        next > 1
            ? "the stream has lost its newest events; it goes on at sequence \(next)"
            : "the stream was deleted and created again\(created.map { " at \($0)" } ?? ""); its sequences begin anew"
    }
}

/// Sequences that a replay could not read, because the stream no longer has them: its limits dropped them, or a user
/// deleted them.
public struct ReplayGap: Sendable, Hashable, CustomStringConvertible {
    /// The sequences lost. With a pattern, they include those of events that do not match.
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

extension ReplayReset {
    /// Compares a stream's state with the one being followed; `nil` when the stream is the same as before.
    ///
    /// - Parameters:
    ///   - known: when the stream being followed was created.
    ///   - found: when the present stream was created.
    ///   - last: the newest sequence that the present stream has assigned.
    ///   - next: the sequence to be read next.
    package init?(from known: Timestamp?, to found: Timestamp?, last: UInt64, next: UInt64) {
        if let known, let found, known != found {
            self.init(created: found)
        } else if next > last.nextSequence {
            self.init(created: found, next: known == nil || found == nil ? 1 : last.nextSequence)
        } else {
            return nil
        }
    }
}
