import MeshEvents
import Synchronization

/// Checks that events numbered from 0 come one after the other.
final class NumberedEvents: Sendable {
    private let state = Mutex<(next: Int, outOfOrder: Int, first: String?)>((0, 0, nil))

    /// How many have come.
    var count: Int { state.withLock { $0.next } }

    /// What was wrong with their order; `nil` when nothing was.
    var problem: String? {
        state.withLock { $0.outOfOrder > 0 ? "\($0.outOfOrder) out of order, the first: \($0.first ?? "")" : nil }
    }

    func add(_ event: Event) {
        let number = event.data["n"]?.int ?? -1
        state.withLock { state in
            if number != state.next {
                state.outOfOrder += 1
                if state.first == nil { state.first = "\(number) instead of \(state.next)" }
            }
            state.next = number + 1
        }
    }
}
