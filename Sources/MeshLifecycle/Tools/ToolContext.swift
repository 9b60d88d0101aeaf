import Logging
import MeshEvents

/// The environment, logger, clock and event sink that all tools of a supervisor share.
struct ToolContext: Sendable {
    let environment: ToolEnvironment
    let logger: Logger
    let clock: any Clock<Duration>
    let emit: @Sendable (any EventPayload) -> Void

    /// Starts a stopwatch; the closure returns the time since this call.
    func stopwatch() -> @Sendable () -> Duration { Self.stopwatch(on: clock) }

    private static func stopwatch<C: Clock<Duration>>(on clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }
}
