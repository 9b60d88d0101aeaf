import MeshConcurrency
import MeshMonitoring

/// Says when the state of the mesh cannot be kept, and when it is kept again. That all is well needs no word.
final class KeeperWords: Sendable {
    private let hasFailed = Locked(false)

    @Sendable func say(_ status: MeshKeeper.Status) {
        let isFailing = if case .failing = status { true } else { false }
        let hadFailed = hasFailed.withLock { hasFailed in
            defer { hasFailed = isFailing }
            return hasFailed
        }
        switch status {
        case .failing(let reason): Diagnostics.say("this node cannot keep the state of the mesh for now: \(reason)")
        case .keeping where hadFailed: Diagnostics.say("this node keeps the state of the mesh again")
        case .waiting where hadFailed: Diagnostics.say("another node keeps the state of the mesh now")
        case .keeping, .waiting: break
        }
    }
}
