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
