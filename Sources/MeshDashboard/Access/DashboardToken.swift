import Crypto
import MeshEvents

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The secret that lets somebody in, and the sessions that follow from it.
///
/// A session is a time of expiry and its authentication code under the token, kept in a cookie: `EventSource` cannot send
/// a header, a cookie can be out of reach of scripts (HttpOnly) and of other sites (SameSite=Strict), and nothing has to
/// be remembered here, so that a restart logs nobody out and a new token logs everybody out.
struct DashboardToken: Sendable {
    /// The shortest token, in bytes.
    static let minimumLength = 16
    /// How long a session lasts, in seconds.
    static let sessionSeconds: Int64 = 12 * 60 * 60

    private let token: String

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

    /// Whether it is the token; how long that takes says nothing about it.
    func matches(_ candidate: String) -> Bool {
        let key = SymmetricKey(size: .bits256)
        let code = HMAC<SHA256>.authenticationCode(for: Array(token.utf8), using: key)
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array(candidate.utf8), using: key)
    }

    /// The value of a new session's cookie.
    func session(from now: Timestamp = .now) -> String {
        let expiry = now.nanosecondsSinceEpoch / 1_000_000_000 + Self.sessionSeconds
        let code = HMAC<SHA256>.authenticationCode(for: Self.message(expiry), using: key)
        return "\(expiry).\(code.map { Self.hexadecimal($0) }.joined())"
    }

    /// Whether a cookie's value is that of a session that has not expired.
    func isSession(_ value: some StringProtocol, at now: Timestamp = .now) -> Bool {
        let parts = value.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let expiry = Int64(parts[0]), parts[1].utf8.count == 64 else { return false }
        let digits = Array(parts[1].utf8)
        let code = stride(from: 0, to: 64, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
        guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Self.message(expiry), using: key) else {
            return false
        }
        return now.nanosecondsSinceEpoch / 1_000_000_000 < expiry
    }

    private var key: SymmetricKey { SymmetricKey(data: SHA256.hash(data: Array(token.utf8))) }

    private static func message(_ expiry: Int64) -> [UInt8] { Array("mesh-events dashboard session \(expiry)".utf8) }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
    }
}
