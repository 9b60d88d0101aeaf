import MeshEvents

extension NodeHealth {
    /// The longest error of a tool in the list, in bytes; a longer one is cut and ends with `…`.
    static let errorBytes = 500
    /// The longest version of a tool in the list, in bytes.
    private static let versionBytes = 200
    /// The most bytes that the list may take, roughly: the event must fit into a message of any server.
    static let maximumListBytes = 65_536
    /// The bytes of a tool in the list besides its texts, roughly.
    private static let toolBytes = 128

    /// Health with the list of a node's tools: at most 200, by name. When there are more, those that have failed come
    /// first, then those that are backing off, and the rest is counted.
    ///
    /// - Parameters:
    ///   - tools: all installed tools; `nil` for no list.
    ///   - limit: the most bytes that the list may take, roughly.
    init(
        status: String,
        resources: EventData,
        listing tools: [ToolStatus]?,
        within limit: Int = maximumListBytes
    ) {
        self.init(status: status, resources: resources)
        guard let tools else { return }
        let isCut = tools.count > Self.maximumTools
        func rank(_ tool: ToolStatus) -> Int {
            isCut ? Self.rank(tool.state.listed, isUnhealthy: tool.health.unhealthyReason != nil) : 0
        }
        let sorted = tools.sorted { (rank($0), $0.name) < (rank($1), $1.name) }
        let listed = sorted.prefix(Self.maximumTools).map(Tool.init)
        self.tools = listed
        toolsOmitted = tools.count - listed.count
        limitList(to: limit)
    }

    /// The bytes of the list, roughly; 0 when no tools are listed.
    var listBytes: Int { tools?.reduce(0) { $0 + Self.bytes($1) } ?? 0 }

    /// Leaves out what tools use when the list takes more bytes, and then tools: those in trouble come first then.
    mutating func limitList(to limit: Int) {
        guard listBytes > limit else { return }
        dropUsage(to: limit)
        guard let tools, listBytes > limit else { return }
        var rest = limit
        let sorted = tools.sorted { (Self.rank($0), $0.name) < (Self.rank($1), $1.name) }
        let kept = sorted.prefix { tool in
            rest -= Self.bytes(tool)
            return rest >= 0
        }
        self.tools = Array(kept)
        toolsOmitted += tools.count - kept.count
    }

    /// Leaves out what tools use, those first that use the least memory, until the list has at most so many bytes.
    private mutating func dropUsage(to limit: Int) {
        guard var tools else { return }
        var excess = listBytes - limit
        let users = tools.indices.filter { tools[$0].usage != nil }
        for index in users.sorted(by: { tools[$0].usage?.memoryMB ?? 0 < tools[$1].usage?.memoryMB ?? 0 }) {
            guard excess > 0 else { break }
            excess -= tools[index].usage?.approximateBytes ?? 0
            tools[index].usage = nil
        }
        self.tools = tools
    }

    private static func bytes(_ tool: Tool) -> Int {
        toolBytes + tool.name.utf8.count + tool.version.utf8.count + (tool.error?.utf8.count ?? 0)
            + (tool.usage?.approximateBytes ?? 0)
            + (tool.healthReason.map { 96 + $0.utf8.count } ?? 0) + (tool.status?.utf8.count ?? 0)
    }

    /// Orders tools in trouble before the others.
    private static func rank(_ state: Tool.State, isUnhealthy: Bool) -> Int {
        switch state {
        case .failed: 0
        case .backingOff: 1
        default: isUnhealthy ? 1 : 2
        }
    }

    private static func rank(_ tool: Tool) -> Int { rank(tool.state, isUnhealthy: tool.health == Tool.unhealthy) }

}

extension NodeHealth.Tool {
    fileprivate init(_ status: ToolStatus) {
        self.init(
            name: status.name,
            version: status.version.truncated(bytes: NodeHealth.versionBytes),
            state: status.state.listed,
            since: status.listedSince,
            restarts: status.restartCount,
            error: status.publishedError.map { $0.truncated(bytes: NodeHealth.errorBytes) },
            usage: status.usage,
            isReady: status.health.isReady == false ? false : nil,
            health: status.health.unhealthyReason == nil ? nil : Self.unhealthy,
            healthReason: status.health.unhealthyReason.map { $0.truncated(bytes: NodeHealth.errorBytes) },
            healthSince: status.health.unhealthySince,
            status: status.text.map { $0.truncated(bytes: NodeHealth.errorBytes) },
            next: status.next
        )
    }
}

extension ToolStatus.State {
    /// The state in the list: until it has ended, a tool runs.
    fileprivate var listed: ToolState { self == .stopping ? .running : published }
}

extension ToolStatus {
    /// Since when it is in the listed state: one that is being stopped has run since its process began.
    fileprivate var listedSince: Timestamp { state == .stopping ? runningSince ?? since : since }
}
