public import MeshEvents

extension MeshState {
    /// A tool on a node as the mesh knows it.
    public struct Tool: Sendable, Hashable {
        /// What a tool does.
        public enum State: String, Sendable, Hashable, CaseIterable {
            /// It is there and has not been started.
            case installed
            /// It runs.
            case running
            /// It was stopped, or ended with its node; ``Tool/stopReason`` says why.
            case stopped
            /// It ended by itself; ``Tool/lastError`` says how.
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
        /// What it does; what it last did when ``isUncertain``.
        public internal(set) var state: State
        /// Whether nobody knows what it does now, because its node is unreachable.
        public internal(set) var isUncertain = false
        /// When it came to its state, by the clock of its node; `nil` when that is not known.
        public internal(set) var since: Timestamp?
        /// How often it was started again by itself, as its last crash said; 0 since the node was started anew.
        public internal(set) var restartCount = 0
        /// What its last crash was; `nil` when it never crashed.
        public internal(set) var lastError: String?
        /// When it last crashed.
        public internal(set) var lastCrashAt: Timestamp?
        /// Why it was stopped; only with ``State/stopped``. `the node left` and `the node was started anew` when that
        /// ended it.
        public internal(set) var stopReason: String?
    }
}
