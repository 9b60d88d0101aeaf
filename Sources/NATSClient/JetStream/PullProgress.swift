/// What one reading of a pull consumer has asked for and received. It decides when to ask for more and when the reading
/// is done. A pure value.
struct PullProgress: Sendable {
    /// What follows from an input.
    enum Action: Sendable, Equatable {
        /// Nothing yet.
        case wait
        /// Ask for this many more messages, and for this many bytes; `nil` for any number of bytes.
        case request(Int, bytes: Int?)
        /// Everything has come.
        case finish
        /// The consumer can no longer be read: why.
        case fail(String)
        /// The server does not allow this reading, and would not allow it later: why.
        case refuse(String)
    }

    /// How often in a row a request may bring nothing because of its bytes. The next request asks for as much as a
    /// message may have, the one after it for the most that any message can have; after that no request can bring it.
    private static let maximumCuts = 4

    /// How many messages are wanted.
    let total: Int
    /// How many messages one request asks for at most.
    private(set) var chunk: Int
    /// Decides what requests ask for, and when. Without it they ask for a chunk, the next when half of one is still to
    /// come.
    private var window: PullWindow?
    /// What the consumer allows in one request, as far as known.
    private(set) var limits: PullLimits
    /// Whether a message behind which nothing is pending ends the reading.
    let endsWhenNothingPending: Bool
    /// Once this many bytes have come, nothing more is asked for, and the reading ends with what was asked for.
    let maximumBytes: Int
    /// Messages received.
    private(set) var received = 0
    /// Messages asked for and not yet received.
    private(set) var outstanding = 0
    private var receivedBytes = 0
    /// How many requests in a row ended short because of their bytes, without a message and with no other under way.
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

    /// Whether the reading brought the wanted number of bytes, but not all messages.
    var isCutShort: Bool { receivedBytes >= maximumBytes && received < total }

    /// The first request.
    mutating func begin() -> Action { requestMore() }

    /// Notes that a message of this many bytes arrived, behind which `pending` more match.
    mutating func delivered(pending: UInt64, bytes: Int = 0) -> Action {
        received += 1
        receivedBytes += bytes
        window?.took(bytes)
        cuts = 0
        if outstanding > 0 { outstanding -= 1 }
        if received >= total || (endsWhenNothingPending && pending == 0) { return .finish }
        return requestMore()
    }

    /// Notes that a status arrived instead of a message (NATS ADR-13).
    ///
    /// - Parameters:
    ///   - code: 100 is a heartbeat, 404 and 408 mean that the server has no more messages now, 409 that the request or
    ///     the consumer has ended, 503 that there is no such consumer.
    ///   - text: the words after the code.
    ///   - unfilled: how many messages of the request are missing, when the server says so.
    mutating func status(_ code: Int, _ text: String, unfilled: Int?) -> Action {
        switch code {
        case 100: return .wait
        case 408 where text.lowercased().hasPrefix("requests pending") && outstanding > lastBatch:
            // Not the end: the server is still filling an earlier request. Once it is filled, ask again.
            outstanding -= lastBatch
            lastBatch = 0
            asksAlone = true
            return .wait
        case 404, 408: return .finish
        case 409 where text.lowercased().hasPrefix("exceeded maxrequest"):
            // The whole request was refused. Ask within the limit that the server names; when the request kept it,
            // there is no way.
            guard limits.learn(text) == .newLimit else {
                return .refuse("the server refuses the requests for messages: \(code) \(text)")
            }
            chunk = min(chunk, limits.batch ?? chunk)
            outstanding = 0
            return requestMore()
        case 409 where text.lowercased().contains("maxbytes"):
            // The request holds as much as it may; ask again for what is missing. Another request may be under way.
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
            // Its messages have come, or its bytes are used up to the last one.
            giveUp(unfilled ?? 0)
            return requestMore()
        case 503: return .fail("the consumer does not exist any more")
        default: return .fail("the server ended the request: \(code) \(text)")
        }
    }

    /// Notes that this many messages that were asked for do not come.
    private mutating func giveUp(_ count: Int) { outstanding -= min(max(count, 0), outstanding) }

    /// Notes that no request is open at the server any more. At servers before 2.10 a request whose bytes are used up
    /// to the last one ends without a status.
    mutating func requestsAreGone() -> Action {
        outstanding = 0
        return requestMore()
    }

    /// Keeps requests overlapping, up to what is wanted.
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
