import Foundation

/// The JWT and the NKey seed of a `.creds` file, as `nsc` writes it.
struct CredentialsFile {
    let jwt: String
    let key: NKey

    /// Reads the file again at every login, so that rotated credentials are picked up.
    init(path: String) throws(NATSError) {
        try self.init(text: try SecretFile("credentials file", path).text(.authenticationFailed), name: path)
    }

    init(text: String, name: String) throws(NATSError) {
        guard let jwt = Self.block("USER JWT", in: text), let seed = Self.block("USER NKEY SEED", in: text) else {
            throw NATSError(
                .authenticationFailed,
                "\(name) is not a credentials file: it needs a NATS USER JWT and a USER NKEY SEED block"
            )
        }
        self.jwt = jwt
        key = try NKey(seed: seed)
    }

    /// The first line after `-----BEGIN … name-----`.
    private static func block(_ name: String, in text: String) -> String? {
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        guard
            let begin = lines.firstIndex(where: {
                $0.hasPrefix("-----BEGIN") && $0.hasSuffix("-----")
                    && $0.trimmingCharacters(in: CharacterSet(charactersIn: "-")).hasSuffix(name)
            }),
            let content = lines[(begin + 1)...].first(where: { !$0.isEmpty }),
            !content.hasPrefix("---")
        else { return nil }
        return content
    }
}
