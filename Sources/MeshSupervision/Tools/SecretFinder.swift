/// Removes from a text what looks like a secret. It is the second protection, for texts from elsewhere; the first is
/// not to publish them. In doubt it removes too much.
///
/// It finds: PEM blocks; the login before the `@` of a URL, and the password of `user:password@host`; the word after
/// `Bearer` and similar schemes; the values of keys that name secrets, in `key=value`, `"key": "value"` and
/// `--key value`; tokens with the prefixes of well-known services; long runs of letters and digits that look random.
struct SecretFinder {
    private let bytes: [UInt8]
    private var secrets: [Range<Int>] = []

    /// The text with ``Redaction/placeholder`` in the place of each secret.
    ///
    /// - Parameter known: finds those that are known by value; they are replaced first.
    static func redacted(_ text: String, _ known: SecretForms) -> String {
        var bytes = Array(text.utf8)
        let values = known.ranges(in: bytes)
        if !values.isEmpty { bytes = replacing(values, in: bytes) }
        var scan = SecretFinder(bytes: bytes)
        scan.findBlocks()
        scan.findLogins()
        scan.findWords()
        scan.findValues()
        if values.isEmpty, scan.secrets.isEmpty { return text }
        return String(decoding: replacing(scan.secrets, in: bytes), as: UTF8.self)
    }

    /// The text with the placeholder for its secrets: one for all that overlap or touch.
    private static func replacing(_ secrets: [Range<Int>], in bytes: [UInt8]) -> [UInt8] {
        var apart: [Range<Int>] = []
        for secret in secrets.sorted(by: { $0.lowerBound < $1.lowerBound }) { apart.addMerging(secret) }
        var result: [UInt8] = []
        var end = 0
        for secret in apart {
            result += bytes[end..<secret.lowerBound]
            result += Redaction.placeholder.utf8
            end = secret.upperBound
        }
        return result + bytes[end...]
    }

    private mutating func found(_ range: Range<Int>) { if !range.isEmpty { secrets.append(range) } }

    // MARK: Blocks

    private static let blockBegin = Array("-----BEGIN".utf8)
    private static let blockEnd = Array("-----END".utf8)

    private mutating func findBlocks() {
        var start = 0
        while let begin = index(of: Self.blockBegin, in: start..<bytes.count) {
            let footer = index(of: Self.blockEnd, in: begin + Self.blockBegin.count..<bytes.count)
            // Up to the end of the line, or of the text when the block has no end.
            let end = footer.map { footer in self.end(from: footer + 8) { $0 == 10 || $0 == 13 } } ?? bytes.count
            found(begin..<end)
            start = end
        }
    }

    // MARK: Logins

