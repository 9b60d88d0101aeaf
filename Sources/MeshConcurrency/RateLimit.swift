/// Admits one occurrence per interval and counts the others: for log lines that a peer can cause.
package struct RateLimit: Sendable {
    private let interval: Duration
    private var last: ContinuousClock.Instant?
    private var suppressed: UInt64 = 0

    package init(interval: Duration = .seconds(1)) {
        self.interval = interval
    }

    /// How many occurrences were suppressed since the last admitted one; `nil` when this one is suppressed too.
    package mutating func admit(now: ContinuousClock.Instant) -> UInt64? {
        if let last, now - last < interval {
            suppressed += 1
            return nil
        }
        last = now
        defer { suppressed = 0 }
        return suppressed
    }
}

/// A ``RateLimit`` that several threads share.
package final class SharedRateLimit: Sendable {
    private let limit: Locked<RateLimit>

    package init(interval: Duration = .seconds(1)) {
        limit = Locked(RateLimit(interval: interval))
    }

    /// Calls `body` with the number of suppressed occurrences when this one is admitted.
    package func admit(_ body: (UInt64) -> Void) {
        guard let suppressed = limit.withLock({ $0.admit(now: .now) }) else { return }
        body(suppressed)
    }
}
