import Foundation

/// Finds secrets that are known by value, in the notations in which programs write them: as they are, in a URL
/// (`%2F`), behind backslashes as in JSON (`\"`, `\u00e9`), and in base64, alone or with something around it
/// (`user:secret`).
///
/// Programs escape different signs, and write an escape in different ways: so a text's escapes are undone before secrets
/// are looked for in it. What a secret is in base64 is worked out once. A text is read once for each kind of escapes that
/// it has, however many secrets there are.
///
/// Where a text was cut, which `…` says, the parts of secrets on both sides are found, too: those of at least four
/// bytes.
struct SecretForms: Sendable {
    /// Shorter secrets are not looked for in base64: their characters would be found by chance.
    private static let shortestEncoded = 8
    /// The longest part of an escape that a cut leaves: of two, of which each is half a character.
    private static let longestEscape = 11
    private static let cut = Array("…".utf8)

    private let index: SecretIndex

    /// - Parameter secrets: the texts to find.
    init(_ secrets: some Sequence<String>) {
        var forms: Set<SecretIndex.Form> = []
        for secret in secrets {
            for spelling in Self.spellings(of: secret) { forms.insert(SecretIndex.Form(bytes: Array(spelling.utf8))) }
            let bytes = Array(secret.utf8)
            guard bytes.count >= Self.shortestEncoded else { continue }
            for offset in 0..<3 {
                let encoded = Self.encoded(bytes, after: offset)
                forms.insert(SecretIndex.Form(bytes: encoded, isEncoded: true))
                forms.insert(SecretIndex.Form(bytes: encoded.map(Self.inURL), isEncoded: true))
            }
        }
        index = SecretIndex(forms)
    }

    /// Where secrets are in a text (UTF-8), in order, apart from each other.
    func ranges(in text: [UInt8]) -> [Range<Int>] {
        guard !index.isEmpty else { return [] }
        var found = index.ranges(in: text) + parts(in: text, slack: 0)
        for escape in [UInt8(ascii: "%"), UInt8(ascii: "\\")] where text.contains(escape) {
            let plain = UnescapedText(text, escape)
            let ranges = index.ranges(in: plain.bytes) + parts(in: plain.bytes, slack: Self.longestEscape)
            found += ranges.map { plain.places[$0.lowerBound]..<plain.places[$0.upperBound] }
        }
        guard found.count > 1 else { return found }
        return found.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { $0.addMerging($1) }
    }

    /// The parts of secrets beside cuts.
    private func parts(in text: [UInt8], slack: Int) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var piece = 0
        var isCut = false
        while piece <= text.count {
            let mark = Self.mark(in: text, from: piece)
            // A space on either side belongs to the words about the cut.
            let isSpaced = isCut && piece < text.count && text[piece] == UInt8(ascii: " ")
            let start = isSpaced ? piece + 1 : piece
            var end = mark ?? text.count
            if isCut, start < end, let part = index.ending(atBeginningOf: start..<end, of: text, slack: slack) {
                found.append(part)
            }
            guard let mark else { break }
            if end > start, text[end - 1] == UInt8(ascii: " ") { end -= 1 }
            if start < end, let part = index.beginning(atEndOf: start..<end, of: text, slack: slack) {
                found.append(part)
            }
            (piece, isCut) = (mark + Self.cut.count, true)
        }
        return found
    }

    /// Where the next sign of a cut is.
    private static func mark(in text: [UInt8], from start: Int) -> Int? {
        var place = start
        while let found = text[place...].firstIndex(of: cut[0]) {
            if text[found...].starts(with: cut) { return found }
            place = found + 1
        }
        return nil
    }

    // MARK: Notations

    /// The secret as it is; with `+` for spaces, as in forms of web pages; and with its accents in one with their
    /// letters, and apart from them.
    private static func spellings(of secret: String) -> [String] {
        var spellings = [secret]
        if secret.contains(" ") { spellings.append(secret.replacing(" ", with: "+")) }
        if !secret.utf8.allSatisfy({ $0 < 0x80 }) {
            spellings += [secret.precomposedStringWithCanonicalMapping, secret.decomposedStringWithCanonicalMapping]
        }
        return spellings
    }

    /// The characters of base64 that hold nothing but bits of the secret.
    ///
    /// - Parameter offset: how many bytes come before it, beyond a multiple of three.
    private static func encoded(_ secret: [UInt8], after offset: Int) -> [UInt8] {
        let text = Data([UInt8](repeating: 0, count: offset) + secret).base64EncodedData()
        return Array(text.prefix((offset + secret.count) * 8 / 6).dropFirst((offset * 8 + 5) / 6))
    }

    /// A character of base64 as it is in URLs.
    private static func inURL(_ character: UInt8) -> UInt8 {
        switch character {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        default: character
        }
    }
}