    /// Finds logins in `scheme://user:password@host` and `user:password@host`.
    private mutating func findLogins() {
        var start = 0
        while start < bytes.count {
            let end = end(from: start) { Self.isSpaceOrQuote($0) || $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: ">") }
            findLogins(in: start..<end)
            start = end + 1
        }
    }

    private mutating func findLogins(in word: Range<Int>) {
        var start = word.lowerBound
        while start < word.upperBound {
            // One URL or `user:password@host`; a word may be a list of several.
            let scheme = index(of: Self.schemeEnd, in: start..<word.upperBound)
            let end = scheme.flatMap { nextURL(in: $0 + 3..<word.upperBound) } ?? word.upperBound
            if let at = bytes[start..<end].lastIndex(of: UInt8(ascii: "@")) {
                if let scheme, scheme < at {
                    found(scheme + 3..<at)
                } else if let colon = bytes[start..<at].firstIndex(of: UInt8(ascii: ":")) {
                    found(colon + 1..<at)
                }
            }
            start = end
        }
    }

    /// Where the scheme of the next URL begins.
    private func nextURL(in range: Range<Int>) -> Int? {
        guard var start = index(of: Self.schemeEnd, in: range) else { return nil }
        while start > range.lowerBound, Self.isLetter(bytes[start - 1]) { start -= 1 }
        return start
    }

    private static let schemeEnd = Array("://".utf8)

    // MARK: Words

    /// Finds tokens with a known prefix, words that look random, and the word after `Bearer` and similar schemes.
    private mutating func findWords() {
        var start = 0
        var previous: Range<Int>?
        while start < bytes.count {
            guard Self.isTokenByte(bytes[start]) else {
                start += 1
                continue
            }
            let end = end(from: start) { !Self.isTokenByte($0) }
            let word = start..<end
            let isAnnounced = previous.map { isScheme($0) && bytes[$0.upperBound..<start].allSatisfy(Self.isSpace) }
            if isAnnounced == true || hasKnownBeginning(word) {
                found(word)
            } else {
                findRandom(in: word)
            }
            previous = word
            start = end
        }
    }

    private func isScheme(_ word: Range<Int>) -> Bool {
        guard word.count <= 9 else { return false }
        return ["bearer", "basic", "digest", "negotiate", "apikey"].contains(text(word).lowercased())
    }

    private func hasKnownBeginning(_ word: Range<Int>) -> Bool {
        // The prefix may follow other characters in the same word, as in `key=ghp_…` or `-ghp_…`.
        var starts = [word.lowerBound]
        for index in word.dropLast() where !Self.isAlphanumeric(bytes[index]) { starts.append(index + 1) }
        return starts.prefix(64).contains { start in
            Self.beginnings.contains { beginning, length in
                word.upperBound - start >= beginning.count + length && bytes[start...].starts(with: beginning)
            }
        }
    }

    /// The prefixes of the tokens of well-known services, with the least number of bytes that follow.
    private static let beginnings: [(beginning: [UInt8], length: Int)] = {
        let short = [
            "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "xoxr-",
        ]
        let medium = [
            "xoxs-", "xoxe-", "xapp-", "sk-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "AKIA", "ASIA",
            "AIza", "ya29.", "eyJ", "shpat_", "AGE-SECRET-KEY-", "dckr_pat_", "glsa_", "sntrys_", "hvs.", "hvb.",
        ]
        let long = [
            "hf_", "npm_", "pypi-", "dop_v1_", "doo_v1_", "SG.", "gsk_", "nvapi-", "pplx-", "lin_api_", "PMAK-",
            "figd_",
            "sq0atp-", "sq0csp-", "ATATT3", "r8_",
        ]
        return short.map { (Array($0.utf8), 6) } + medium.map { (Array($0.utf8), 10) }
            + long.map { (Array($0.utf8), 16) }
    }()

    private mutating func findRandom(in word: Range<Int>) {
        // A secret key of AWS: base64 with slashes, 40 bytes.
        if word.count == 40, bytes[word.lowerBound] != UInt8(ascii: "/"),
            bytes[word].allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "+") }),
            isRandom(word)
        {
            found(word)
            return
        }
        var start = word.lowerBound
        while start < word.upperBound {
            guard Self.isAlphanumeric(bytes[start]) else {
                start += 1
                continue
            }
            var end = start
            while end < word.upperBound, Self.isAlphanumeric(bytes[end]) || bytes[end] == UInt8(ascii: "+") { end += 1 }
            let run = start..<end
            let isLongNumber = run.count >= 13 && bytes[run].allSatisfy(Self.isDigit)
            // A seed or a key in base32, as of NATS.
            let isBase32 =
                run.count >= 50
                && bytes[run].allSatisfy { (0x41...0x5A).contains($0) || (0x32...0x37).contains($0) }
            if isLongNumber || isBase32 || run.count >= 20 && isRandom(run) { found(run) }
            start = end
        }
    }

    /// Whether the bytes look random: they change their kind (digit, upper case, lower case) often and are evenly
    /// spread.
    private func isRandom(_ run: Range<Int>) -> Bool {
        var counts: [UInt8: Int] = [:]
        var changes = 0
        var digits = 0
        var last = 0
        for byte in bytes[run] {
            counts[byte, default: 0] += 1
            let kind = Self.isDigit(byte) ? 1 : (0x41...0x5A).contains(byte) ? 2 : (0x61...0x7A).contains(byte) ? 3 : 4
            if last != 0, kind != last { changes += 1 }
            if kind == 1 { digits += 1 }
            last = kind
        }
        // The sum of squares measures the spread about as well as the entropy, without logarithms.
        let squares = counts.values.reduce(0) { $0 + $1 * $1 }
        let isSpread = squares * 7 <= run.count * run.count
        // Words written together in camel case change their kind less often.
        return isSpread && changes * (digits >= 2 ? 4 : 3) >= run.count
    }

    // MARK: Values

    /// Finds the values of keys that name secrets.
    private mutating func findValues() {
        var start = 0
        while start < bytes.count {
            guard Self.isKeyByte(bytes[start]) else {
                start += 1
                continue
            }
            let key = start..<end(from: start) { !Self.isKeyByte($0) }
            start = key.upperBound
            guard let valueStart = valueStart(ofKey: key), KeyWords.nameSecret(text(key)) else { continue }
            let value = value(from: valueStart)
            found(value)
            // Goes on after the value, which is removed as a whole.
            start = value.upperBound
        }
    }

    /// Where the value of a key begins; `nil` when it has none.
    private func valueStart(ofKey key: Range<Int>) -> Int? {
        var start = key.upperBound
        let isOption = bytes[key.lowerBound] == UInt8(ascii: "-")
        if start < bytes.count, Self.isQuote(bytes[start]) { start += 1 }
        let afterKey = start
        start = end(from: start) { !Self.isSpace($0) }
        if start < bytes.count, bytes[start] == UInt8(ascii: "=") || bytes[start] == UInt8(ascii: ":") {
            start = end(from: start) { ![UInt8(ascii: "="), UInt8(ascii: ":"), UInt8(ascii: ">")].contains($0) }
            start = end(from: start) { !Self.isSpace($0) }
        } else if !isOption || start == afterKey {
            return nil
        }
        // In `--password --user me` the first option has no value.
        guard start < bytes.count, !isOption || bytes[start] != UInt8(ascii: "-") else { return nil }
        return start
    }

    private func value(from start: Int) -> Range<Int> {
        guard Self.isQuote(bytes[start]) else { return start..<end(from: start, where: Self.isSpaceOrQuote) }
        let quote = bytes[start]
        return start + 1..<end(from: start + 1) { $0 == quote }
    }

    // MARK: Bytes

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private func end(from start: Int, where isEnd: (UInt8) -> Bool) -> Int {
        start >= bytes.count ? bytes.count : bytes[start...].firstIndex(where: isEnd) ?? bytes.count
    }

    private func index(of pattern: [UInt8], in range: Range<Int>) -> Int? {
        bytes[range].firstRange(of: pattern)?.lowerBound
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    private static func isQuote(_ byte: UInt8) -> Bool { byte == 0x22 || byte == 0x27 || byte == 0x60 }
    private static func isSpaceOrQuote(_ byte: UInt8) -> Bool { isSpace(byte) || isQuote(byte) }
    /// Whether a byte can be part of a token: letters, digits, and the other characters of base64, URLs and services.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || [0x2B, 0x2D, 0x2E, 0x2F, 0x3D, 0x5F, 0x7E].contains(byte)
    }
    /// Whether a byte can be part of a key; every byte beyond ASCII can.
    private static func isKeyByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte >= 0x80 || [0x2D, 0x2E, 0x5F].contains(byte)
    }
}
