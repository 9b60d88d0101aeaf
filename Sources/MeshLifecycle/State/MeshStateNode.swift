public import MeshEvents

extension MeshState {
    /// A node as the mesh knows it.
    public struct Node: Sendable, Hashable, Identifiable {
        /// How a node is.
        public enum Status: String, Sendable, Hashable, CaseIterable {
            /// It is there, and has not said otherwise.
            case online
            /// It is there and says of itself that it is not well.
            case degraded
            /// Nothing was heard of it for three of its health intervals.
            case unreachable
            /// It sends no health events, as nodes of the Go mesh, and nothing was heard of it for five minutes: whether it is
            /// there is not known. ``lastSeen`` says since when.
            case silent
            /// It said that it leaves.
            case left
        }

        /// Its name.
        public internal(set) var name: String
        /// How it is.
        public internal(set) var status: Status
        /// The status in its newest `node.health`, as it wrote it; `nil` when it has sent none since it was started.
        ///
        /// `online` and an empty one make ``status`` ``Status/online``, any other ``Status/degraded``.
        public internal(set) var reportedStatus: String?
        /// The checks that fail, with what is wrong: the member `checks` of its resources.
        public internal(set) var failingChecks: [String: String]
        /// When it last said that it joined, a reconnect included; `nil` when that is not known.
        public internal(set) var joinedAt: Timestamp?
        /// When something was last heard of it: the latest time of arrival of its events.
        public internal(set) var lastSeen: Timestamp
        /// When it left; only with ``Status/left``.
        public internal(set) var leftAt: Timestamp?
        /// Why it left, as it said; only with ``Status/left``.
        public internal(set) var leaveReason: String?
        /// Since when it counts as unreachable; only with ``Status/unreachable``.
        public internal(set) var unreachableSince: Timestamp?
        /// How far apart its health events are; see ``MeshState`` for how that is known.
        public internal(set) var healthInterval: Duration
        /// Whether it sends health events. One that does not never becomes unreachable, but ``Status/silent``.
        public internal(set) var sendsHealth: Bool
        /// What it can do, as it last said when joining; null when it never did.
        public internal(set) var capabilities: EventData
        /// What it last said it uses and has; null when it never did.
        public internal(set) var resources: EventData
        var toolViews: ToolViews

        /// Its tools by name, those that were removed included. Made on every call: ask once for what is used often.
        public var tools: [Tool] { toolViews.all }

        /// The name.
        public var id: String { name }

        /// The tool of this name; `nil` when it never had one.
        public func tool(_ name: String) -> Tool? { toolViews[name] }
    }
}
