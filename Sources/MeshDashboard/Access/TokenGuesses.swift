import Locking

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
