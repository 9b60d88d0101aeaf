import Crypto
import Locking

/// Who has logged in: random values kept in browsers, and here until they log out, time is up or the process ends.
///
/// A session has two halves, and takes both. The cookie is out of reach of scripts (HttpOnly) and of other sites
/// (SameSite=Strict), but browsers send it to every port of the host name. The key is in the page's storage, which
/// belongs to scheme, host and port together, and is sent as a header. They are kept here, and not only signed, so that
/// logging out ends them, wherever they have got to.
final class DashboardSessions: Sendable {
    /// What a browser keeps of a session.
    struct Halves: Sendable, Equatable {
        /// The value of its cookie.
        let cookie: String
        /// What the page sends as a header.
        let key: String
    }

    /// Which session; says nothing of its halves.
    typealias ID = SHA256Digest

    /// How long a session lasts.
    static let lifetime: Duration = .seconds(12 * 60 * 60)
    /// How many there are at most; the oldest makes room. Each takes the token to begin.
    static let maximum = 1_024

    private let ends = Locked<[ID: ContinuousClock.Instant]>([:])

    /// How many are remembered.
    var count: Int { ends.withLock { $0.count } }

    /// Begins a session.
    ///
    /// - Returns: What the browser is to keep.
    func begin(at now: ContinuousClock.Instant = .now) -> Halves {
        let halves = Halves(cookie: Self.secret(), key: Self.secret())
        let id = Self.id(halves)
        ends.withLock { ends in
            ends = ends.filter { $0.value > now }
            while ends.count >= Self.maximum, let oldest = ends.min(by: { $0.value < $1.value }) {
                ends[oldest.key] = nil
            }
            ends[id] = now + Self.lifetime
        }
        return halves
    }

    /// The session of which these are the halves; `nil` when there is none, or no longer.
    func session(_ halves: Halves, at now: ContinuousClock.Instant = .now) -> ID? {
        let id = Self.id(halves)
        return isSession(id, at: now) ? id : nil
    }

    /// Whether a session goes on.
    func isSession(_ id: ID, at now: ContinuousClock.Instant = .now) -> Bool {
        ends.withLock { ends in
            guard let end = ends[id] else { return false }
            if now < end { return true }
            ends[id] = nil
            return false
        }
    }

    /// Ends a session.
    func end(_ id: ID) { ends.withLock { $0[id] = nil } }

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
