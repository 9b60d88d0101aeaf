public import MeshEvents

extension MeshState {
    /// A tool on a node as the mesh knows it.
    public struct Tool: Sendable, Hashable {
        /// The state of a tool.
        public enum State: RawRepresentable, Sendable, Hashable, CaseIterable {
            /// It is installed and has not been started.
            case installed
            /// It is being started.
            case starting
            /// It runs.
            case running
            /// It has ended by itself, and its node starts it again after a delay, or has not yet said that it does not;
            /// ``Tool/lastError`` has the cause.
            case backingOff
            /// It has failed, and its node does not start it again; ``Tool/lastError`` has the cause.
            case failed
            /// It was stopped, or ended with its node; ``Tool/stopReason`` has the reason.
            case stopped
            /// It was removed.
            case removed

            /// The former name of ``backingOff``.
            @available(*, deprecated, renamed: "backingOff", message: "a tool that is not started again is .failed")
            public static var crashed: State { .backingOff }

            /// Creates a state from its text, as that of `ToolState`; `nil` for others.
            public init?(rawValue: String) {
                guard let state = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
                self = state
            }

            /// The text, as that of `ToolState`.
            public var rawValue: String { published.rawValue }

            /// The state as nodes publish it.
            var published: ToolState {
                switch self {
                case .installed: .installed
                case .starting: .starting
                case .running: .running
                case .backingOff: .backingOff
                case .failed: .failed
                case .stopped: .stopped
                case .removed: .removed
                }
            }
        }

        /// Its name.
        public internal(set) var name: String
        /// The node it is on.
        public internal(set) var node: String
        /// The version that was installed last; `nil` when that is not known.
        public internal(set) var version: String?
        /// Its state; the last known one when ``isUncertain``.
        public internal(set) var state: State
        /// Whether its present state is not known, because its node is unreachable.
        public internal(set) var isUncertain = false
        /// When its state began, by the clock of its node; `nil` when that is not known. For a removed tool without a
        /// `tool.removed`, when it was last known.
        public internal(set) var since: Timestamp?
        /// How often its node restarted it after a crash, from its last `tool.crashed` or its node's newest list; 0 after
        /// the node was started anew.
        public internal(set) var restartCount = 0
        /// The error of its last crash; `nil` when it never crashed, or not since it was last started on request.
        public internal(set) var lastError: String?
        /// When it last crashed; `nil` when that is not known.
        public internal(set) var lastCrashAt: Timestamp?
        /// Why it was stopped or given up; only with ``State/stopped`` and ``State/failed``, and `nil` when that is not
        /// known. It is `the node left` or `the node was started anew` when the tool ended with its node.
        public internal(set) var stopReason: String?
        /// What its processes used at its node's last health event; `nil` when it does not run, or that is not known. Each
        /// health event changes it; it is no ``Change`` of the tool.
        public internal(set) var usage: ProcessUsage?
        /// Whether it has shown that it is ready, or need not; `false` only with ``State/running``.
        public internal(set) var isReady = true
        /// Why it does not work although it runs, maybe empty; `nil` when it works, as far as is known.
        public internal(set) var unhealthyReason: String?
        /// Since when it does not work, by the clock of its node; `nil` when it does, or when that is not known.
        public internal(set) var unhealthySince: Timestamp?
        /// What it says of itself while it runs, or what it waits for before it is started (`waiting for db`); `nil` when
        /// there is nothing to say.
        public internal(set) var statusText: String?
        /// When its node starts it next, by its schedule; `nil` when it has none.
        public internal(set) var nextStart: Timestamp?
    }
}

extension MeshState.Tool {
    /// Whether it is ready for its work. One that need not show it counts as having shown it; of one whose node is unreachable
    /// it is not known.
    public var readiness: ToolReadiness {
        guard !isUncertain else { return .unknown }
        return ToolReadiness(
            state.published,
            hasShown: isReady,
            isUnhealthy: unhealthyReason != nil
        )
    }

    /// How far the time of an event and the time in a list may differ for the same moment.
    private static let tolerance: Duration = .seconds(1)

    /// Whether both say the same, apart from times that a list gives slightly differently from an event, and from what the tool
    /// uses.
    static func isSame(_ one: MeshState.Tool?, _ other: MeshState.Tool?) -> Bool {
        guard var one, let other else { return one == other }
        one.usage = other.usage
        if isNear(one.since, other.since) { one.since = other.since }
        if isNear(one.unhealthySince, other.unhealthySince) { one.unhealthySince = other.unhealthySince }
        if isNear(one.lastCrashAt, other.lastCrashAt) { one.lastCrashAt = other.lastCrashAt }
        return one == other
    }

    private static func isNear(_ one: Timestamp?, _ other: Timestamp?) -> Bool {
        guard let one, let other else { return false }
        return max(one, other).duration(since: min(one, other)) < tolerance
    }
}
