import Crypto
import Hummingbird
import MeshConcurrency

/// The sessions of logged-in browsers, as random values. A session ends at logout, after its lifetime, or with the
/// process.
///
/// A session has two halves; a request needs both. The cookie cannot be read by scripts (HttpOnly) nor sent by other
/// sites (SameSite=Strict), but browsers send it to every port of the host name. The key is in the page's storage,
/// which belongs to scheme, host and port together; the page sends it as a header. The server stores sessions instead
/// of only signing them, so that a logout ends them even where copies of both halves exist.
final class DashboardSessions: Sendable {
    /// The two values that a browser keeps for a session.
    struct Halves: Sendable, Equatable {
        /// The value of the cookie.
        let cookie: String
        /// The value that the page sends as a header.
        let key: String
    }

    /// Identifies a session; it does not reveal the halves.
    typealias ID = SHA256Digest

    /// How long a session lasts.
    static let lifetime: Duration = .seconds(12 * 60 * 60)
    /// The most sessions at a time; the oldest is ended for a new one. Each begins with the token.
    static let maximum = 1_024

    private struct Session {
        let account: Login.Account
        let end: ContinuousClock.Instant
    }

    private let sessions = Locked<[ID: Session]>([:])

    /// How many sessions are stored.
    var count: Int { sessions.withLock { $0.count } }

    /// Begins a session.
    ///
    /// - Parameter account: who has logged in.
    /// - Returns: The two halves for the browser.
    func begin(for account: Login.Account, at now: ContinuousClock.Instant = .now) -> Halves {
        let halves = Halves(cookie: Self.secret(), key: Self.secret())
        let id = Self.id(halves)
        sessions.withLock { sessions in
            sessions = sessions.filter { $0.value.end > now }
            while sessions.count >= Self.maximum, let oldest = sessions.min(by: { $0.value.end < $1.value.end }) {
                sessions[oldest.key] = nil
            }
            sessions[id] = Session(account: account, end: now + Self.lifetime)
        }
        return halves
    }

    /// The session with these halves, and whose it is; `nil` when there is none or it has ended.
    func session(_ halves: Halves, at now: ContinuousClock.Instant = .now) -> (id: ID, account: Login.Account)? {
        let id = Self.id(halves)
        return account(of: id, at: now).map { (id, $0) }
    }

    /// Whether a session exists and has not ended.
    func isSession(_ id: ID, at now: ContinuousClock.Instant = .now) -> Bool { account(of: id, at: now) != nil }

    private func account(of id: ID, at now: ContinuousClock.Instant) -> Login.Account? {
        sessions.withLock { sessions in
            guard let session = sessions[id] else { return nil }
            if now < session.end { return session.account }
            sessions[id] = nil
            return nil
        }
    }

    /// Ends a session.
    func end(_ id: ID) { sessions.withLock { $0[id] = nil } }

    /// Ends all sessions but those of these accounts.
    func keep(of accounts: Set<Login.Account>) {
        sessions.withLock { sessions in sessions = sessions.filter { accounts.contains($0.value.account) } }
    }

    private static func id(_ halves: Halves) -> ID {
        var hash = SHA256()
        for half in [halves.cookie, halves.key] { hash.update(data: SHA256.hash(data: Array(half.utf8)).map { $0 }) }
        return hash.finalize()
    }

    private static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in hexadecimal(generator.next()) }.joined()
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The cookie of a session.
struct SessionCookie: Sendable {
    /// Whether the page is served over TLS. Browsers then send the cookie over TLS alone (`Secure`), and take it from a page
    /// over TLS alone (the prefix `__Host-`): without that, a page of the host that another party may change on its way
    /// could replace it.
    var isSecure = false

    /// The cookie's name. It contains the port, because browsers send a cookie to all ports of a host.
    func name(of request: Request) -> String {
        let port = request.head.authority.flatMap { HostPort($0) }?.port ?? (isSecure ? 443 : 80)
        return "\(isSecure ? "__Host-" : "")mesh_events_\(port)"
    }

    /// How many cookies of this name are checked.
    private static let maximumValues = 8

    /// The values of this cookie in a request. There may be several: any server of this host can set one with a longer
    /// path. A browser sends that one first; it must not hide the session's cookie.
    func values(of request: Request) -> [String] {
        let name = name(of: request)
        var values: [String] = []
        for field in request.headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                guard let equals = pair.firstIndex(of: "="), pair[..<equals].drop(while: { $0 == " " }) == name else {
                    continue
                }
                values.append(String(pair[pair.index(after: equals)...].prefix(128).filter { $0 != " " }))
            }
        }
        // The last ones: a browser sends cookies with longer paths first, and the session's path is the shortest.
        return values.suffix(Self.maximumValues)
    }

    /// Makes a cookie that lasts as long as the session; an empty value deletes it.
    func make(_ value: String, for request: Request) -> Cookie {
        Cookie(
            name: name(of: request),
            value: value,
            maxAge: value.isEmpty ? 0 : Int(DashboardSessions.lifetime / .seconds(1)),
            path: "/",
            secure: isSecure,
            httpOnly: true,
            sameSite: .strict
        )
    }
}
