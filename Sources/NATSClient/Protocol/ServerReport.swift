/// What an `-ERR` means for the client.
struct ServerReport {
    enum Kind: Equatable {
        /// The server refused a message to this subject; it does not say which message.
        case publishDenied(String)
        /// The server refused a subscription, or has ended it.
        case subscriptionDenied(SubscriptionName)
        /// The server refused a subscription; it does not say which. Of subscriptions that were sent together, it then
        /// refuses the later ones too.
        case subscriptionRefused
        case other
    }

    /// How a report names a subscription.
    struct SubscriptionName: Equatable {
        var subject: String
        var queueGroup: String?
        /// Whether the report is about this subject in every queue group.
        var isAnyQueueGroup = false
        /// The subscription's id; set only when the server ends an existing subscription.
        var sid: UInt64?
    }

    let kind: Kind
    let error: NATSError
    /// Whether the server closes the connection after this.
    let closesConnection: Bool

    /// The most of a report that is read, in bytes: reports are kept until a caller asks for them. By default a server
    /// accepts subjects of 4 KiB at most (`max_control_line`).
    static let maximumBytes = 8 << 10
    /// How much of a subject or a report a message shows, in characters.
    private static let maximumShown = 256

    init(_ text: String) {
        let text =
            text.utf8.count <= Self.maximumBytes
            ? text : String(decoding: text.utf8.prefix(Self.maximumBytes), as: UTF8.self)
        let lower = text.lowercased()
        if lower.hasPrefix("permissions violation for ") {
            (kind, error) = Self.violation(text, isPublish: lower.hasPrefix("permissions violation for publish"))
            closesConnection = false
            return
        }
        if let reason = Self.refusal(lower) {
            kind = .subscriptionRefused
            closesConnection = false
            error = NATSError(.serverError, "the server refused a subscription (\(Self.shown(text))); \(reason)")
            return
        }
        kind = .other
        if lower.hasPrefix("maximum account active connections") || lower.hasPrefix("maximum connections") {
            closesConnection = true
            error = NATSError(
                .serverError,
                "the server takes no more connections (\(Self.shown(text))); close some, or raise the limit of the account "
                    + "or the server",
                isRetriable: true
            )
        } else if lower == "authentication timeout" {
            closesConnection = true
            error = NATSError(
                .connectionFailed,
                "the login did not reach the server in the time that it allows (\(Self.shown(text))); the link to it "
                    + "is slow: raise `timeout` of the server's `authorization`",
                isRetriable: true
            )
        } else if lower.contains("authorization") || lower.contains("authentication") || lower.contains("account") {
            closesConnection = true
            error = NATSError(
                .authenticationFailed,
                "the server refused the login (\(Self.shown(text))); check user, password, token, key or credentials file"
            )
        } else if lower.contains("tls required") {
            closesConnection = true
            error = NATSError(.tlsFailed, "the server speaks TLS only; use tls:// or name its CA")
        } else {
            // A report that leaves the connection open is about one operation.
            closesConnection =
                !lower.hasPrefix("invalid") && !lower.hasPrefix("no responders")
            error = NATSError(.serverError, "the server reported: \(Self.shown(text))", isRetriable: closesConnection)
        }
    }

    /// What to do about a report on a subscription; `nil` for any other report.
    private static func refusal(_ lower: String) -> String? {
        if lower.hasPrefix("maximum subscriptions") {
            return "end other subscriptions, or raise the limit of the server (max_subscriptions), account or user"
        }
        return lower == "invalid subject" ? "this server does not accept the subject" : nil
    }

    private static func shown(_ text: String) -> String {
        text.count <= maximumShown ? text : "\(text.prefix(maximumShown))…"
    }

    /// `… for Publish to "a"`, `… for Subscription to "a"`, and behind that `using queue "q"` or `(sid "7")`.
    private static func violation(_ text: String, isPublish: Bool) -> (Kind, NATSError) {
        let word = QuotedWord(in: text)
        let subject = word?.text ?? ""
        let error = NATSError(
            .permissionDenied,
            "the server forbids this user to \(isPublish ? "publish" : "subscribe") to \(shown(subject).debugDescription);"
                + " its permissions must allow it",
            subject: subject
        )
        guard !isPublish else { return (.publishDenied(subject), error) }
        var name = SubscriptionName(subject: subject)
        if let rest = word?.rest, let more = QuotedWord(in: rest) {
            if rest.hasPrefix(" using queue") { name.queueGroup = more.text }
            if rest.hasPrefix(" (sid") { name.sid = UInt64(more.text) }
        }
        // max_sub_tokens applies to every queue group.
        if let rest = word?.rest, rest.contains("too many tokens") { name.isAnyQueueGroup = true }
        return (.subscriptionDenied(name), error)
    }
}

/// A text in double quotes in a server's report, in Go's notation.
private struct QuotedWord {
    /// The text without quotes and escapes.
    let text: String
    /// The rest of the report behind it.
    let rest: Substring

    /// Finds the first quoted text; `nil` when there is none, or it does not end.
    init?(in report: some StringProtocol) {
        guard let start = report.firstIndex(of: "\"") else { return nil }
        var scalars = Substring(report[report.index(after: start)...]).unicodeScalars
        var bytes: [UInt8] = []
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\"":
                text = String(decoding: bytes, as: UTF8.self)
                rest = Substring(scalars)
                return
            case "\\":
                guard let escaped = scalars.popFirst() else { return nil }
                bytes += Self.unescaped(escaped, &scalars)
            default:
                bytes += Array(String(scalar).utf8)
            }
        }
        return nil
    }

    /// The bytes that an escape stands for; its digits are removed from `rest`.
    private static func unescaped(_ letter: Unicode.Scalar, _ rest: inout Substring.UnicodeScalarView) -> [UInt8] {
        let count: Int
        switch letter {
        case "n": return [0x0A]
        case "r": return [0x0D]
        case "t": return [0x09]
        case "a": return [0x07]
        case "b": return [0x08]
        case "f": return [0x0C]
        case "v": return [0x0B]
        case "x": count = 2
        case "u": count = 4
        case "U": count = 8
        default: return Array(String(letter).utf8)
        }
        let digits = String(Substring(rest.prefix(count)))
        guard digits.unicodeScalars.count == count, let value = UInt32(digits, radix: 16) else { return [] }
        rest.removeFirst(count)
        if letter == "x" { return [UInt8(truncatingIfNeeded: value)] }
        return Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
    }
}
