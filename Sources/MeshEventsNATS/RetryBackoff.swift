/// Waits between attempts: 20 ms, doubling up to a second. The last attempt is made just before the deadline.
struct RetryBackoff {
    /// When to give up.
    var deadline: ContinuousClock.Instant
    private var delay: Duration = .milliseconds(20)

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    /// Waits; `false` when the deadline has come or the task was cancelled.
    mutating func wait() async -> Bool {
        let last = deadline - .milliseconds(50)
        guard .now < last else { return false }
        let wake = min(.now + delay * Double.random(in: 0.75...1.25), last)
        delay = min(delay * 2, .seconds(1))
        do {
            try await Task.sleep(until: wake)
            return true
        } catch {
            return false
        }
    }
}
