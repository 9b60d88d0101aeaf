extension MeshState {
    /// How much a state keeps of what events say. The rest is dropped and counted in ``MeshState/leftOut``.
    public struct Limits: Sendable, Hashable {
        /// How many nodes, from 1 to 1 000 000; default 10 000. Nodes whose last event is oldest are dropped first.
        public let nodes: Int
        /// How many tools of one node, from 1 to 100 000; default 1 000. A tool that was removed makes room for a new
        /// one. When there is none, events about new tools are dropped.
        public let toolsPerNode: Int
        /// How many bytes one text may have (a version, a reason, an error, a status), from 16 to 65 536. A longer one
        /// is cut. Default 2 048.
        public let textBytes: Int
        /// How many bytes of JSON a node's capabilities and resources may have each, from 64 to 1 048 576. Larger ones
        /// are kept as null, and so are those nested more than 100 levels deep. Default 16 384.
        public let dataBytes: Int
        /// How many bytes the whole state may take, as ``MeshState`` counts them, from 65 536 to 2³⁰; default 192 MiB:
        /// 10 000 nodes with 30 tools each are 170 MB. Beyond it, nodes whose last event is oldest are dropped.
        public let bytes: Int

        /// The longest name of a node or a tool, in bytes. Events with a longer name are dropped.
        public static let nameBytes = 512

        /// Creates limits; a value out of its range becomes the nearest in it.
        public init(
            nodes: Int = 10_000,
            toolsPerNode: Int = 1_000,
            textBytes: Int = 2_048,
            dataBytes: Int = 16_384,
            bytes: Int = 192 << 20
        ) {
            self.nodes = min(max(nodes, 1), 1_000_000)
            self.toolsPerNode = min(max(toolsPerNode, 1), 100_000)
            self.textBytes = min(max(textBytes, 16), 65_536)
            self.dataBytes = min(max(dataBytes, 64), 1 << 20)
            self.bytes = min(max(bytes, 65_536), 1 << 30)
        }
    }

    /// What a state did not keep because it was beyond its ``Limits``.
    public struct LeftOut: Sendable, Hashable {
        /// Nodes that were dropped to make room. A node that comes back and is dropped again counts again.
        public internal(set) var nodes: UInt64 = 0
        /// Events about new tools for which there was no room, removed tools that were dropped to make room, and the
        /// elements of a health event's list beyond the first 200.
        public internal(set) var tools: UInt64 = 0
        /// Events that were dropped because a name was too long, and events with a text, data or list that was cut.
        public internal(set) var values: UInt64 = 0

        /// Whether nothing was left out.
        public var isEmpty: Bool { self == LeftOut() }
    }
}
