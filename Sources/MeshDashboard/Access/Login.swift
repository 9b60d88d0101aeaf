import Crypto
import HTTPTypes
import Hummingbird
import MeshConcurrency
import MeshEvents
import NIOCore

/// Checks logins where one is required.
struct Login: Sendable {
    /// Who logs in: a user, or the holder of the one token that has no name.
    struct Account: Sendable, Hashable {
        /// The user's name; `nil` for the token without one.
        let name: String?
        let role: DashboardRole
        /// The hash of the token.
        fileprivate let digest: [UInt8]

        init(_ user: DashboardUser) {
            name = user.name
            role = user.role
            digest = user.digest
        }

        fileprivate init(_ token: DashboardToken, _ role: DashboardRole) {
            name = nil
            self.role = role
            digest = token.digest
        }
    }

    /// What gives a client access.
    enum Grant: Sendable, Equatable {
        /// The fact that no login is required.
        case open
        /// The token itself.
        case token(Account)
        /// A session, which can end.
        case session(DashboardSessions.ID, Account)

        /// Who logged in; `nil` when that is not required.
        var account: Account? {
            switch self {
            case .open: nil
            case .token(let account), .session(_, let account): account
            }
        }

        /// What the client may do.
        var role: DashboardRole { account?.role ?? .admin }
    }

    let sessions = DashboardSessions()
    /// The cookie of sessions.
    let cookie: SessionCookie
    /// The token without a name; `nil` for none.
    private let token: Account?
    private let accounts: Locked<[Account]>
    private let guesses = TokenGuesses()
    /// The header with the key of a session.
    private static let sessionKey = HTTPField.Name("Mesh-Events-Session") ?? .authorization
    private static let maximumKey = 128

    /// Creates the check.
    ///
    /// - Parameters:
    ///   - token: a token without a user's name, which may do all that `role` may; `nil` for none.
    ///   - role: what the token may do.
    ///   - users: those who have tokens of their own.
    ///   - cookie: the cookie of sessions.
    init(
        token: DashboardToken?,
        role: DashboardRole = .admin,
        users: [DashboardUser] = [],
        cookie: SessionCookie = SessionCookie()
    ) {
        self.token = token.map { Account($0, role) }
        self.cookie = cookie
        accounts = Locked((self.token.map { [$0] } ?? []) + users.map { Account($0) })
    }

    /// A login for metrics alone, by a token of their own; `nil` without one.
    ///
    /// - Throws: `invalidArgument` for a token that is short enough to be guessed.
    static func metrics(_ token: String?) throws(MeshEventsError) -> Login? {
        guard let token else { return nil }
        return Login(token: try DashboardToken(token, of: "the metrics"), role: .observer)
    }

    /// Replaces the users. The sessions of those who are gone, or whose role or token is another one, end.
    func replace(users: [DashboardUser]) {
        let present = (token.map { [$0] } ?? []) + users.map { Account($0) }
        accounts.withLock { $0 = present }
        // After the accounts: a session that begins meanwhile is looked at here, or in ``begin(_:)``.
        sessions.keep(of: Set(present))
    }

    /// Begins a session; `nil` when the account is gone meanwhile.
    func begin(_ account: Account) -> DashboardSessions.Halves? {
        let halves = sessions.begin(for: account)
        if isAccount(account) { return halves }
        if let (id, _) = sessions.session(halves) { sessions.end(id) }
        return nil
    }

    /// What a request's token gives access to, without counting a wrong one: ``grant(_:from:)`` does that.
    func knows(_ request: Request) -> Grant? {
        Self.bearer(request).flatMap { account($0) }.map { .token($0) }
    }

    /// What gives the request access; `nil` when it has neither a valid session nor a token.
    ///
    /// - Throws: as ``check(_:from:)`` for a bearer token that is wrong.
    func grant(_ request: Request, from address: PeerAddress) async throws -> Grant? {
        if let (id, account) = session(of: request) { return .session(id, account) }
        guard let candidate = Self.bearer(request) else { return nil }
        return .token(try await check(candidate, from: address))
    }

    /// The session whose cookie and key the request has, and whose it is.
    func session(of request: Request) -> (id: DashboardSessions.ID, account: Account)? {
        guard let key = request.headers[Self.sessionKey], key.utf8.count <= Self.maximumKey else { return nil }
        return cookie.values(of: request).lazy
            .compactMap { sessions.session(.init(cookie: $0, key: key)) }.first
    }

    /// Whether a grant is still valid.
    func holds(_ grant: Grant) -> Bool {
        switch grant {
        case .open: true
        case .token(let account): isAccount(account)
        case .session(let id, _): sessions.isSession(id)
        }
    }

    /// Checks a token. Wrong ones are counted for each address; after many of them the answers are delayed.
    ///
    /// - Returns: whose it is.
    /// - Throws: `APIError` when it is wrong; `TooManyGuesses` when too many delayed answers wait.
    func check(_ candidate: String, from address: PeerAddress) async throws -> Account {
        if let account = account(candidate) { return account }
        let verdict = guesses.failed(from: address)
        if verdict == .delayed {
            defer { guesses.delayIsOver() }
            try await Task.sleep(for: TokenGuesses.delay)
        }
        guard verdict != .tooMany else { throw TooManyGuesses() }
        guard verdict == .refused else {
            throw APIError(.tooManyRequests, "tooManyAttempts", "too many wrong tokens; wait a minute")
        }
        throw APIError(.unauthorized, "login", "the token is wrong")
    }

