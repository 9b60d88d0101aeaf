/// Waits between attempts: 20 ms, doubling up to a second, never past the deadline.
struct RetryBackoff {
    /// When to give up.
    let deadline: ContinuousClock.Instant
    private var delay: Duration = .milliseconds(20)

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    /// Waits; `false` when the deadline has come or the task was cancelled.
    mutating func wait() async -> Bool {
        let wake = ContinuousClock.now + delay * Double.random(in: 0.75...1.25)
        guard wake < deadline else { return false }
        delay = min(delay * 2, .seconds(1))
        do {
            try await Task.sleep(until: wake)
            return true
        } catch {
            return false
        }
    }
}
