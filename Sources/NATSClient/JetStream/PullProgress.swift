/// What one reading of a pull consumer has asked for and received; decides when to ask for more and when it is done.
/// A pure value.
struct PullProgress: Sendable {
    /// What follows from an input.
    enum Action: Sendable, Equatable {
        /// Nothing yet.
        case wait
        /// Ask for so many more.
        case request(Int)
        /// Everything is here.
        case finish
        /// The consumer can no longer be read: why.
        case fail(String)
    }

    /// How many messages are wanted.
    let total: Int
    /// How many one request asks for.
    let chunk: Int
    /// Whether a message behind which nothing is pending ends the reading.
    let endsWhenNothingPending: Bool
    /// Messages received.
    private(set) var received = 0
    /// Messages asked for and not yet received.
    private(set) var outstanding = 0

    init(total: Int, chunk: Int, endsWhenNothingPending: Bool) {
        self.total = max(total, 1)
        self.chunk = max(chunk, 1)
        self.endsWhenNothingPending = endsWhenNothingPending
    }

    /// The first request.
    mutating func begin() -> Action { requestMore() }

    /// A message arrived behind which `pending` more match.
    mutating func delivered(pending: UInt64) -> Action {
        received += 1
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
        case 404, 408: return .finish
        case 409 where text.lowercased().contains("maxbytes"):
            // The request was as full as it may get; ask again for what is missing.
            outstanding = unfilled.map { outstanding - min(max($0, 0), outstanding) } ?? 0
            return requestMore()
        case 409 where text.lowercased().contains("batch completed"):
            return .wait
        case 503: return .fail("the consumer does not exist any more")
        default: return .fail("the server ended the request: \(code) \(text)")
        }
    }

    /// Keeps requests overlapping: the next one leaves when half of one is still to come.
    private mutating func requestMore() -> Action {
        let missing = total - received - outstanding
        guard missing > 0, outstanding <= chunk / 2 else { return .wait }
        let batch = min(chunk, missing)
        outstanding += batch
        return .request(batch)
    }
}
