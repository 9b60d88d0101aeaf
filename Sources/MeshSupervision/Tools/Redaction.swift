public import MeshEvents

/// Removes secrets from a configuration and from texts before they are published.
///
/// A configuration keeps its keys, numbers and booleans; `(string)` replaces a string whose key is not to be published.
/// ``placeholder`` replaces
/// - the value of a key that names a secret (``namesSecret(_:)``) or is listed as secret, whatever its kind;
/// - a confidential string, or the confidential part of one, even when its key is to be published. In texts it is found
///   in other notations, too: in URLs (`%2F`), behind backslashes as in JSON (`\"`, `\u00e9`), and from 8 bytes on in
///   base64;
/// - what looks like a secret in a published string: known kinds of tokens, logins in URLs, random text.
public struct Redaction: Sendable {
    /// The replacement for a secret.
    public static let placeholder = "[redacted]"
    /// The replacement for a string.
    public static let string = "(string)"
    /// The replacement for an integer so long that it may be a secret.
    public static let number = "(number)"

    /// An integer with at least this many digits may be a secret: the number of a card or an account.
    private static let longNumber = 13
    /// Confidential strings with fewer characters are not searched for within others: they would be found everywhere.
    private static let shortestPart = 6

    private let published: Set<String>
    private let secrets: Set<String>
    private let confidential: Set<String>
    private let forms: SecretForms

    /// Creates a redaction.
    ///
    /// - Parameters:
    ///   - published: keys whose values are published: a key's name at any depth, or its path (`database.host`). The
    ///     members of an object are published with it, except for keys that name secrets.
    ///   - secrets: keys whose values are secret, in the same notation; they win over those that are published.
    ///   - confidential: texts that are never published, for example values of environment variables. Those of at
    ///     least 6 characters are removed from other texts too.
    public init(published: Set<String> = [], secrets: Set<String> = [], confidential: Set<String> = []) {
        self.published = published
        self.secrets = secrets
        self.confidential = confidential.filter { !$0.isEmpty }
        // Output is read line by line: so each line of a confidential text is one, too.
        let lines = confidential.flatMap {
            $0.contains(where: \.isNewline) ? $0.split(whereSeparator: \.isNewline) : []
        }
        forms = SecretForms(confidential.union(lines.map(String.init)).filter { $0.count >= Self.shortestPart })
    }

    /// The data as it may be published.
    public func redact(_ data: EventData) -> EventData {
        guard let object = data.value.object else { return data }
        return EventData(redact(object, path: "", isPublished: false))
    }

    /// The text without confidential strings and without what looks like a secret.
    public func redact(_ text: String) -> String {
        confidential.contains(text) ? Self.placeholder : SecretFinder.redacted(text, forms)
    }

    /// Whether a key names a secret: `apiKey`, `API-KEY`, `db.password`, `dbpassword` and `openai_key` do; `author`,
    /// `tokenizer`, `public_key` and `max_tokens`, a count, do not.
    public static func namesSecret(_ key: String) -> Bool { KeyWords.nameSecret(key) }

    /// The strings and numbers under keys of a configuration whose values are secret.
    func secretTexts(of data: EventData) -> Set<String> {
        var texts: Set<String> = []
        func collect(_ value: JSONValue, path: String, isSecret: Bool) {
            switch value {
            case .string(let text): if isSecret { texts.insert(text) }
            case .number: if isSecret { texts.insert(value.description) }
            case .array(let values): for value in values { collect(value, path: path, isSecret: isSecret) }
            case .object(let object):
                for (key, value) in object {
                    let path = path.isEmpty ? key : "\(path).\(key)"
                    collect(value, path: path, isSecret: isSecret || self.isSecret(key, path))
                }
            case .null, .bool: break
            }
        }
        collect(data.value, path: "", isSecret: false)
        return texts
    }

    private func isListed(_ key: String, _ path: String) -> Bool { published.contains(key) || published.contains(path) }

    private func isSecret(_ key: String, _ path: String) -> Bool {
        secrets.contains(key) || secrets.contains(path) || !isListed(key, path) && Self.namesSecret(key)
    }

    private func redact(_ object: JSONObject, path: String, isPublished: Bool) -> JSONObject {
        JSONObject(
            object.map { key, value in
                let path = path.isEmpty ? key : "\(path).\(key)"
                let isListed = isListed(key, path)
                let isSecret = isSecret(key, path)
                // Keys are published, except for a secret within a key.
                let shownKey = redact(key)
                // Null is published: it shows that no secret was given.
                if isSecret, !value.isNull { return (shownKey, .string(Self.placeholder)) }
                return (shownKey, redact(value, path: path, isPublished: isPublished || isListed))
            }
        )
    }

    private func redact(_ value: JSONValue, path: String, isPublished: Bool) -> JSONValue {
        switch value {
        case .string(let text):
            if confidential.contains(text) { return .string(Self.placeholder) }
            return .string(isPublished ? redact(text) : Self.string)
        case .array(let values): return .array(values.map { redact($0, path: path, isPublished: isPublished) })
        case .object(let object): return .object(redact(object, path: path, isPublished: isPublished))
        case .number:
            let text = value.description
            let isLong = text.utf8.count >= Self.longNumber && text.utf8.allSatisfy { $0 != UInt8(ascii: ".") }
            return isLong && !isPublished ? .string(Self.number) : value
        case .null, .bool: return value
        }
    }
}
