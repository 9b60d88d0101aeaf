/// The password in a URL's `user:password@`, or the token that NATS has in its place.
enum URLPassword {
    private static let tokenSchemes: Set<String> = ["nats", "tls", "ws", "wss"]

    static func redacted(in text: String) -> String {
        var result = ""
        var rest = text[...]
        while let separator = rest.firstRange(of: "://") {
            let scheme = rest[..<separator.lowerBound].split { !$0.isLetter }.last.map { $0.lowercased() } ?? ""
            result += rest[..<separator.upperBound]
            rest = rest[separator.upperBound...]
            let authority = rest.prefix { !"/?#,;\"'<> \t\n".contains($0) }
            guard let at = authority.lastIndex(of: "@") else { continue }
            let user = authority[..<at]
            if let colon = user.firstIndex(of: ":") {
                result += user[...colon] + Redaction.placeholder
            } else {
                result += tokenSchemes.contains(scheme) ? Redaction.placeholder[...] : user
            }
            rest = rest[at...]
        }
        return result + rest
    }
}