/// A text whose escapes are undone.
private struct UnescapedText {
    private(set) var bytes: [UInt8] = []
    /// Where each byte stood in the text, and at the end the text's length.
    private(set) var places: [Int] = []
    private let text: [UInt8]

    /// - Parameter escape: `%`, with two hexadecimal digits for a byte; or `\`, as in JSON, and with any other sign for
    ///   that sign. What is no escape stays.
    init(_ text: [UInt8], _ escape: UInt8) {
        self.text = text
        bytes.reserveCapacity(text.count)
        places.reserveCapacity(text.count + 1)
        var index = 0
        while index < text.count {
            var length = 1
            if text[index] == escape {
                let (meaning, read) = escape == UInt8(ascii: "%") ? percent(at: index) : backslash(at: index)
                for byte in meaning { add(byte, index) }
                length = read
            } else {
                add(text[index], index)
            }
            index += length
        }
        places.append(text.count)
    }

    private mutating func add(_ byte: UInt8, _ place: Int) {
        bytes.append(byte)
        places.append(place)
    }

    /// What an escape means, and how many bytes it takes.
    private func percent(at index: Int) -> (meaning: [UInt8], length: Int) {
        guard let byte = number(at: index + 1, digits: 2) else { return ([text[index]], 1) }
        return ([UInt8(byte)], 3)
    }

    private func backslash(at index: Int) -> (meaning: [UInt8], length: Int) {
        guard index + 1 < text.count else { return ([text[index]], 1) }
        switch text[index + 1] {
        case UInt8(ascii: "n"): return ([10], 2)
        case UInt8(ascii: "r"): return ([13], 2)
        case UInt8(ascii: "t"): return ([9], 2)
        case UInt8(ascii: "b"): return ([8], 2)
        case UInt8(ascii: "f"): return ([12], 2)
        case UInt8(ascii: "u"):
            guard let unit = number(at: index + 2, digits: 4) else { return ([text[index]], 1) }
            if let scalar = Unicode.Scalar(unit) { return (Array(String(scalar).utf8), 6) }
            // A character beyond 16 bits is two units.
            guard (0xD800..<0xDC00).contains(unit), index + 7 < text.count, text[index + 6] == UInt8(ascii: "\\"),
                text[index + 7] == UInt8(ascii: "u"), let low = number(at: index + 8, digits: 4),
                (0xDC00..<0xE000).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            else { return ([text[index]], 1) }
            return (Array(String(scalar).utf8), 12)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), 0x80...:
            return ([text[index]], 1)
        default: return ([text[index + 1]], 2)
        }
    }

    /// The number of so many hexadecimal digits.
    private func number(at start: Int, digits: Int) -> UInt32? {
        guard start + digits <= text.count else { return nil }
        var number: UInt32 = 0
        for byte in text[start..<start + digits] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt32(byte - 0x30)
            case UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "a")...UInt8(ascii: "f"):
                number = number << 4 | UInt32((byte | 0x20) - 0x57)
            default: return nil
            }
        }
        return number
    }
}
