public import MeshEvents

extension MeshState {
    /// A tool on a node as the mesh knows it.
    public struct Tool: Sendable, Hashable {
        /// The state of a tool.
        public enum State: String, Sendable, Hashable, CaseIterable {
            /// It is installed and has not been started.
            case installed
            /// It runs.
            case running
            /// It was stopped, or ended with its node; ``Tool/stopReason`` has the reason.
            case stopped
            /// It ended by itself; ``Tool/lastError`` has the cause.
            case crashed
            /// It was removed.
            case removed
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
        /// When its state began, by the clock of its node; `nil` when that is not known.
        public internal(set) var since: Timestamp?
        /// How often its node restarted it after a crash, from its last `tool.crashed`; 0 after the node was started
        /// anew.
        public internal(set) var restartCount = 0
        /// The error of its last crash; `nil` when it never crashed.
        public internal(set) var lastError: String?
        /// When it last crashed.
        public internal(set) var lastCrashAt: Timestamp?
        /// Why it was stopped; only with ``State/stopped``. It is `the node left` or `the node was started anew` when
        /// the tool ended with its node.
        public internal(set) var stopReason: String?
    }
}
