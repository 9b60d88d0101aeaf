public import MeshEvents

extension MeshState {
    /// A node as the mesh knows it.
    public struct Node: Sendable, Hashable, Identifiable {
        /// The status of a node.
        public enum Status: String, Sendable, Hashable, CaseIterable {
            /// It is in the mesh, and reports no problem.
            case online
            /// It is in the mesh, and reports a problem.
            case degraded
            /// No event came from it for three of its health intervals.
            case unreachable
            /// It sends no health events, as nodes of the Go mesh, and no event came from it for five minutes. Whether
            /// it runs is not known. ``lastSeen`` has the time of its last event.
            case silent
            /// It emitted `node.left`.
            case left
        }

        /// Its name.
        public internal(set) var name: String
        /// Its status.
        public internal(set) var status: Status
        /// The unchanged status text of its newest `node.health`; `nil` when it has sent none since it was started.
        ///
        /// `online` and an empty one make ``status`` ``Status/online``, any other ``Status/degraded``.
        public internal(set) var reportedStatus: String?
        /// The checks that fail, with what is wrong: the member `checks` of its resources.
        public internal(set) var failingChecks: [String: String]
        /// The time of its last `node.joined`, also sent after a reconnect; `nil` when that is not known.
        public internal(set) var joinedAt: Timestamp?
        /// When its last event arrived.
        public internal(set) var lastSeen: Timestamp
        /// When it left; only with ``Status/left``.
        public internal(set) var leftAt: Timestamp?
        /// The reason in its `node.left`; only with ``Status/left``.
        public internal(set) var leaveReason: String?
        /// Since when it counts as unreachable; only with ``Status/unreachable``.
        public internal(set) var unreachableSince: Timestamp?
        /// Until when it is in maintenance: meanwhile a keeper does not announce that it is unreachable. `nil` when it is
        /// not.
        public internal(set) var maintenanceUntil: Timestamp?
        /// Why it is in maintenance; `nil` when it is not, empty when nothing was said.
        public internal(set) var maintenanceReason: String?
        /// The time between its health events; see ``MeshState`` for how it is found.
        public internal(set) var healthInterval: Duration
        /// Whether it sends health events. A node that does not becomes ``Status/silent`` instead of unreachable.
        public internal(set) var sendsHealth: Bool
        /// The capabilities in its last `node.joined` that had some; null when there were none.
        public internal(set) var capabilities: EventData
        /// The resources in its last `node.health`; null when it sent none.
        public internal(set) var resources: EventData
        var toolViews: ToolViews

        /// Its tools by name, removed ones included. Computed on every call: keep the result when you need it often.
        public var tools: [Tool] { toolViews.all }

        /// The name.
        public var id: String { name }

        /// The tool of this name; `nil` when it never had one.
        public func tool(_ name: String) -> Tool? { toolViews[name] }
    }
}
