/// Finds any of many byte strings in a text. The text is read once, however many they are: each place is looked up by
/// its four bytes.
struct SecretIndex: Sendable {
    /// A byte string that is looked for.
    struct Form: Sendable, Hashable {
        /// At least ``SecretIndex/shortest`` bytes.
        let bytes: [UInt8]
        /// Whether a character of base64 beside it holds bits of the secret, too.
        var isEncoded = false
    }

    /// Shorter forms, and shorter parts of forms where a text was cut, are not found.
    static let shortest = 4

    /// Which forms have the same four bytes in a place.
    private struct Words: Sendable {
        private var forms: [UInt32: [Int]] = [:]
        /// A bit for the hash of each word: of most places it says at once that no form is there.
        private var filter: [UInt64]
        private let shift: UInt32

        init(room count: Int) {
            // From 4096 bits on, and 16 for each form.
            let exponent = max(12, Int.bitWidth - (16 * count).leadingZeroBitCount)
            shift = UInt32(32 - min(exponent, 24))
            filter = Array(repeating: 0, count: 1 << (min(exponent, 24) - 6))
        }

        mutating func add(_ form: Int, at word: UInt32) {
            forms[word, default: []].append(form)
            let hash = hash(word)
            filter[hash >> 6] |= 1 << UInt64(hash & 63)
        }

        func forms(at word: UInt32) -> [Int]? {
            let hash = hash(word)
            return filter[hash >> 6] & 1 << UInt64(hash & 63) == 0 ? nil : forms[word]
        }

        private func hash(_ word: UInt32) -> Int { Int((word &* 2_654_435_761) >> shift) }
    }

    private let forms: [Form]
    private var beginnings: Words
    private var endings: Words
    private let longest: Int

    /// - Parameter forms: what is looked for; those that are too short are left out.
    init(_ forms: Set<Form>) {
        self.forms = forms.filter { $0.bytes.count >= Self.shortest }
        (beginnings, endings) = (Words(room: forms.count), Words(room: forms.count))
        longest = self.forms.reduce(0) { max($0, $1.bytes.count) }
        for (number, form) in self.forms.enumerated() {
            beginnings.add(number, at: Self.word(form.bytes.prefix(Self.shortest)))
            endings.add(number, at: Self.word(form.bytes.suffix(Self.shortest)))
        }
    }

    /// Whether there is nothing to look for.
    var isEmpty: Bool { forms.isEmpty }

    /// Where forms are in a text, in order, apart from each other.
    func ranges(in text: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var word: UInt32 = 0
        for index in text.indices {
            word = word << 8 | UInt32(text[index])
            guard index >= Self.shortest - 1, let candidates = beginnings.forms(at: word) else { continue }
            let start = index - Self.shortest + 1
            var range = start..<start
            for number in candidates {
                let form = forms[number]
                guard text.count - start >= form.bytes.count, common(form, text[start...]) == form.bytes.count else {
                    continue
                }
                let margin = form.isEncoded ? 1 : 0
                let end = start + form.bytes.count
                let isFollowed = margin > 0 && end < text.count && Self.isBase64(text[end])
                let isPreceded = margin > 0 && start > 0 && Self.isBase64(text[start - 1])
                range =
                    min(
                        range.lowerBound,
                        isPreceded ? start - 1 : start
                    )..<max(
                        range.upperBound,
                        isFollowed ? end + 1 : end
                    )
            }
            if !range.isEmpty { found.addMerging(range) }
        }
        return found
    }

    /// The part of a form at the end of a piece of a text that was cut there: its beginning. `nil` when there is none.
    ///
    /// - Parameter slack: how many bytes may come between.
    func beginning(atEndOf piece: Range<Int>, of text: [UInt8], slack: Int) -> Range<Int>? {
        var word: UInt32 = 0
        for index in max(piece.lowerBound, piece.upperBound - longest - slack)..<piece.upperBound {
            word = word << 8 | UInt32(text[index])
            let start = index - Self.shortest + 1
            guard start >= piece.lowerBound, let candidates = beginnings.forms(at: word) else { continue }
            for number in candidates {
                let count = common(forms[number], text[start..<piece.upperBound])
                // One that is whole is found as such.
                if count < forms[number].bytes.count, start + count >= piece.upperBound - slack {
                    return start..<piece.upperBound
                }
            }
        }
        return nil
    }

    /// The part of a form at the beginning of a piece of a text that was cut there: its end. `nil` when there is none.
    ///
    /// - Parameter slack: how many bytes may come before.
    func ending(atBeginningOf piece: Range<Int>, of text: [UInt8], slack: Int) -> Range<Int>? {
        var end: Int?
        var word: UInt32 = 0
        for index in piece.lowerBound..<min(piece.upperBound, piece.lowerBound + longest + slack) {
            word = word << 8 | UInt32(text[index])
            guard index - piece.lowerBound >= Self.shortest - 1, let candidates = endings.forms(at: word) else {
                continue
            }
            let part = text[piece.lowerBound...index]
            let isEnding = candidates.contains { number in
                let count = commonEnd(forms[number], part)
                return count < forms[number].bytes.count && part.count - count <= slack
            }
            if isEnding { end = index + 1 }
        }
        return end.map { piece.lowerBound..<$0 }
    }

    /// How many bytes a form and a part of a text have in common at their beginning.
    private func common(_ form: Form, _ part: ArraySlice<UInt8>) -> Int {
        var count = 0
        while count < form.bytes.count, count < part.count, form.bytes[count] == part[part.startIndex + count] {
            count += 1
        }
        return count
    }

    /// How many bytes a form and a part of a text have in common at their end.
    private func commonEnd(_ form: Form, _ part: ArraySlice<UInt8>) -> Int {
        var count = 0
        while count < form.bytes.count, count < part.count,
            form.bytes[form.bytes.count - count - 1] == part[part.endIndex - count - 1]
        {
            count += 1
        }
        return count
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension [Range<Int>] {
    /// Adds a range that begins in the last one or after it; those that overlap or touch become one.
    mutating func addMerging(_ range: Range<Int>) {
        guard let last, range.lowerBound <= last.upperBound else { return append(range) }
        self[count - 1] = Swift.min(last.lowerBound, range.lowerBound)..<Swift.max(last.upperBound, range.upperBound)
    }
}
