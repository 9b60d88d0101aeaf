extension MeshState {
    /// What an event, or the passing of time, changed.
    public struct Change: Sendable, Hashable {
        /// Which parts of a node changed; several may at once.
        public struct Kinds: OptionSet, Sendable, Hashable {
            /// The bits.
            public let rawValue: Int

            /// Creates a set from its bits.
            public init(rawValue: Int) { self.rawValue = rawValue }

            /// It joined, or joined again.
            public static let joined = Kinds(rawValue: 1)
            /// Its status or its failing checks changed, or it was not known before.
            public static let status = Kinds(rawValue: 2)
            /// It published new capabilities.
            public static let capabilities = Kinds(rawValue: 4)
            /// It published its resources, as it does with every `node.health`.
            public static let resources = Kinds(rawValue: 8)
            /// One of its tools changed.
            public static let tool = Kinds(rawValue: 16)
            /// It is no longer known: the stream with its events was deleted and replaced.
            public static let forgotten = Kinds(rawValue: 32)
        }

        /// The node's name.
        public var node: String
        /// Which parts of it changed.
        public var kinds: Kinds
        /// The tool's name, when a single tool changed.
        public var tool: String?

        /// Creates a change.
        public init(node: String, kinds: Kinds, tool: String? = nil) {
            self.node = node
            self.kinds = kinds
            self.tool = tool
        }
    }
}
