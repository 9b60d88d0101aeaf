import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What a tool's loop knows of whether the tool works, over its restarts: a pure value but for the clock.
struct ToolWorks: Sendable {
    /// What status and health event say of it.
    private(set) var status = ToolStatus.Health()
    /// Why the present run was ended, when it is unhealthy.
    private var endError: String?
    /// The error that the tool itself has reported.
    private var reported: Int32?
    /// How long it has been unhealthy; it goes on over restarts until the tool is healthy.
    private var unhealthyTime: (@Sendable () -> Duration)?

    /// Whether it is unhealthy, or was so when the run before ended.
    var isUnhealthy: Bool { unhealthyTime != nil }

    /// Whether the present run is being ended because it is unhealthy.
    var isEnding: Bool { endError != nil }

    /// A run has begun.
    mutating func launched(_ health: ToolHealth) {
        (endError, reported) = (nil, nil)
        status = ToolStatus.Health(isReady: health.start == nil ? nil : false)
    }

    /// The run has ended.
    ///
    /// - Parameter error: why it failed, as far as its process tells.
    /// - Returns: why it failed.
    mutating func ended(_ error: String?) -> String? {
        defer {
            (endError, reported) = (nil, nil)
            status = ToolStatus.Health()
        }
        if let endError { return endError }
        return error.map { error in reported.map { "\(error) (it reported: \(String(cString: strerror($0))))" } ?? error
        }
    }

    /// It was stopped, or given up: what follows is another story.
    mutating func forget() { unhealthyTime = nil }

    /// What is to be published, logged and done for an action.
    struct Consequence {
        var event: (any EventPayload)?
        var ending: ToolHealthMachine.Ending?
    }

    /// Takes in an action.
    mutating func apply(
        _ action: ToolHealthMachine.Action,
        of tool: String,
        _ restart: RestartPolicy,
        _ reaction: ToolHealth.Reaction,
        _ redaction: Redaction,
        _ stopwatch: () -> @Sendable () -> Duration
    ) -> Consequence {
        switch action {
        case .probe: return Consequence()
        case .ready(let time):
            status.isReady = true
            return Consequence(event: ToolReady(tool: tool, afterSeconds: Self.seconds(time)))
        case .unhealthy(let reason, let failures):
            let reason = HealthCheck.reason(reason, redaction)
            (status.unhealthyReason, status.unhealthySince) = (reason, .now)
            if unhealthyTime == nil { unhealthyTime = stopwatch() }
            let isRestarting = reaction == .restart && restart.mode != .never
            return Consequence(
                event: ToolUnhealthy(tool: tool, reason: reason, failures: failures, isRestarting: isRestarting)
            )
        case .healthy:
            let time = unhealthyTime?() ?? .zero
            unhealthyTime = nil
            (status.unhealthyReason, status.unhealthySince) = (nil, nil)
            return Consequence(event: ToolHealthy(tool: tool, unhealthySeconds: Self.seconds(time)))
        case .end(let error, let ending):
            endError = Self.bounded(error)
            return Consequence(ending: ending)
        case .says(let text):
            let isEmpty = text.allSatisfy(\.isWhitespace)
            status.text = isEmpty ? nil : Self.cut(HealthCheck.reason(text, redaction))
            return Consequence()
        case .reported(let number):
            reported = number
            return Consequence()
        }
    }

    /// The beginning of a text that is published often.
    private static func cut(_ text: String) -> String {
        text.prefix(scalars: 200)
    }

    /// A bound for what is searched for secrets.
    private static func bounded(_ text: String) -> String { text.abridged(bytes: 8 << 10) }

    /// The duration in seconds, rounded to milliseconds.
    private static func seconds(_ duration: Duration) -> Double { (duration / .milliseconds(1)).rounded() / 1_000 }
}
