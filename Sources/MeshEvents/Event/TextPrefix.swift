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
}
