import Crypto
import HTTPTypes
import Hummingbird
import MeshConcurrency
import MeshEvents
import NIOCore

/// Checks logins where a token is required.
struct Login: Sendable {
    /// What gives a client access.
    enum Grant: Sendable, Equatable {
        /// The token itself, or the fact that none is required.
        case token
        /// A session, which can end.
        case session(DashboardSessions.ID)
    }

    let token: DashboardToken
    let sessions = DashboardSessions()
    private let guesses = TokenGuesses()
    /// The header with the key of a session.
    private static let sessionKey = HTTPField.Name("Mesh-Events-Session") ?? .authorization
    private static let maximumKey = 128

    init(token: DashboardToken) { self.token = token }

    /// A login for metrics alone, by a token of their own; `nil` without one.
    ///
    /// - Throws: `invalidArgument` for a token that is short enough to be guessed.
    static func metrics(_ token: String?) throws(MeshEventsError) -> Login? {
        guard let token else { return nil }
        return Login(token: try DashboardToken(token, of: "metrics"))
    }

    /// Whether the request has the token. A wrong one is not counted: ``grant(_:from:)`` does that.
    func knows(_ request: Request) -> Bool { Self.bearer(request).map { token.matches($0) } ?? false }

    /// What gives the request access; `nil` when it has neither a valid session nor a token.
    ///
    /// - Throws: as ``check(_:from:)`` for a bearer token that is wrong.
    func grant(_ request: Request, from address: PeerAddress) async throws -> Grant? {
        if let id = session(of: request) { return .session(id) }
        guard let candidate = Self.bearer(request) else { return nil }
        try await check(candidate, from: address)
        return .token
    }

    /// The session whose cookie and key the request has.
    func session(of request: Request) -> DashboardSessions.ID? {
        guard let key = request.headers[Self.sessionKey], key.utf8.count <= Self.maximumKey else { return nil }
        return SessionCookie.values(of: request).lazy
            .compactMap { sessions.session(.init(cookie: $0, key: key)) }.first
    }

    /// Whether a grant is still valid.
    func holds(_ grant: Grant) -> Bool {
        if case .session(let id) = grant { sessions.isSession(id) } else { true }
    }

    /// Checks a token. Wrong ones are counted for each address; after many of them the answers are delayed.
    ///
    /// - Throws: `APIError` when it is wrong; `TooManyGuesses` when too many delayed answers wait.
    func check(_ candidate: String, from address: PeerAddress) async throws {
        if token.matches(candidate) { return }
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

    private static func bearer(_ request: Request) -> String? {
        guard let value = request.headers[.authorization] else { return nil }
        let scheme = value.prefix(7)
        return scheme.lowercased() == "bearer " ? String(value.dropFirst(7)) : nil
    }
}

/// The secret for the login to the dashboard.
struct DashboardToken: Sendable {
    /// The shortest token, in bytes.
    private static let minimumLength = 16

    private let token: String

    /// Takes a token.
    ///
    /// - Parameter what: what it gives access to, for the error.
    /// - Throws: `invalidArgument` for a token that is short enough to be guessed.
    init(_ token: String, of what: String = "the dashboard") throws(MeshEventsError) {
        guard token.utf8.count >= Self.minimumLength else {
            throw MeshEventsError(
                .invalidArgument,
                "the token of \(what) has \(token.utf8.count) bytes and can be guessed; give at least "
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
