/// The rules of NATS subjects, as a server in its default configuration enforces or assumes them.
enum SubjectRules {
    /// Checks a subject to publish to: tokens without wildcards.
    static func validatePublish(_ subject: String) throws(NATSError) {
        try validate(subject, wildcards: false)
    }

    /// Checks a subject to subscribe to: `*` for a token, `>` for the rest, at the end only.
    static func validateSubscribe(_ subject: String) throws(NATSError) {
        try validate(subject, wildcards: true)
    }

    /// Checks the name of a queue group: no white space.
    static func validateQueueGroup(_ group: String) throws(NATSError) {
        guard !group.isEmpty, group.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw NATSError(
                .invalidSubject,
                "the queue group \(group.debugDescription) is empty or has white space in it"
            )
        }
    }

    private static func validate(_ subject: String, wildcards: Bool) throws(NATSError) {
        var copy = subject
        let found = copy.withUTF8 { problem(in: UnsafeRawBufferPointer($0), wildcards: wildcards) }
        if let found {
            throw NATSError(.invalidSubject, "the subject \(subject.debugDescription) \(found)")
        }
    }

    private static func problem(in bytes: UnsafeRawBufferPointer, wildcards: Bool) -> String? {
        guard bytes.count > 0 else { return "is empty" }
        var tokenStart = 0
        for index in 0...bytes.count {
            let byte = index < bytes.count ? bytes[index] : UInt8(ascii: ".")
            if byte <= 0x20 || byte == 0x7F { return "has white space or a control character in it" }
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
}
