/// Decides from the server's answers whether a reading of a pull consumer that gets no messages can go on. A pure value.
///
/// A flooded server may take a request only after many seconds, and answers questions about the consumer meanwhile. So an
/// answer that no request is open proves no loss. But a request may be lost, for instance with a server of a cluster.
struct PullSilence {
    /// What the reading has to do.
    enum Verdict: Equatable {
        /// Wait.
        case goesOn
        /// Send a request again.
        case askAgain
        /// End with this reason: another consumer has to read the messages.
        case lost(String)
    }

    /// How many answers in a row may say that more was delivered than has arrived.
    private static let maximumMissing = 6

    private var missing = 0
    private var idle = 0

    /// Judges an answer that came behind everything the server had sent before.
    ///
    /// - Parameters:
    ///   - requestsWaiting: how many requests are open at the server.
    ///   - delivered: the number of the consumer's last delivery.
    ///   - arrived: the number of the last delivery that has arrived.
    mutating func judge(requestsWaiting: Int, delivered: UInt64, arrived: UInt64) -> Verdict {
        guard requestsWaiting == 0 else { return .goesOn }
        guard delivered <= arrived else {
            missing += 1
            guard missing > Self.maximumMissing else { return .goesOn }
            return .lost("deliveries \(arrived + 1) to \(delivered) of the consumer did not arrive")
        }
        guard delivered == arrived else {
            return .lost("the consumer knows of \(delivered) deliveries only, and delivery \(arrived) has arrived")
        }
        idle += 1
        // Each request that is sent once more may bring its messages once more, so the pauses grow.
        return [1, 4, 16, 64].contains(idle) ? .askAgain : .goesOn
    }
}
