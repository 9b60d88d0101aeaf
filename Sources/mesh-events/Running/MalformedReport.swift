import MeshEvents
import Synchronization

/// Reports on standard error that messages were skipped because they are not events: at most one line per second.
final class MalformedReport: Sendable {
    private struct State {
        var count = 0
        var said = 0
        var limit = RepeatLimit(1, each: .seconds(1))
    }

    private let state = Mutex(State())

    func report(_ malformed: MalformedEvent) {
        let count = state.withLock { state -> Int? in
            state.count += 1
            guard case .say = state.limit.decide() else { return nil }
            state.said = state.count
            return state.count
        }
        guard let count else { return }
        let total = count == 1 ? "" : " (\(count) so far)"
        Diagnostics.say("skipped a message on \(malformed.subject) that is not an event: \(malformed.reason)\(total)")
    }

    /// Reports the total, when the last report did not include all.
    func finish() {
        let (count, said) = state.withLock { ($0.count, $0.said) }
        guard count > said else { return }
        Diagnostics.say("skipped \(count) messages that are not events")
    }

    /// Reports how many stored messages were skipped.
    static func sayStored(_ count: some BinaryInteger) {
        guard count > 0 else { return }
        Diagnostics.say(
            "skipped \(count) stored \(count == 1 ? "message that is no event" : "messages that are not events")"
        )
    }
}
