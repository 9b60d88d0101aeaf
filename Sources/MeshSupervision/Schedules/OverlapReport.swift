import MeshEvents

/// Decides which of the times are said at which a tool was due and still ran: a run that hangs would fill the stream
/// otherwise. A pure value, without clocks.
///
/// The first one is said, then one after a minute at least, and after twice as long each time, up to ten minutes. It stands
/// for all that came since the one before.
struct OverlapReport: Sendable, Hashable {
    /// Times that are said at once.
    struct Times: Sendable, Hashable {
        /// The first of them.
        var first: Timestamp
        /// How many there are.
        var count = 1
    }

    private static let shortest: Duration = .seconds(60)
    private static let longest: Duration = .seconds(600)

    /// What has not been said yet.
    private var unsaid: Times?
    /// The time that was said last; `nil` for none.
    private var last: Timestamp?
    /// How long after that none is said.
    private var silence = Self.shortest

    /// It was due at this time.
    ///
    /// - Returns: what is to be said; `nil` for nothing.
    mutating func add(_ due: Timestamp) -> Times? {
        let times = Times(first: unsaid?.first ?? due, count: (unsaid?.count ?? 0) + 1)
        if let last {
            guard due.duration(since: last) >= silence else {
                unsaid = times
                return nil
            }
            silence = min(silence * 2, Self.longest)
        }
        last = due
        unsaid = nil
        return times
    }

    /// The run has ended.
    ///
    /// - Returns: what has not been said; `nil` for nothing.
    mutating func end() -> Times? {
        defer { self = OverlapReport() }
        return unsaid
    }
}
