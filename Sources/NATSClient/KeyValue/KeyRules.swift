/// The rules of keys and bucket names (NATS ADR-8).
enum KeyRules {
    /// Checks a key: letters, digits and `-/_=.`, no empty token between the dots.
    static func validate(key: String) throws(KeyValueError) {
        try validate(key, as: "key", wildcards: false)
    }

    /// Checks a pattern of keys: a key, in which a token may be `*`, and the last one `>`.
    static func validate(pattern: String) throws(KeyValueError) {
        try validate(pattern, as: "pattern of keys", wildcards: true)
    }

    /// Checks a bucket's name: letters, digits, `-` and `_`.
    static func validate(bucket: String) throws(KeyValueError) {
        guard !bucket.isEmpty, bucket.utf8.allSatisfy({ isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }) else {
            throw KeyValueError(
                .invalidBucket,
                "\(bucket.debugDescription) cannot be the name of a bucket: use letters of ASCII, digits, '-' and '_'"
            )
        }
        guard bucket.utf8.count <= maximumBucketName else {
            throw KeyValueError(.invalidBucket, "the name of a bucket has at most \(maximumBucketName) characters")
        }
    }

    /// A stream's name has at most 255 characters, and begins with `KV_`.
    static let maximumBucketName = 252

    private static func validate(_ text: String, as what: String, wildcards: Bool) throws(KeyValueError) {
        let tokens = text.split(separator: ".", omittingEmptySubsequences: false)
        for (index, token) in tokens.enumerated() {
            let problem: String
            if token.isEmpty {
                problem = text.isEmpty ? "it is empty" : "it begins or ends with '.', or has two dots in a row"
            } else if wildcards, token == "*" || (token == ">" && index == tokens.count - 1) {
                continue
            } else if let character = token.first(where: { !$0.utf8.allSatisfy(isAllowed) }) {
                problem =
                    "\(character.debugDescription) is not allowed; use letters of ASCII, digits, '-', '/', '_', '=' and '.'"
                    + (wildcards ? ", '*' for a token, '>' for the rest" : "")
            } else {
                continue
            }
            throw KeyValueError(.invalidKey, "\(text.debugDescription) cannot be a \(what): \(problem)")
        }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || "-/_=".utf8.contains(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
