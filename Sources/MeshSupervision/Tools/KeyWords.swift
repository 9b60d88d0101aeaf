/// Splits keys into words: `dbPassword`, `DB_PASSWORD` and `db-password` are `db` and `password`.
enum KeyWords {
    /// The longest key that is split, in bytes; a longer one counts as the name of a secret.
    private static let maximumLength = 256

    static func split(_ key: String) -> [String] {
        var words: [String] = []
        var word = ""
        let characters = Array(key.prefix(maximumLength))
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

    /// Whether a key names a secret: by one of its words, by words written together, or as in `openai_key`.
    static func nameSecret(_ key: String) -> Bool {
        if key.utf8.count > maximumLength { return true }
        let words = split(key)
        // `max_tokens` is a count.
        let isCount = words.contains(where: countWords.contains)
        if words.contains(where: { secretWords.contains($0) && !(isCount && countable.contains($0)) }) { return true }
        var joined = words.joined()
        for harmless in harmlessParts { joined = joined.replacing(harmless, with: "") }
        if secretParts.contains(where: joined.contains) && !isCount { return true }
        return zip(words, words.dropFirst()).contains { first, second in
            (second == "key" || second == "keys") && !harmlessKeys.contains(first)
        }
    }

    private static let secretWords: Set<String> = [
        "token", "tokens", "password", "passwords", "passwd", "passphrase", "passcode", "pass", "pw", "pwd", "pin",
        "pins",
        "otp", "totp", "cvv", "cvc", "ssn", "psk", "secret", "secrets", "authorization", "cookie", "cookies",
        "credential",
        "credentials", "cred", "creds", "bearer", "jwt", "nkey", "pem", "dsn", "webhook", "mnemonic", "hmac", "salt",
        "passwort", "kennwort", "motdepasse", "contrasena",
    ]

    /// Secret words that often stand in the name of a count.
    private static let countable: Set<String> = ["token", "tokens", "pass", "pin", "pins", "cookies", "secrets"]

    private static let countWords: Set<String> = [
        "max", "min", "maximum", "minimum", "limit", "count", "num", "number", "total", "per", "size", "budget",
        "length",
        "rate",
    ]

    /// Secret words, some written together.
    private static let secretParts = [
        "password", "passwd", "passphrase", "passcode", "secret", "token", "credential", "apikey", "privatekey",
        "privkey",
        "accesskey", "authkey", "signingkey", "encryptionkey", "authorization",
    ]

    private static let harmlessParts = ["passwordless", "secretary", "secretariat", "tokeniz", "tokenis"]

    /// Words before `key` that make it no secret.
    private static let harmlessKeys: Set<String> = [
        "public", "pub", "primary", "foreign", "sort", "partition", "routing", "hot", "shortcut", "cache", "map",
        "group",
        "index", "row", "column", "object", "record", "message", "any", "the", "a", "of", "per", "by",
    ]
}
