import MeshConcurrency
import MeshEvents

/// Collects texts from callbacks.
final class Recorder: Sendable {
    private let state = Locked<[String]>([])

    var texts: [String] { state.withLock { $0 } }

    func add(_ text: String) {
        state.withLock { $0.append(text) }
    }
}
