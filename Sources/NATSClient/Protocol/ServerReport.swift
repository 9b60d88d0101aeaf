/// What an `-ERR` means for the client.
struct ServerReport {
    enum Kind: Equatable {
        case publishDenied(String)
        case subscriptionDenied(String)
        case other
    }

    let kind: Kind
    let error: NATSError
    /// Whether the server closes the connection after this.
    let closesConnection: Bool

    init(_ text: String) {
        let lower = text.lowercased()
        if lower.hasPrefix("permissions violation for ") {
            let subject =
                text.split(separator: "\"", omittingEmptySubsequences: false).dropFirst().first.map(String.init) ?? ""
            let isPublish = lower.hasPrefix("permissions violation for publish")
            kind = isPublish ? .publishDenied(subject) : .subscriptionDenied(subject)
            closesConnection = false
            error = NATSError(
                .permissionDenied,
                "the server forbids this user to \(isPublish ? "publish" : "subscribe") to \(subject.debugDescription);"
                    + " its permissions must allow it"
            )
            return
        }
        kind = .other
        if lower.contains("authorization") || lower.contains("authentication") || lower.contains("account") {
            closesConnection = true
            error = NATSError(
                .authenticationFailed,
                "the server refused the login (\(text)); check user, password, token, key or credentials file"
            )
        } else if lower.contains("tls required") {
            closesConnection = true
            error = NATSError(.tlsFailed, "the server speaks TLS only; use tls:// or name its CA")
        } else {
            // What the server sends without closing is about one operation.
            closesConnection =
                !lower.hasPrefix("invalid") && !lower.hasPrefix("no responders")
                && !lower.hasPrefix("maximum subscriptions")
            error = NATSError(.serverError, "the server reported: \(text)", isRetriable: closesConnection)
        }
    }
}
