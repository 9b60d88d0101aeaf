import MeshEvents

/// An estimate of the server's time from the times at which events were stored: this machine's clock may differ.
struct ServerTime: Sendable, Equatable {
    /// How far the server's clock is ahead of this machine's.
    private(set) var lead: Duration = .zero
    private var isMeasured = false

    /// Takes in the time at which an event was stored.
    ///
    /// An event that has just been stored gives the lead, less the time it took to arrive; so the largest lead is the
    /// most accurate. An event from history gives only a lower bound.
    ///
    /// - Parameters:
    ///   - storedAt: when the event was stored, by the server's clock.
    ///   - local: the time here, now.
    ///   - isLive: whether it has just been stored.
    /// - Returns: By how much the lead changed.
    @discardableResult
    mutating func observe(_ storedAt: Timestamp, local: Timestamp, isLive: Bool) -> Duration {
        let before = lead
        let seen = storedAt.duration(since: local)
        if seen > lead || isLive && !isMeasured { lead = seen }
        if isLive { isMeasured = true }
        return lead - before
    }

    /// The server's time when it is `local` here.
    func now(_ local: Timestamp) -> Timestamp { local.adding(lead) }
}
