import Locking

/// A wrong token that is not answered: its connection is closed.
struct TooManyGuesses: Error {}

/// Counts wrong tokens by the address they come from, whichever way they were sent, and slows those down that send
/// many.
///
/// The right token is let in whatever was sent before it, also from the same address: behind a proxy all clients share
/// one. A token of 16 random bytes is not found at any rate; what the delay and the count are for is a token that a
/// person has thought up, and the connections of who guesses.
final class TokenGuesses: Sendable {
    /// What follows from a wrong token.
    enum Verdict: Sendable, Equatable {
        /// It is refused.
        case refused
        /// It was one of too many: it is refused after a delay, and with another status.
        case delayed
        /// It is not answered, its connection is closed: too many wait already.
        case tooMany
    }

    /// So many wrong tokens an address may send in a ``period`` before it is slowed down.
    static let maximum = 10
    static let period: Duration = .seconds(60)
    /// How long an answer is held back then.
    static let delay: Duration = .seconds(1)
    /// So many answers are held back at once.
    static let maximumDelayed = 64
    /// So many addresses are remembered; beyond it those that began to guess first are forgotten.
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

    /// How many addresses are remembered.
    var addressCount: Int { state.withLock { $0.counts.count } }

    /// Counts a wrong token. Who is told ``Verdict/delayed`` calls ``delayIsOver()`` once.
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

    /// An answer that was held back has been given, or its client has gone.
    func delayIsOver() { state.withLock { $0.delayed -= 1 } }

    /// Forgets those whose time is over, or else the oldest quarter, so that not every guess has to look for room.
    private static func makeRoom(_ state: inout State, _ now: ContinuousClock.Instant) {
        state.counts = state.counts.filter { now - $0.value.begin < period }
        guard state.counts.count >= maximumAddresses else { return }
        for (address, _) in state.counts.sorted(by: { $0.value.begin < $1.value.begin }).prefix(maximumAddresses / 4) {
            state.counts[address] = nil
        }
    }
}