    /// Whose a token is; `nil` when it is wrong. The time this takes tells nothing of the tokens: it compares the hash with
    /// every known one, and each whole.
    private func account(_ candidate: String) -> Account? {
        let hash = SHA256.hash(data: Array(candidate.utf8))
        var found: Account?
        // swift-crypto compares a digest in constant time.
        for account in accounts.withLock({ $0 }) where hash == account.digest { found = account }
        return found
    }

    private func isAccount(_ account: Account) -> Bool { accounts.withLock { $0.contains(account) } }

    private static func bearer(_ request: Request) -> String? {
        guard let value = request.headers[.authorization] else { return nil }
        let scheme = value.prefix(7)
        return scheme.lowercased() == "bearer " ? String(value.dropFirst(7)) : nil
    }
}

/// A secret for a login. Only its hash is kept.
struct DashboardToken: Sendable {
    /// The shortest token, in bytes.
    private static let minimumLength = 16

    let digest: [UInt8]

    /// Takes a token.
    ///
    /// - Parameter what: what, or whose, it is, for the error.
    /// - Throws: `invalidArgument` for a token that is short enough to be guessed.
    init(_ token: String, of what: String = "the dashboard") throws(MeshEventsError) {
        try Self.check(token, of: what)
        digest = Self.digest(token)
    }

    /// Throws `invalidArgument` for a token that is short enough to be guessed.
    static func check(_ token: String, of what: String) throws(MeshEventsError) {
        guard token.utf8.count < minimumLength else { return }
        throw MeshEventsError(
            .invalidArgument,
            "the token of \(what) has \(token.utf8.count) bytes and can be guessed; give at least \(minimumLength), for "
                + "example from `openssl rand -hex 24`"
        )
    }

    /// The SHA-256 hash of a token. It needs no salt and no slow function where tokens are random, as they have to be.
    static func digest(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }
}

/// A wrong token to which there is no answer: its connection is closed.
struct TooManyGuesses: Error {}

/// Counts wrong tokens by the client's address, whichever way they were sent, and delays the answers to clients that
/// send many.
///
/// The right token is always accepted, whatever the same address sent before: behind a proxy, all clients share one
/// address. No guessing rate finds a token of 16 random bytes. The count and the delay protect a token that a person
/// invented, and limit the connections of clients that guess.
final class TokenGuesses: Sendable {
    /// What follows from a wrong token.
    enum Verdict: Sendable, Equatable {
        /// It is refused.
        case refused
        /// The address has sent too many: it is refused after a delay, and with another status.
        case delayed
        /// It gets no answer and its connection is closed: too many delayed answers wait already.
        case tooMany
    }

    /// How many wrong tokens an address may send in a ``period`` before its answers are delayed.
    static let maximum = 10
    static let period: Duration = .seconds(60)
    /// The delay of an answer.
    static let delay: Duration = .seconds(1)
    /// How many answers may be delayed at once.
    static let maximumDelayed = 64
    /// How many addresses are stored; beyond it, those with the earliest first guess are dropped.
    static let maximumAddresses = 4_096

    private struct Count {
        var begin: ContinuousClock.Instant
        var failures: Int
    }

    private struct State {
        var counts: [PeerAddress: Count] = [:]
        var delayed = 0
    }

    private let state = Locked(State())

    /// How many addresses are stored.
    var addressCount: Int { state.withLock { $0.counts.count } }

    /// Counts a wrong token. After ``Verdict/delayed`` the caller must call ``delayIsOver()`` once.
    func failed(from address: PeerAddress, at now: ContinuousClock.Instant = .now) -> Verdict {
        state.withLock { state in
            var count = state.counts[address] ?? Count(begin: now, failures: 0)
            if now - count.begin >= Self.period { count = Count(begin: now, failures: 0) }
            count.failures = min(count.failures + 1, Self.maximum + 1)
            if state.counts[address] == nil, state.counts.count >= Self.maximumAddresses { Self.makeRoom(&state, now) }
            state.counts[address] = count
            guard count.failures > Self.maximum else { return .refused }
            guard state.delayed < Self.maximumDelayed else { return .tooMany }
            state.delayed += 1
            return .delayed
        }
    }

    /// Notes that a delayed answer was given, or that its client has disconnected.
    func delayIsOver() { state.withLock { $0.delayed -= 1 } }

    /// Drops addresses whose period is over, or else the oldest quarter, so that this is not needed for every guess.
    private static func makeRoom(_ state: inout State, _ now: ContinuousClock.Instant) {
        state.counts = state.counts.filter { now - $0.value.begin < period }
        guard state.counts.count >= maximumAddresses else { return }
        for (address, _) in state.counts.sorted(by: { $0.value.begin < $1.value.begin }).prefix(maximumAddresses / 4) {
            state.counts[address] = nil
        }
    }
}

/// A client's address for limits: an IPv4 address, or the /64 network of an IPv6 address, because one machine can use
/// all addresses of such a network.
struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    private let text: String

    /// The address.
    var description: String { text }

    init(_ address: SocketAddress?) { self.init(address?.ipAddress ?? "") }

    /// Takes an address.
    ///
    /// - Parameter text: a numeric IP address.
    init(_ text: String) {
        if text.contains(".") {
            // Includes an IPv4 client of a dual-stack socket: `::ffff:192.0.2.1`.
            self.text = text.split(separator: ":").last.map(String.init) ?? text
        } else if text.contains(":") {
            let address = text.prefix { $0 != "%" }
            let halves = address.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
            var groups = halves[0].split(separator: ":").map(String.init)
            if halves.count == 2 {
                let last = halves[1].split(separator: ":").map(String.init)
                groups += Array(repeating: "0", count: max(0, 8 - groups.count - last.count)) + last
            }
            self.text = groups.prefix(4).joined(separator: ":")
        } else {
            self.text = text
        }
    }
}
