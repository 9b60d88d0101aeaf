public import MeshEvents

/// Says which tools crash too often: `user.tool.unstable` at the third crash of a tool.
///
/// It takes what it needs, a bus, and so knows nothing of NATS.
public struct CrashWatch: Sendable {
    /// How many crashes of a tool are too many.
    public static let limit = 3

    private let bus: PersistentEventBus

    /// Creates a watch on a mesh.
    public init(bus: PersistentEventBus) { self.bus = bus }

    /// Watches until the task is cancelled or the bus is closed; what is stored already counts too.
    public func run() async throws {
        var crashes: [String: Int] = [:]
        for try await element in try await bus.replay(matching: .toolCrashed) {
            // Other nodes may send any data, which must not end this.
            guard let tool = element.event?.event.data["tool"]?.string else { continue }
            crashes[tool, default: 0] += 1
            if crashes[tool] == Self.limit { try await bus.emit("user.tool.unstable", ["tool": .init(tool)]) }
        }
    }

    /// The tools that crashed in the last hour before a time.
    public func recent(at now: Timestamp) async throws -> Set<String> {
        let hourAgo = now.adding(.seconds(-3_600))
        let stored = try await bus.history(matching: .toolCrashed, since: hourAgo, limit: 1_000)
        return Set(stored.compactMap { $0.event.data["tool"]?.string })
    }
}
