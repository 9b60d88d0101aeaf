/// How many bytes one pull request asks for: about what the link carries in two seconds, so that an answer that the
/// server gives meanwhile is not behind megabytes, and the server, which gives up a client that takes no more than a part
/// of what it was sent for ten seconds, never has much to send. A pure value.
package struct PullSize: Sendable {
    /// What the first request asks for: little, as nothing is known of the link.
    static let first = 128 << 10
    /// The least that is worth a request.
    static let least = 64 << 10
    /// What a message takes beside its payload and header, as the server counts.
    private static let overhead = 1 << 10

    /// The most one request asks for.
    private let most: Int
    /// What a message may have at most, as the server says.
    private let largest: Int
    /// What a message may have that was stored when the server took larger ones.
    private static let utmost = 65 << 20
    private var bytes = Self.first
    /// Since the last request.
    private var received = 0
    private var since: ContinuousClock.Instant?
    private var largestSeen = 0
    /// What the last request asked for.
    private var asked = 0
    /// The next message is larger than all before it.
    private var isBlocked = false

    /// - Parameters:
    ///   - most: the most one request asks for.
    ///   - maximumPayload: how large a message may be, when the server says so.
    package init(most: Int, maximumPayload: Int?) {
        largest = (maximumPayload ?? 1 << 20) + 64 << 10
        self.most = max(most, largest)
    }

    /// A message has come.
    package mutating func took(_ bytes: Int) {
        received += bytes
        largestSeen = max(largestSeen, bytes)
    }

    /// A request has ended because the next message did not fit into what was left of its bytes.
    ///
    /// - Returns: whether the last request brought nothing although it asked for as much as any message can have: then no
    ///   request brings more.
    @discardableResult
    package mutating func ended() -> Bool {
        isBlocked = received == 0
        return isBlocked && asked >= Self.utmost
    }

    /// How many bytes the next request asks for.
    ///
    /// - Parameter wanted: how many are wanted; a message that is larger than that still comes.
    package mutating func next(at now: ContinuousClock.Instant = .now, wanted: Int = .max) -> Int {
        if let since, received > 0 {
            let (seconds, attoseconds) = (now - since).components
            let elapsed = max(Double(seconds) + Double(attoseconds) / 1e18, 1e-3)
            bytes = Int(min(2 * Double(received) / elapsed, Double(most)))
        }
        (received, since) = (0, now)
        let more = asked < largest ? largest : Self.utmost
        asked = isBlocked ? more : min(max(min(bytes, wanted), Self.least, largestSeen + Self.overhead), most)
        // Odd: messages of equal size seldom use it up to the last byte, which old servers do not tell.
        asked |= 1
        isBlocked = false
        return asked
    }
}
