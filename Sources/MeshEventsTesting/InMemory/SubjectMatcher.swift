import MessageGrammar

/// NATS's rules for subjects: tokens joined by dots; `*` one token, `>` the rest, at least one token, last only.
enum SubjectMatcher {
    private static let dot = UInt8(ascii: ".")

    /// Whether a pattern covers a subject; both as UTF-8.
    static func matches(pattern: [UInt8], subject: [UInt8]) -> Bool {
        var p = 0
        var s = 0
        while p < pattern.count {
            guard s < subject.count else { return false }
            let patternEnd = end(of: pattern, from: p)
            let length = patternEnd - p
            if length == 1, pattern[p] == UInt8(ascii: ">"), patternEnd == pattern.count { return true }
            let subjectEnd = end(of: subject, from: s)
            let isWildcard = length == 1 && pattern[p] == UInt8(ascii: "*")
            if !isWildcard {
                guard subjectEnd - s == length else { return false }
                for offset in 0..<length where pattern[p + offset] != subject[s + offset] { return false }
            }
            p = patternEnd + 1
            s = subjectEnd + 1
        }
        return s >= subject.count && p - pattern.count == s - subject.count
    }

    /// Whether a message may be published to this subject.
    static func isSubject(_ subject: [UInt8]) -> Bool {
        subject.withUnsafeBytes { SubjectGrammar.problem(in: $0, wildcards: false) == nil }
    }

    /// Whether a subscription may have this pattern.
    static func isPattern(_ pattern: [UInt8]) -> Bool {
        pattern.withUnsafeBytes { SubjectGrammar.problem(in: $0, wildcards: true) == nil }
    }

    private static func end(of bytes: [UInt8], from start: Int) -> Int {
        var index = start
        while index < bytes.count, bytes[index] != dot { index += 1 }
        return index
    }
}
