import MeshAlerts
import MeshConcurrency

/// The alerts that fire, read again when they were read some time ago.
final class FiringAlerts: Sendable {
    /// How old what is shown may be.
    private static let age: Duration = .seconds(3)

    private let read: @Sendable () async throws -> AlertOverview
    private let known = Locked<(firing: [AlertOverview.Firing]?, at: ContinuousClock.Instant)?>(nil)

    init(_ read: @escaping @Sendable () async throws -> AlertOverview) { self.read = read }

    /// The alerts; `nil` when they cannot be read: no process watches, or this user may not.
    ///
    /// - Parameter age: how old they may be; `nil` for some seconds.
    func firing(_ age: Duration? = nil) async -> [AlertOverview.Firing]? {
        if let known = known.withLock({ $0 }), .now - known.at < age ?? Self.age { return known.firing }
        let overview = try? await read()
        let firing = overview.flatMap { $0.position == nil ? nil : $0.firing }
        known.withLock { $0 = (firing, .now) }
        return firing
    }
}
