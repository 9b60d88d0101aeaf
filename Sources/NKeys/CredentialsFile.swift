import FileReading
import Foundation

/// The JWT and the NKey seed of a `.creds` file, as `nsc` writes it.
package struct CredentialsFile {
    package let jwt: String
    package let key: NKey

    /// Reads the file again at every login, so that rotated credentials are picked up.
    ///
    /// - Throws: `invalidCredentials` when the file cannot be read, when other users may read or write it, or when it
    ///   has no JWT or no seed; `invalidSeed` for a mistyped seed.
    package init(path: String) throws(NKeyError) {
        let text: String
        do throws(SecretFile.Failure) {
            text = try SecretFile("credentials file", path).read()
        } catch {
            throw NKeyError(.invalidCredentials, error.message, underlying: error.underlying)
        }
        try self.init(text: text, name: path)
    }

    /// Reads the text of a credentials file.
    ///
    /// - Parameter name: the file's, for errors.
    /// - Throws: as ``init(path:)``.
    package init(text: String, name: String) throws(NKeyError) {
        guard let jwt = Self.block("USER JWT", in: text), let seed = Self.block("USER NKEY SEED", in: text) else {
            throw NKeyError(
                .invalidCredentials,
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
