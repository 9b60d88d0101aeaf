import Crypto
import Locking

/// Who has logged in: random values kept in browsers' cookies, and here until they log out, time is up or the process ends.
///
/// `EventSource` cannot send a header; a cookie can be out of reach of scripts (HttpOnly) and of other sites
/// (SameSite=Strict). They are kept here, and not only signed, so that logging out ends them, wherever the cookie has got to.
final class DashboardSessions: Sendable {
    /// Which session; says nothing of its cookie's value.
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
    /// - Returns: The value of its cookie.
    func begin(at now: ContinuousClock.Instant = .now) -> String {
        var generator = SystemRandomNumberGenerator()
        let value = (0..<4).map { _ in Self.hexadecimal(generator.next()) }.joined()
        let id = Self.id(value)
        ends.withLock { ends in
            ends = ends.filter { $0.value > now }
            while ends.count >= Self.maximum, let oldest = ends.min(by: { $0.value < $1.value }) {
                ends[oldest.key] = nil
            }
            ends[id] = now + Self.lifetime
        }
        return value
    }

    /// The session of a cookie's value; `nil` when there is none, or no longer.
    func session(_ value: String, at now: ContinuousClock.Instant = .now) -> ID? {
        let id = Self.id(value)
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

    private static func id(_ value: String) -> ID { SHA256.hash(data: Array(value.utf8)) }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
