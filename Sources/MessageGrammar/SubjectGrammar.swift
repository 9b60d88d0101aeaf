/// The rules of NATS subjects, as a server in its default configuration enforces or assumes them.
package enum SubjectGrammar {
    /// The rule that a subject breaks, as the end of a sentence; `nil` when it keeps them all.
    ///
    /// - Parameters:
    ///   - bytes: the subject, as UTF-8.
    ///   - wildcards: whether it may have `*` for a token, and `>` for the rest, at the end only.
    package static func problem(in bytes: UnsafeRawBufferPointer, wildcards: Bool) -> String? {
        guard bytes.count > 0 else { return "is empty" }
        var tokenStart = 0
        for index in 0...bytes.count {
            let byte = index < bytes.count ? bytes[index] : UInt8(ascii: ".")
            if isRefused(byte) { return "has white space or a control character in it" }
            guard byte == UInt8(ascii: ".") else { continue }
            if index == tokenStart { return "has an empty token" }
            if index == tokenStart + 1 {
                switch bytes[tokenStart] {
                case UInt8(ascii: "*") where !wildcards, UInt8(ascii: ">") where !wildcards:
                    return "has a wildcard in it; publish to one exact subject"
                case UInt8(ascii: ">") where index < bytes.count:
                    return "has '>' before its end; '>' stands for the rest"
                default: break
                }
            }
            tokenStart = index + 1
        }
        return nil
    }

    /// The rule that a subject breaks, as the end of a sentence; `nil` when it keeps them all.
    package static func problem(in subject: String, wildcards: Bool) -> String? {
        var subject = subject
        return subject.withUTF8 { problem(in: UnsafeRawBufferPointer($0), wildcards: wildcards) }
    }

    /// The rule that the name of a queue group breaks, as the end of a sentence; `nil` when it keeps them all.
    ///
    /// A server ends the name at white space and takes any other byte. It is no subject: empty tokens are allowed, and
    /// `*` and `>` stand for themselves. Control characters are refused here as they are in subjects.
    package static func problem(inQueueGroup group: String) -> String? {
        if group.isEmpty { return "is empty" }
        return group.utf8.contains(where: isRefused) ? "has white space or a control character in it" : nil
    }

    /// Whether a text can be the name of a stream, a consumer or a JetStream domain: a token of subjects, which the server
    /// also uses in the names of files.
    package static func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.utf8.contains { isRefused($0) || ".*>/\\".utf8.contains($0) }
    }

    /// A prefix of subjects: tokens without `*` and `>`, with dots between them. Other tools accept a dot at its end, so this
    /// does too, and leaves it out. `nil` for a text that is none.
    package static func prefix(_ text: String) -> String? {
        let prefix = text.hasSuffix(".") ? String(text.dropLast()) : text
        guard problem(in: prefix, wildcards: false) == nil, !prefix.utf8.contains(where: "*>".utf8.contains) else {
            return nil
        }
        return prefix
    }

    private static func isRefused(_ byte: UInt8) -> Bool { byte <= 0x20 || byte == 0x7F }
}
