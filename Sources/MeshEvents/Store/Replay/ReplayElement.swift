/// What a replay hands over, in the order of the stream.
public enum ReplayElement: Sendable, Hashable {
    /// An event, stored before or after the replay was opened.
    case event(StoredEvent)
    /// Events may be missing here: the stream has dropped them before the replay could read them.
    case gap(ReplayGap)
    /// All that was stored when the replay was opened has been handed over; what follows is live. Comes once.
    case caughtUp
    /// The stream was deleted and created again, or has lost what it had: sequences behind this mean other events than
    /// those before it. The replay goes on with all that the stream has now.
    case reset(ReplayReset)

    /// The event; `nil` for anything else.
    public var event: StoredEvent? {
        guard case .event(let event) = self else { return nil }
        return event
    }
}

/// The stream of a replay has become another one.
public struct ReplayReset: Sendable, Hashable, CustomStringConvertible {
    /// When the stream was created that the replay goes on with; `nil` when the store cannot tell.
    public let created: Timestamp?
    /// The first sequence that is to come: 1, or more when the stream is the same and has lost its newest events.
    public let next: UInt64

    /// Creates a reset.
    public init(created: Timestamp?, next: UInt64 = 1) {
        self.created = created
        self.next = next
    }

    /// What has happened, as a sentence.
    public var description: String {
        next > 1
            ? "the stream has lost its newest events; it goes on at sequence \(next)"
            : "the stream was deleted and created again\(created.map { " at \($0)" } ?? ""); its sequences begin anew"
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

extension ReplayReset {
    /// What a follower makes of a look at its stream; `nil` when it is the same as before.
    ///
    /// - Parameters:
    ///   - known: when the stream was created that is being followed.
    ///   - found: when the one was that is there now.
    ///   - last: the newest sequence it ever gave.
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
