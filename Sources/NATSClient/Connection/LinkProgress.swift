/// Tells from look to look whether bytes have come or gone on a connection; a pure value.
///
/// Bytes on a connection that has ended since the last look do not count: a server that ends each connection again
/// makes no progress.
struct LinkProgress {
    private var moved: UInt64
    private var attempt: Int

    init(moved: UInt64 = 0, attempt: Int = 0) {
        self.moved = moved
        self.attempt = attempt
    }

    /// Whether bytes have come or gone since the last look, on the same connection.
    ///
    /// - Parameters:
    ///   - moved: how many bytes have come and gone so far.
    ///   - attempt: the number of the connection's attempt.
    mutating func look(moved: UInt64, attempt: Int) -> Bool {
        defer { (self.moved, self.attempt) = (moved, attempt) }
        return moved != self.moved && attempt == self.attempt
    }
}
