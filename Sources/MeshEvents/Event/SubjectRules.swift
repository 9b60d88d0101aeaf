import MeshJSON

/// The rules of the tokens that subjects are made of.
package enum SubjectRules {
    /// The prefix of every event's subject.
    static let prefix = "events."
    /// The longest event type, in bytes of UTF-8.
    static let maximumTypeLength = 200

    /// The rule that an event type breaks, as the end of a sentence; `nil` when it keeps them all.
    static func problem(ofType bytes: UnsafeBufferPointer<UInt8>) -> String? {
        if bytes.isEmpty { return "it is empty" }
        if bytes.count > maximumTypeLength {
            return "it has \(bytes.count) bytes, more than \(maximumTypeLength)"
        }
        // A single pass for plain types: printable ASCII without wildcards, with dots only between tokens.
        var previous = UInt8(ascii: ".")
        var isPlain = true
        for byte in bytes {
            if byte <= 0x20 || byte >= 0x7F || byte == UInt8(ascii: "*") || byte == UInt8(ascii: ">") {
                isPlain = false
                break
            }
            if byte == UInt8(ascii: "."), previous == UInt8(ascii: ".") { return emptyToken }
            previous = byte
        }
        if isPlain { return previous == UInt8(ascii: ".") ? emptyToken : nil }
        return problemOfTokens(bytes) { token in
            token.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: ">") }
                ? "it holds a wildcard, '*' or '>'" : nil
        }
    }

    /// The rule that a pattern breaks, as the end of a sentence; `nil` when it keeps them all.
    static func problem(ofPattern pattern: String) -> String? {
        pattern.withBytes { bytes in
            if !pattern.utf8.starts(with: prefix.utf8) { return "it does not begin with 'events.'" }
            if bytes.count > prefix.utf8.count + maximumTypeLength {
                return "it has \(bytes.count) bytes, more than any event's subject"
            }
            var afterRest = false
            return problemOfTokens(bytes) { token in
                if afterRest { return "'>' must be its last token" }
                for wildcard in [UInt8(ascii: "*"), UInt8(ascii: ">")] where token.contains(wildcard) {
                    guard token.count == 1 else { return "a wildcard must be a whole token" }
                    afterRest = wildcard == UInt8(ascii: ">")
                }
                return nil
            }
        }
    }

    private static let emptyToken = "it has an empty token (a dot at an end, or two in a row)"

    private static func problemOfTokens(
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ check: (Slice<UnsafeBufferPointer<UInt8>>) -> String?
    ) -> String? {
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if scalar.properties.isWhitespace { return "it holds white space" }
            if scalar.properties.generalCategory == .control { return "it holds a control character" }
        }
        for token in bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            if token.isEmpty { return emptyToken }
            if let problem = check(token) { return problem }
        }
        return nil
    }

    /// The string for an error message: quoted, escaped, cut.
    package static func quoted(_ string: String) -> String {
        let shown = string.unicodeScalars.prefix(60).map { $0.escaped(asASCII: false) }.joined()
        return "'\(shown)\(string.unicodeScalars.count > 60 ? "…" : "")'"
    }
}

/// The subjects of requests to nodes and of their answers. They lie outside `events.`, so the stream does not store
/// them.
package enum ControlSubject {
    /// The prefix of the answers' subjects, without the dot at the end. The client that sends a request appends a token
    /// that others cannot guess, and subscribes there. So a node only needs the permission to publish below this
    /// prefix.
    package static let answers = "mesh.control.answer"

    /// Whether a request may ask for answers there. A node may publish events; who asks it for something may not, and
    /// must not be able to have it publish under such a subject.
    package static func isForAnswers(_ subject: String) -> Bool {
        subject.hasPrefix(answers + ".") || subject.hasPrefix("_INBOX.")
    }

    /// The subject on which a node listens for requests about its tools; of any node for `nil`.
    package static func tools(of node: String?) -> String { "mesh.control.tool." + (node.map { token(of: $0) } ?? "*") }

    /// The subject on which a node listens for requests to read its logs. Below it, with a token that others cannot
    /// guess, it listens for what a reader has received.
    package static func logs(of node: String) -> String { "\(logs).\(token(of: node))" }

    /// The prefix of the subjects about logs, without the dot at the end.
    package static let logs = "mesh.logs"

    /// A node's name as a token of a subject. The name may hold characters that a token may not. So every byte that is no
    /// letter, digit or `-` is written as `_` and two hexadecimal digits.
    package static func token(of node: String) -> String {
        var token = ""
        for byte in node.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                token.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                token += "_" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return token.isEmpty ? "_" : token
    }
}
