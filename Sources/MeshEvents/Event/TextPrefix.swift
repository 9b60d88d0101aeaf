extension String {
    /// The beginning of the text: at most so many bytes, cut at the border of a scalar.
    ///
    /// Not at a character's border: a single character can be of any length.
    package func prefix(bytes: Int) -> String {
        guard utf8.count > bytes else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: max(0, bytes))
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(unicodeScalars[..<end])
    }

    /// The beginning of the text: at most so many scalars, which are at most four times as many bytes.
    package func prefix(scalars: Int) -> String { String(unicodeScalars.prefix(scalars)) }

    /// The text; of one that is too long the beginning and `…`, at most so many bytes together.
    package func truncated(bytes: Int) -> String {
        let ellipsis = "…"
        return utf8.count > bytes ? prefix(bytes: bytes - ellipsis.utf8.count) + ellipsis : self
    }

    /// The end of the text: at most so many bytes, cut at the border of a scalar.
    package func suffix(bytes: Int) -> String {
        guard utf8.count > bytes else { return self }
        var start = utf8.index(utf8.endIndex, offsetBy: -max(0, bytes))
        while start.samePosition(in: unicodeScalars) == nil { start = utf8.index(after: start) }
        return String(unicodeScalars[start...])
    }

    /// The text; of one that is too long the beginning, how many bytes are missing, and the end: what a program wrote often
    /// says most at its end.
    ///
    /// - Parameter bytes: the most bytes, the words about the cut included, which take up to 40.
    package func abridged(bytes: Int) -> String {
        let count = utf8.count
        guard count > bytes else { return self }
        let room = max(0, bytes - 40)
        let (head, tail) = (prefix(bytes: room / 2), suffix(bytes: room - room / 2))
        return "\(head) … \(count - head.utf8.count - tail.utf8.count) bytes cut … \(tail)"
    }
}
