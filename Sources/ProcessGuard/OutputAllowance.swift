/// Limits the lines and bytes per second, and counts the lines that it drops.
package struct OutputAllowance: Sendable {
    private let limits: OutputLimits
    private var windowStart: ContinuousClock.Instant?
    private var lines = 0
    private var bytes = 0
    private var dropped = 0

    package init(_ limits: OutputLimits) {
        self.limits = limits
    }

    /// Begins another second when the last one is over.
    ///
    /// - Returns: How many lines were dropped, when another second begins and there were some.
    package mutating func begin(at now: ContinuousClock.Instant) -> Int? {
        if let windowStart, now - windowStart < .seconds(1) { return nil }
        windowStart = now
        lines = 0
        bytes = 0
        return takeDropped()
    }

    /// Whether a line of `count` bytes is within the limits; otherwise it counts as dropped.
    package mutating func admits(_ count: Int) -> Bool {
        guard lines < limits.linesPerSecond, bytes + count <= max(limits.bytesPerSecond, limits.lineLength) else {
            dropped += 1
            return false
        }
        lines += 1
        bytes += count
        return true
    }

    /// Whether lines were dropped that ``takeDropped()`` has not returned yet.
    package var hasDropped: Bool { dropped > 0 }

    /// How many lines were dropped since the last call; `nil` for none.
    package mutating func takeDropped() -> Int? {
        defer { dropped = 0 }
        return dropped > 0 ? dropped : nil
    }
}
