extension ConnectionLoop {
    /// Passes the subject that the answer to a request comes to, without allocating: every message that a stream
    /// acknowledges needs one.
    func withReplySubject<Result>(
        of id: UInt64,
        isShared: Bool = false,
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let limit = inboxPrefix.utf8.count + 22 + ReplyCode.length
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: limit) { buffer in
            var start = limit - ReplyCode.length
            replyCode.write(id, isShared: isShared, into: UnsafeMutableBufferPointer(rebasing: buffer[start...]))
            var rest = id
            repeat {
                start -= 1
                buffer.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(rest % 10))
                rest /= 10
            } while rest > 0
            if isShared {
                start -= 1
                buffer.initializeElement(at: start, to: RequestInbox.sharedMark)
            }
            start -= 1
            buffer.initializeElement(at: start, to: UInt8(ascii: "."))
            start -= inboxPrefix.utf8.count
            _ = UnsafeMutableBufferPointer(rebasing: buffer[start...]).initialize(fromContentsOf: inboxPrefix.utf8)
            return body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: buffer[start...])))
        }
    }
}
