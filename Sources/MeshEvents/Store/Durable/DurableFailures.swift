/// Computes how long to wait after a failed request, and when to give up. A pure value.
struct DurableFailures {
    private let tolerated: Duration
    private var delay: Duration = .milliseconds(50)
    private var missingSince: ContinuousClock.Instant?

    /// - Parameter tolerated: how long the durable may be missing.
    init(tolerated: Duration) { self.tolerated = tolerated }

    mutating func succeeded() {
        delay = .milliseconds(50)
        missingSince = nil
    }

    /// The wait before the next request; `nil` to give up.
    mutating func failed(_ error: MeshEventsError, now: ContinuousClock.Instant) -> Duration? {
        switch error.code {
        case .durableNotFound, .streamNotFound:
            let since = missingSince ?? now
            missingSince = since
            guard now - since < tolerated else { return nil }
        default:
            missingSince = nil
            guard error.isRetriable else { return nil }
        }
        defer { delay = min(delay * 2, .seconds(2)) }
        return delay
    }
}
