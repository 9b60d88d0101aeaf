/// Lets so many lines and bytes through in a second, and counts the lines that it holds back.
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
    /// - Returns: How many lines were held back, when another second begins and there were some.
    package mutating func begin(at now: ContinuousClock.Instant) -> Int? {
        if let windowStart, now - windowStart < .seconds(1) { return nil }
        windowStart = now
        lines = 0
        bytes = 0
        return takeDropped()
    }

    /// Whether a line of so many bytes gets through; counted when not.
    package mutating func admits(_ count: Int) -> Bool {
        guard lines < limits.linesPerSecond, bytes + count <= max(limits.bytesPerSecond, limits.lineLength) else {
            dropped += 1
            return false
        }
        lines += 1
        bytes += count
        return true
    }

    /// Whether lines are held back of which nobody has been told.
    package var hasDropped: Bool { dropped > 0 }

    /// How many lines were held back since this was last asked; `nil` for none.
    package mutating func takeDropped() -> Int? {
        defer { dropped = 0 }
        return dropped > 0 ? dropped : nil
    }
}
