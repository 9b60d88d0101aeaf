extension MeshState {
    /// The tools of a node at a moment. Taking them costs nothing; each is made when it is asked for.
    struct ToolViews: Sendable {
        /// The newest end of all that ran on the node.
        struct Ending: Sendable {
            let stamp: Stamp
            let reason: String
        }

        let tools: ShardedTable<ToolRecord>
        let node: String
        let ending: Ending?
        let isUncertain: Bool

        /// The tools by name.
        var all: [Tool] { tools.all.map { view($0.value, $0.name) }.sorted { $0.name < $1.name } }

        /// What of it one more copy takes when the next tool changes, in bytes, about.
        var changeBytes: Int { tools.shardSize * ToolRecord.ownBytes }

        /// One tool; `nil` when there is none of that name.
        subscript(name: String) -> Tool? { tools[name].map { view($0, name) } }

        private func view(_ tool: ToolRecord, _ name: String) -> Tool {
            tool.view(name, node: node, ending: ending.map { ($0.stamp, $0.reason) }, isUncertain: isUncertain)
        }
    }
}

extension MeshState.ToolViews: Hashable {
    /// Whether they show the same.
    static func == (left: Self, right: Self) -> Bool { left.all == right.all }

    func hash(into hasher: inout Hasher) { hasher.combine(tools.count) }
}
