/// Tells from look to look whether something has come or gone on a connection. Over one that has ended since the last look
/// it does not count: what a server sends before it ends each connection is no progress. A pure value.
struct LinkProgress {
    private var moved: UInt64
    private var attempt: Int

    init(moved: UInt64 = 0, attempt: Int = 0) {
        self.moved = moved
        self.attempt = attempt
    }

    /// Whether something has moved since the last look.
    ///
    /// - Parameters:
    ///   - moved: how many bytes have come and gone so far.
    ///   - attempt: tells connections apart.
    mutating func look(moved: UInt64, attempt: Int) -> Bool {
        defer { (self.moved, self.attempt) = (moved, attempt) }
        return moved != self.moved && attempt == self.attempt
    }
}
