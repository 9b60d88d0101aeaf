public import MeshEvents
import ProcessGuard

/// The status of a tool at one moment.
public struct ToolStatus: Sendable, Hashable {
    /// The state of a tool.
    public enum State: RawRepresentable, Sendable, Hashable, CaseIterable {
        /// It was installed and never started.
        case installed
        /// It is being started.
        case starting
        /// It runs.
        case running
        /// It was asked to end.
        case stopping
        /// It was stopped or has exited with code 0, and does not run.
        case stopped
        /// It ended by itself, and will be started again after a delay.
        case backingOff
        /// It failed or could not be started, and is not started again; with a schedule, not before its next time.
        case failed

        /// The former name of ``backingOff``.
        @available(*, deprecated, renamed: "backingOff")
        public static var restarting: State { .backingOff }
        /// The former name of ``failed``.
        @available(*, deprecated, renamed: "failed")
        public static var crashed: State { .failed }

        /// Creates a state from its text, as that of `ToolState`; `nil` for others.
        public init?(rawValue: String) {
            guard let state = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
            self = state
        }

        /// The text, as that of `ToolState`.
        public var rawValue: String { published.rawValue }
    }

    /// Its name.
    public var name: String
    /// The installed version; empty when none was given.
    public var version: String
    /// Its state.
    public var state: State
    /// When the state or the process last changed.
    public var since: Timestamp
    /// When its process began to run; `nil` when it does not run.
    var runningSince: Timestamp?
    /// The process id; `nil` when it does not run.
    public var pid: Int32?
    /// How often the supervisor restarted it since it was last started on request.
    public var restartCount: Int
    /// The error of its last crash; `nil` when it has not crashed since it was last started on request.
    public var lastError: String?
    /// ``lastError`` without secrets, as `tool.crashed` published it.
    public var publishedError: String?
    /// The last lines of its present or last run, oldest first: those of which `tool.crashed` publishes what is no secret.
    /// As many as ``ToolSpecification/crashOutput`` says. They may hold secrets: do not publish them.
    public var lastOutput: [String]
    /// What its processes use, its descendants included; `nil` when it does not run, or that is not known yet. It is read
    /// again when it is older than a second.
    public var usage: ProcessUsage?
    /// How its processes are found; `nil` when it does not run.
    var family: ProcessFamily?
    /// Whether it works, as far as its specification has that watched.
    public var health = Health()
    /// When it is started next, when it has a schedule; `nil` otherwise, and after it was stopped on request.
    public var next: Timestamp?
    /// The tools after which it is started and that are not ready yet, while it waits for them; empty otherwise.
    public var waitsFor: [String] = []
    /// Whether its last run has ended by itself with code 0, and no other follows but by its schedule.
    var hasSucceeded = false

    /// What is to be said of it: what it says of itself, or what it waits for; `nil` when there is nothing. It holds no
    /// secrets.
    var text: String? {
        waitsFor.isEmpty ? health.text : "waiting for \(waitsFor.joined(separator: ", "))"
    }

    /// Whether tools that come after this one may be started.
    ///
    /// A tool that runs and ends is ready when it has ended with success, any other one while it runs.
    func isReady(by specification: ToolSpecification) -> Bool {
        hasSucceeded || !specification.runsAndEnds && readiness.suffices
    }
}

extension ToolStatus {
    /// Whether a tool that runs works.
    public struct Health: Sendable, Hashable {
        /// Whether it has shown that it is ready: `false` while it runs and has not yet, `nil` when it need not, and when it
        /// does not run. ``ToolStatus/readiness`` says what follows.
        public var isReady: Bool?
        /// Why it is unhealthy, without secrets; `nil` when it is not.
        public var unhealthyReason: String?
        /// Since when it is unhealthy.
        public var unhealthySince: Timestamp?
        /// What it says of itself (`STATUS=` in the protocol of sd_notify), without secrets.
        public var text: String?
    }
}

extension ToolStatus {
    /// Whether it is ready for its work.
    public var readiness: ToolReadiness {
        ToolReadiness(state.published, hasShown: health.isReady, isUnhealthy: health.unhealthyReason != nil)
    }
}

extension ToolStatus.State {
    /// The state as it is published.
    var published: ToolState {
        switch self {
        case .installed: .installed
        case .starting: .starting
        case .running: .running
        case .stopping: .stopping
        case .stopped: .stopped
        case .backingOff: .backingOff
        case .failed: .failed
        }
    }

    /// Whether a tool runs, or will be restarted.
    public var isActive: Bool { published.isActive }
}
