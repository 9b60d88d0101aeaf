/// A text to look for in other texts, whatever the case. What it costs grows with the text that is looked through, not
/// with the one that is looked for (Knuth, Morris and Pratt): both come from strangers.
struct TextNeedle: Sendable, Equatable {
    /// In lower case.
    private let bytes: [UInt8]
    /// For each byte how many bytes before it, and it, are the beginning too.
    private let borders: [Int]

    init(_ text: String) {
        bytes = Array(text.lowercased().utf8)
        var borders = Array(repeating: 0, count: bytes.count)
        var matched = 0
        for index in bytes.indices.dropFirst() {
            while matched > 0, bytes[index] != bytes[matched] { matched = borders[matched - 1] }
            if bytes[index] == bytes[matched] { matched += 1 }
            borders[index] = matched
        }
        self.borders = borders
    }

    /// Whether there is nothing to look for.
    var isEmpty: Bool { bytes.isEmpty }

    /// Whether it stands in a text; not when it is empty.
    func isIn(_ text: String) -> Bool {
        guard !bytes.isEmpty, !text.isEmpty else { return false }
        var matched = 0
        for byte in text.lowercased().utf8 {
            while matched > 0, byte != bytes[matched] { matched = borders[matched - 1] }
            if byte == bytes[matched] { matched += 1 }
            if matched == bytes.count { return true }
        }
        return false
    }
}
