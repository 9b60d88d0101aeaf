import MeshEvents
import MeshSupervision
import ServiceLifecycle

/// A service of one's own: emits what it measures until it is asked to stop.
struct Barometer: Service {
    let node: MeshNode
    let bus: PersistentEventBus
    /// How many times to measure; then it returns, and with it the application ends.
    let count: Int

    func run() async throws {
        // So that node.joined comes first.
        try await node.waitUntilJoined()
        // Ends early on SIGTERM; what is under way is finished.
        try await cancelWhenGracefulShutdown {
            for number in 1...count {
                try await bus.emit("user.pressure", ["hPa": .init(1_000 + number)])
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
