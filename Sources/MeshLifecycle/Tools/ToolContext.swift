import Logging
import MeshEvents

/// What all tools of a supervisor share.
struct ToolContext: Sendable {
    let environment: ToolEnvironment
    let logger: Logger
    let clock: any Clock<Duration>
    let emit: @Sendable (any EventPayload) -> Void

    /// The time since now.
    func stopwatch() -> @Sendable () -> Duration { Self.stopwatch(on: clock) }

    private static func stopwatch<C: Clock<Duration>>(on clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }
}
