extension MeshState {
    /// The tools of a node at a moment. Copies are cheap; each ``Tool`` is made when it is read.
    struct ToolViews: Sendable {
        /// When and why all tools of the node last ended.
        struct Ending: Sendable {
            let stamp: Stamp
            let reason: String
        }

        let tools: ShardedTable<ToolRecord>
        let node: String
        /// The time of the node's newest complete list.
        let complete: Stamp?
        let ending: Ending?
        let isUncertain: Bool

        /// The tools by name.
        var all: [Tool] { tools.all.map { view($0.value, $0.name) }.sorted { $0.name < $1.name } }

        /// The approximate memory that a change of a tool costs while this copy exists, in bytes: one shard is copied.
        var changeBytes: Int { tools.shardSize * ToolRecord.ownBytes }

        /// One tool; `nil` when there is none of that name.
        subscript(name: String) -> Tool? { tools[name].map { view($0, name) } }

        private func view(_ tool: ToolRecord, _ name: String) -> Tool {
            tool.view(
                name,
                node: node,
                complete: complete,
                ending: ending.map { ($0.stamp, $0.reason) },
                isUncertain: isUncertain
            )
        }
    }
}

extension MeshState.ToolViews: Hashable {
    /// Whether both have the same tools.
    static func == (left: Self, right: Self) -> Bool { left.all == right.all }

    func hash(into hasher: inout Hasher) { hasher.combine(tools.count) }
}
