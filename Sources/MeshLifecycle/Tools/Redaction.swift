public import MeshEvents

/// Takes secrets out of a configuration before others see it.
///
/// A value is replaced when its key names a secret (``namesSecret(_:)``) or is marked, at any depth; in other strings,
/// the password of a URL is.
public struct Redaction: Sendable {
    /// What stands in the place of a secret.
    public static let placeholder = "[redacted]"

    private let marked: Set<String>

    /// Creates a redaction.
    ///
    /// - Parameter marked: Keys whose values are secret: a key's name at any depth, or its path (`database.user`).
    public init(marked: Set<String> = []) {
        self.marked = marked
    }

    /// The data without its secrets.
    public func redact(_ data: EventData) -> EventData {
        guard let object = data.value.object else { return data }
        return EventData(redact(object, path: ""))
    }

    /// The text without the passwords of URLs in it.
    public func redact(_ text: String) -> String { URLPassword.redacted(in: text) }

    private func redact(_ object: JSONObject, path: String) -> JSONObject {
        JSONObject(
            object.map { key, value in
                let path = path.isEmpty ? key : "\(path).\(key)"
                // No secret was given where null stands, which is worth knowing.
                if !value.isNull, marked.contains(key) || marked.contains(path) || Self.namesSecret(key) {
                    return (key, .string(Self.placeholder))
                }
                return (key, redact(value, path: path))
            }
        )
    }

    private func redact(_ value: JSONValue, path: String) -> JSONValue {
        switch value {
        case .string(let text): .string(redact(text))
        case .array(let values): .array(values.map { redact($0, path: path) })
        case .object(let object): .object(redact(object, path: path))
        case .null, .bool, .number: value
        }
    }

    /// Whether a key names a secret, going by whole words: `apiKey`, `API-KEY` and `db.password` do; `author`,
    /// `tokenizer` and `max_tokens`, a count, do not.
    public static func namesSecret(_ key: String) -> Bool {
        let words = KeyWords.split(key)
        if words.contains(where: secretWords.contains) { return true }
        return zip(words, words.dropFirst()).contains { first, second in
            (second == "key" || second == "keys") && keyKinds.contains(first)
        }
    }

    private static let secretWords: Set<String> = [
        "token", "password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "authorization", "cookie",
        "cookies", "credential", "credentials", "creds", "bearer", "jwt", "nkey",
        // As they are often run together.
        "apikey", "apikeys", "privatekey", "accesskey", "secretkey", "authtoken", "accesstoken", "refreshtoken",
        "clientsecret",
    ]

    /// What a `key` must be for to be secret.
    private static let keyKinds: Set<String> = [
        "api", "private", "access", "auth", "signing", "encryption", "ssh", "license", "service",
    ]
}

/// Splits a key into words: `dbPassword`, `DB_PASSWORD` and `db-password` are `db` and `password`.
enum KeyWords {
    static func split(_ key: String) -> [String] {
        var words: [String] = []
        var word = ""
        let characters = Array(key)
        for (index, character) in characters.enumerated() {
            guard character.isLetter else {
                if !word.isEmpty { words.append(word.lowercased()) }
                word = ""
                continue
            }
            if let last = word.last, character.isUppercase {
                let nextIsLower = index + 1 < characters.count && characters[index + 1].isLowercase
                // `dbPassword` before the P, `APIKey` before the K.
                if last.isLowercase || nextIsLower {
                    words.append(word.lowercased())
                    word = ""
                }
            }
            word.append(character)
        }
        if !word.isEmpty { words.append(word.lowercased()) }
        return words
    }
}

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
