#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The address of a target, `https://…` or `http://…`. Its path, query and login can be secrets: only ``authority`` is
/// shown.
struct TargetAddress: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// Whether the target is reached by TLS.
    let isSecure: Bool
    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    let host: String
    /// The port; that of the scheme when the address has none.
    let port: Int
    /// The path, percent-encoded, without a `/` at its end.
    let path: String
    /// The query, percent-encoded; `nil` for none.
    let query: String?
    /// The value of `Authorization` that the address's `user:password@` makes; `nil` for none.
    let authorization: String?
    /// The texts in it that must not be shown.
    let secrets: [String]

    /// Reads an address.
    ///
    /// - Parameters:
    ///   - text: the address.
    ///   - kind: the target's kind, for the error: `ntfy`.
    ///   - shape: how such an address looks, for the error.
    /// - Throws: when it is none.
    init(_ text: String, _ kind: String, _ shape: String) throws(NotifierConfigurationError) {
        func wrong(_ what: String) -> NotifierConfigurationError {
            NotifierConfigurationError("the address of \(kind) \(what); it looks like \(shape)")
        }
        guard !text.isEmpty else { throw wrong("is empty") }
        guard text.utf8.count <= 4_096 else { throw wrong("is longer than 4096 bytes") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw wrong(
                "has spaces, control characters or letters beyond ASCII in it, which have to be percent-encoded"
            )
        }
        guard let parts = URLComponents(string: text, encodingInvalidCharacters: false),
            let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http"
        else {
            throw wrong("begins with neither https:// nor http://")
        }
        guard let host = parts.encodedHost?.lowercased(), Self.isHost(host) else { throw wrong("has no host") }
        guard parts.fragment == nil else { throw wrong("has a # in it") }
        let port = parts.port ?? (scheme == "https" ? 443 : 80)
        guard (1...65_535).contains(port) else { throw wrong("has a port that does not exist") }
        isSecure = scheme == "https"
        self.host = host
        self.port = port
        var path = parts.percentEncodedPath
        while path.hasSuffix("/") { path.removeLast() }
        self.path = path
        query = parts.percentEncodedQuery
        var secrets = [path, query].compactMap { $0 } + path.split(separator: "/").map(String.init)
        for pair in (query ?? "").split(separator: "&") {
            if let value = pair.split(separator: "=", maxSplits: 1).last { secrets.append(String(value)) }
        }
        if parts.user != nil || parts.password != nil {
            let (user, password) = (parts.user ?? "", parts.password ?? "")
            guard !user.contains(":") else { throw wrong("has a user with a colon in it") }
            let encoded = Data("\(user):\(password)".utf8).base64EncodedString()
            authorization = "Basic \(encoded)"
            secrets += [encoded, user, password, parts.percentEncodedUser ?? "", parts.percentEncodedPassword ?? ""]
        } else {
            authorization = nil
        }
        self.secrets = secrets.filter { !$0.isEmpty }
    }

    private static func isHost(_ host: String) -> Bool {
        if host.hasPrefix("["), host.hasSuffix("]"), host.utf8.count > 4 {
            return host.dropFirst().dropLast().utf8.allSatisfy {
                isHexadecimal($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
            }
        }
        return !host.isEmpty && host.utf8.count <= 253
            && host.utf8.allSatisfy { byte in
                isHexadecimal(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// The host, with the port when it is not that of the scheme: all that messages show.
    var authority: String { port == (isSecure ? 443 : 80) ? host : "\(host):\(port)" }

    /// The address without login and query, with this path.
    func url(path: String) -> String { "\(isSecure ? "https" : "http")://\(authority)\(path)" }

    /// The whole address without the login.
    var url: String { url(path: path.isEmpty ? "/" : path) + (query.map { "?\($0)" } ?? "") }

    var description: String { authority }
    var customMirror: Mirror { Mirror(self, children: []) }
}

extension String {
    /// The text, when it can be the value of a header field: printable ASCII, at most 4096 bytes, not empty.
    ///
    /// - Throws: when it cannot, with the name of what it is.
    func asHeaderValue(_ what: String) throws(NotifierConfigurationError) -> String {
        guard !isEmpty else { throw NotifierConfigurationError("the \(what) is empty") }
        guard utf8.count <= 4_096, utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw NotifierConfigurationError(
                "the \(what) has spaces, line breaks or letters beyond ASCII in it, or more than 4096 bytes"
            )
        }
        return self
    }
}
