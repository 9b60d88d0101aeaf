import Crypto
import MeshEvents

/// The secret for the login to the dashboard.
struct DashboardToken: Sendable {
    /// The shortest token, in bytes.
    static let minimumLength = 16

    private let token: String

    /// Takes a token.
    ///
    /// - Throws: `invalidArgument` for a token that is short enough to be guessed.
    init(_ token: String) throws(MeshEventsError) {
        guard token.utf8.count >= Self.minimumLength else {
            throw MeshEventsError(
                .invalidArgument,
                "the dashboard's token has \(token.utf8.count) bytes and can be guessed; give at least "
                    + "\(Self.minimumLength), for example from `openssl rand -hex 24`"
            )
        }
        self.token = token
    }

    /// Whether the candidate is the token. The time this takes reveals nothing about the token.
    func matches(_ candidate: String) -> Bool {
        let key = SymmetricKey(size: .bits256)
        let code = HMAC<SHA256>.authenticationCode(for: Array(token.utf8), using: key)
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array(candidate.utf8), using: key)
    }
}
