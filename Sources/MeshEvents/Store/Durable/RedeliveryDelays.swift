/// How long a failed event waits before it is delivered again: longer each time, up to a maximum.
public struct RedeliveryDelays: Sendable, Hashable {
    /// The wait after the first delivery.
    public var first: Duration
    /// The factor by which the wait grows each time, from 1.
    public var factor: Double
    /// The longest wait.
    public var maximum: Duration

    /// Creates delays; the default is 1 s, 4 s, 16 s, 64 s …, at most 5 minutes.
    public init(first: Duration = .seconds(1), factor: Double = 4, maximum: Duration = .seconds(300)) {
        self.first = first
        self.factor = factor
        self.maximum = maximum
    }

    /// The same wait every time.
    public static func constant(_ delay: Duration) -> RedeliveryDelays {
        RedeliveryDelays(first: delay, factor: 1, maximum: delay)
    }

    /// The wait after a delivery.
    ///
    /// - Parameter delivery: the number of the delivery that failed, from 1.
    public func delay(afterDelivery delivery: Int) -> Duration {
        var delay = first
        for _ in 1..<max(delivery, 1) {
            // Compares before it multiplies: a duration may not be able to hold the product.
            guard delay < maximum, factor < maximum / max(delay, .nanoseconds(1)) else {
                return max(maximum, .zero)
            }
            delay = delay * factor
        }
        return min(max(delay, .zero), maximum)
    }

    func validate() throws(MeshEventsError) {
        guard first >= .zero, maximum >= first, factor >= 1, factor.isFinite else {
            throw MeshEventsError(
                .invalidArgument,
                "redelivery delays grow from a first one to a maximum by a factor of at least 1; got \(first), "
                    + "\(maximum), \(factor)"
            )
        }
    }
}
