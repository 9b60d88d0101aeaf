/// A text to search for in other texts, ignoring case. The cost grows with the searched text, not with this one (Knuth,
/// Morris and Pratt): both come from other clients, which could make a search slow otherwise.
struct TextNeedle: Sendable, Equatable {
    /// In lower case.
    private let bytes: [UInt8]
    /// For each byte, the length of the longest proper prefix that ends there too.
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

    /// Whether the text to search for is empty.
    var isEmpty: Bool { bytes.isEmpty }

    /// Whether a text contains it; `false` when it is empty.
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
