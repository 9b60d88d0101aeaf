/// Where a replay begins, and a durable subscription when it is created.
public enum StreamStart: Sendable, Hashable {
    /// With the oldest event that the stream still has.
    case beginning
    /// With the first event that is stored from now on.
    case new
    /// At this sequence; 0 means 1. When the stream no longer has it, a replay begins with a gap, and a durable at the
    /// first one after it that exists. One past the stream's last sequence is the next event to come; a replay from
    /// beyond that is `invalidArgument`.
    case sequence(UInt64)
    /// At the first event stored at this time or later; a replay from a time in the future is `invalidArgument`.
    case time(Timestamp)
}

extension StreamStart {
    /// The error for a start beyond the stream's next sequence.
    package static func beyond(_ sequence: UInt64, last: UInt64) -> MeshEventsError {
        MeshEventsError(
            .invalidArgument,
            "the stream ends at sequence \(last), a replay cannot begin at \(sequence); begin at \(last.nextSequence) "
                + "for new events, and check that this is the right stream"
        )
    }
}

extension UInt64 {
    /// The sequence after this one; the largest 64-bit number gives itself. It must not overflow: an operator may
    /// choose any first sequence (`first_seq`), and a server may answer any number.
    package var nextSequence: UInt64 { self == .max ? .max : self + 1 }
}
