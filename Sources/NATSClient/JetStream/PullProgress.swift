/// What one reading of a pull consumer has asked for and received; decides when to ask for more and when it is done.
/// A pure value.
struct PullProgress: Sendable {
    /// What follows from an input.
    enum Action: Sendable, Equatable {
        /// Nothing yet.
        case wait
        /// Ask for so many messages more; for so many bytes, or any number.
        case request(Int, bytes: Int?)
        /// Everything is here.
        case finish
        /// The consumer can no longer be read: why.
        case fail(String)
        /// The server does not let it be read like this, and would not the next time: why.
        case refuse(String)
    }

    /// So often a request may bring nothing because of its bytes, before no request can: the next asks for as much as a
    /// message may have, the one behind it for as much as any can.
    private static let maximumCuts = 4

    /// How many messages are wanted.
    let total: Int
    /// How many messages one request asks for at most.
    private(set) var chunk: Int
    /// What requests ask for, and when; without one they ask for a chunk, the next when half of one is still to come.
    private var window: PullWindow?
    /// What the consumer allows in one request, as far as it is known.
    private(set) var limits: PullLimits
    /// Whether a message behind which nothing is pending ends the reading.
    let endsWhenNothingPending: Bool
    /// Once so many bytes have come nothing more is asked for, and the reading ends with what was.
    let maximumBytes: Int
    /// Messages received.
    private(set) var received = 0
    /// Messages asked for and not yet received.
    private(set) var outstanding = 0
    private var receivedBytes = 0
    /// How many requests were cut short by their bytes since a message has come, with no other under way.
    private var cuts = 0
    /// What the last request asked for.
    private var lastBatch = 0
    /// Whether requests no longer overlap, because the server has refused one for that.
    private var asksAlone = false

    init(
        total: Int,
        chunk: Int,
        endsWhenNothingPending: Bool,
        maximumBytes: Int = .max,
        window: PullWindow? = nil,
        limits: PullLimits = PullLimits()
    ) {
        self.maximumBytes = maximumBytes
        self.window = window
        self.total = max(total, 1)
        self.chunk = max(min(chunk, limits.batch ?? chunk), 1)
        self.limits = limits
        self.endsWhenNothingPending = endsWhenNothingPending
    }

    /// Whether it has brought as many bytes as are wanted, and not all messages.
    var isCutShort: Bool { receivedBytes >= maximumBytes && received < total }

    /// The first request.
    mutating func begin() -> Action { requestMore() }

    /// A message of so many bytes arrived behind which `pending` more match.
    mutating func delivered(pending: UInt64, bytes: Int = 0) -> Action {
        received += 1
        receivedBytes += bytes
        window?.took(bytes)
        cuts = 0
        if outstanding > 0 { outstanding -= 1 }
        if received >= total || (endsWhenNothingPending && pending == 0) { return .finish }
        return requestMore()
    }

    /// A status arrived instead of a message (NATS ADR-13).
    ///
    /// - Parameters:
    ///   - code: 100 is a sign of life, 404 and 408 mean that nothing more is at hand, 409 that the request or the
    ///     consumer has ended, 503 that there is no such consumer.
    ///   - text: the words after the code.
    ///   - unfilled: how many messages of the request are missing, when the server says so.
    mutating func status(_ code: Int, _ text: String, unfilled: Int?) -> Action {
        switch code {
        case 100: return .wait
        case 408 where text.lowercased().hasPrefix("requests pending") && outstanding > lastBatch:
            // Not the end: an earlier request is still being filled. Once it is, ask again.
            outstanding -= lastBatch
            lastBatch = 0
            asksAlone = true
            return .wait
        case 404, 408: return .finish
        case 409 where text.lowercased().hasPrefix("exceeded maxrequest"):
            // Refused whole. Ask within the limit that the server names; when that was kept already, there is no way.
            guard limits.learn(text) == .newLimit else {
                return .refuse("the server refuses the requests for messages: \(code) \(text)")
            }
            chunk = min(chunk, limits.batch ?? chunk)
            outstanding = 0
            return requestMore()
        case 409 where text.lowercased().contains("maxbytes"):
            // The request was as full as it may get; ask again for what is missing. Another one may be under way.
            giveUp(unfilled ?? outstanding)
            guard outstanding == 0 else { return requestMore() }
            window?.ended()
            cuts += 1
            guard cuts <= Self.maximumCuts else {
                return .refuse(
                    "the next message is larger than one request may ask for"
                        + (limits.bytes.map { " (max_bytes \($0) of the consumer)" } ?? "") + ": \(code) \(text)"
                )
            }
            return requestMore()
        case 409 where text.lowercased().contains("batch completed"):
            // Its messages are here, or its bytes are used up to the last one.
            giveUp(unfilled ?? 0)
            return requestMore()
        case 503: return .fail("the consumer does not exist any more")
        default: return .fail("the server ended the request: \(code) \(text)")
        }
    }

    /// So many messages that were asked for do not come.
    private mutating func giveUp(_ count: Int) { outstanding -= min(max(count, 0), outstanding) }

    /// No request is open at the server any more. One whose bytes are used up to the last one ends without a word at servers
    /// before 2.10.
    mutating func requestsAreGone() -> Action {
        outstanding = 0
        return requestMore()
    }

    /// Keeps requests overlapping, within what is wanted.
    private mutating func requestMore() -> Action {
        guard receivedBytes < maximumBytes else { return outstanding == 0 ? .finish : .wait }
        let missing = min(chunk, total - received - outstanding)
        guard missing > 0, outstanding == 0 || !asksAlone else { return .wait }
        let batch: Int
        var bytes: Int?
        if window != nil {
            let wanted = maximumBytes - receivedBytes
            guard let next = window?.next(outstanding: outstanding, missing: missing, wanted: wanted) else {
                return .wait
            }
            (batch, bytes) = (next.messages, next.bytes)
        } else {
            guard outstanding <= chunk / 2 else { return .wait }
            batch = missing
        }
        outstanding += batch
        lastBatch = batch
        return .request(batch, bytes: bytes)
    }
}
