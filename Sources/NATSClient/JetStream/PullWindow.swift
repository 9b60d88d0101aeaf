/// Decides how much of what a consumer has is requested ahead; a pure value.
///
/// A request leaves while the one before it is still being filled, so that the link does not idle for a round trip. It
/// asks for about what the link carries in a second. So other answers of the server do not wait behind megabytes. And
/// the server never has much to send: it drops a client that for ten seconds takes only a part of what it was sent.
package struct PullWindow: Sendable {
    /// What one request asks for.
    package struct Request: Sendable, Equatable {
        package var messages: Int
        package var bytes: Int
    }

    /// What the first request asks for: little, as the link is unknown.
    static let first = Request(messages: 128, bytes: 128 << 10)
    /// The fewest bytes that are worth a request.
    static let least = 64 << 10
    /// A request asks for at most this many times the bytes that came since the one before.
    static let growth = 8
    /// How long bytes are counted for one measurement of the link's rate.
    private static let interval: Duration = .milliseconds(100)
    /// How many bytes come between two readings of the clock.
    private static let stride = 16 << 10
    /// What a message takes beside its payload and header, as the server counts, in bytes.
    private static let overhead = 1 << 10
    /// The most bytes of a message's header.
    private static let header = 64 << 10
    /// The most bytes of a message that was stored when the server accepted larger ones.
    private static let utmost = 65 << 20

    /// The most bytes one request asks for.
    private let most: Int
    /// The most bytes a message may have, as the server says.
    private let largest: Int
    /// How many bytes a request asks for, as far as the link is known.
    private var target = Self.first.bytes
    /// How many bytes a message takes, by the last ones; `nil` before the first request was measured.
    private var average: Int?
    private var largestSeen = 0
    /// The last request.
    private var asked: Request?
    /// Whether the next message is larger than all before it.
    private var isBlocked = false
    /// What has come since the last request.
    private var received = Request(messages: 0, bytes: 0)
    /// Bytes a second, by the best of the last measurements: while the link is idle between two requests, less comes
    /// than it can carry.
    private var rate: Double?
    /// What has come in the present interval.
    private var interval: (since: ContinuousClock.Instant, bytes: Int)?
    /// How many bytes have come since the last reading of the clock.
    private var untimed = 0

    /// - Parameters:
    ///   - most: how many bytes are under way at most, unless one message is larger.
    ///   - maximumPayload: how large a message may be, when the server says so.
    package init(most: Int, maximumPayload: Int?) {
        // A server may claim anything.
        largest = min(max(maximumPayload ?? 1 << 20, 0), Self.utmost - Self.header) + Self.header
        self.most = max(most / 2, Self.least)
    }

    /// Notes that a message of this many bytes has come.
    package mutating func took(_ bytes: Int, at now: @autoclosure () -> ContinuousClock.Instant = .now) {
        took(messages: 1, bytes: bytes, largest: bytes, at: now())
    }

    /// Notes that several messages have come together.
    ///
    /// - Parameters:
    ///   - messages: how many.
    ///   - bytes: what they take together.
    ///   - largest: what the largest of them takes.
    package mutating func took(
        messages: Int,
        bytes: Int,
        largest: Int,
        at now: @autoclosure () -> ContinuousClock.Instant = .now
    ) {
        received.messages += messages
        received.bytes += bytes
        largestSeen = max(largestSeen, largest)
        untimed += bytes
        if untimed >= Self.stride { look(now()) }
    }

    /// Notes that a request has ended because the next message did not fit into its remaining bytes.
    ///
    /// - Returns: whether the last request brought nothing although it asked for as much as any message can have: then
    ///   no request brings more.
    @discardableResult
    package mutating func ended() -> Bool {
        isBlocked = received.messages == 0
        return isBlocked && asked?.bytes ?? 0 >= Self.utmost
    }

    /// Whether a request is due beside those under way; see ``next(outstanding:missing:wanted:at:)``.
    package func isDue(outstanding: Int, wanted: Int = .max) -> Bool {
        guard outstanding > 0 else { return true }
        guard let last = asked else { return false }
        // The first request is needed to measure the link.
        guard average != nil else { return outstanding <= last.messages / 2 }
        let underWay = bytes(of: outstanding)
        return outstanding <= last.messages && underWay <= target && underWay < wanted
    }

    /// The next request; `nil` when enough is under way.
    ///
    /// - Parameters:
    ///   - outstanding: how many messages were asked for and have not come.
    ///   - missing: how many more are wanted than those, at least 1.
    ///   - wanted: how many bytes are wanted, including those of the outstanding messages; a larger message still
    ///     comes.
    package mutating func next(
        outstanding: Int,
        missing: Int,
        wanted: Int = .max,
        at now: @autoclosure () -> ContinuousClock.Instant = .now
    ) -> Request? {
        guard isDue(outstanding: outstanding, wanted: wanted) else { return nil }
        let now = now()
        measure(now)
        let wanted = max(wanted - bytes(of: outstanding), 1)
        var request = Request(messages: 1, bytes: 0)
        if isBlocked {
            request.bytes = asked?.bytes ?? 0 < largest ? largest : Self.utmost
        } else {
            let bytes = min(target, wanted)
            // The count limits how much comes when messages are alike; the bytes limit it when they are not.
            request.messages = min(missing, average.map { bytes / $0 + 1 } ?? Self.first.messages)
            request.bytes = max(bytes + bytes / 4, Self.least, largestSeen + Self.overhead)
        }
        // Odd, because messages of equal size then seldom use it up to the last byte; old servers do not report that.
        request.bytes |= 1
        asked = request
        isBlocked = false
        received = Request(messages: 0, bytes: 0)
        return request
    }

    private func bytes(of messages: Int) -> Int {
        let (bytes, overflow) = messages.multipliedReportingOverflow(by: average ?? 1)
        return overflow ? .max : bytes
    }

    /// Learns from what came since the last request how large messages are, and how much to ask for.
    private mutating func measure(_ now: ContinuousClock.Instant) {
        look(now)
        guard received.messages > 0, let interval else { return }
        average = max(received.bytes / received.messages, 1)
        let carried = rate ?? Self.perSecond(interval.bytes, now - interval.since)
        let (evidence, overflow) = received.bytes.multipliedReportingOverflow(by: Self.growth)
        target = max(Int(min(carried, Double(overflow ? .max : evidence), Double(most))), Self.least)
    }

    /// Counts what has come, to measure the link's rate.
    private mutating func look(_ now: ContinuousClock.Instant) {
        guard var interval else { return self.interval = (now, 0) }
        interval.bytes += untimed
        untimed = 0
        let elapsed = now - interval.since
        if elapsed >= Self.interval {
            rate = max(Self.perSecond(interval.bytes, elapsed), (rate ?? 0) * 0.9)
            interval = (now, 0)
        }
        self.interval = interval
    }

    private static func perSecond(_ bytes: Int, _ elapsed: Duration) -> Double {
        Double(bytes) / max(elapsed / .seconds(1), 1e-3)
    }
}
