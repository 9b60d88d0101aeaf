import Locking
import MeshEvents

/// Slows down guessing: so many wrong tokens in a minute, then none is looked at for the rest of it.
final class LoginAttempts: Sendable {
    private static let maximum = 10
    private static let period: Duration = .seconds(60)

    private struct State {
        var begin: ContinuousClock.Instant?
        var failures = 0
    }

    private let state = Locked(State())

    /// Whether a token may be looked at now.
    func mayTry(at now: ContinuousClock.Instant = .now) -> Bool {
        state.withLock { state in
            guard let begin = state.begin, now - begin < Self.period else { return true }
            return state.failures < Self.maximum
        }
    }

    /// Counts a wrong token.
    func failed(at now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            if let begin = state.begin, now - begin < Self.period {
                state.failures += 1
            } else {
                state = State(begin: now, failures: 1)
            }
        }
    }
}
