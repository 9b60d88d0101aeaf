import MeshEvents

extension NodeHealth {
    /// The longest error of a tool in the list, in bytes; a longer one is cut and ends with `…`.
    static let errorBytes = 500
    /// The longest version of a tool in the list, in bytes.
    private static let versionBytes = 200
    /// The most bytes that the list may take, roughly: the event must fit into a message of any server.
    private static let listBytes = 65_536
    /// The bytes of a tool in the list besides its texts, roughly.
    private static let toolBytes = 128

    /// Health with the list of a node's tools: at most 200, by name. When there are more, those that have failed come
    /// first, then those that are backing off, and the rest is counted.
    ///
    /// - Parameter tools: all installed tools; `nil` for no list.
    init(status: String, resources: EventData, listing tools: [ToolStatus]?) {
        self.init(status: status, resources: resources)
        guard let tools else { return }
        var bytes = 0
        var listed: [Tool] = []
        for tool in Self.order(tools).prefix(Self.maximumTools).map(Tool.init) {
            bytes += Self.toolBytes + tool.name.utf8.count + tool.version.utf8.count + (tool.error?.utf8.count ?? 0)
            guard bytes <= Self.listBytes else { break }
            listed.append(tool)
        }
        self.tools = listed
        toolsOmitted = tools.count - listed.count
    }

    private static func order(_ tools: [ToolStatus]) -> [ToolStatus] {
        let isCut = tools.count > maximumTools
        func rank(_ tool: ToolStatus) -> Int {
            switch tool.state {
            case .failed where isCut: 0
            case .backingOff where isCut: 1
            default: 2
            }
        }
        return tools.sorted { (rank($0), $0.name) < (rank($1), $1.name) }
    }

    fileprivate static func cut(_ text: String, to limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        let ellipsis = "…"
        var cut = ""
        var bytes = ellipsis.utf8.count
        // Not at a character's border: a single character can be of any length.
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= limit else { break }
            cut.unicodeScalars.append(scalar)
        }
        return cut + ellipsis
    }

    fileprivate static func cutVersion(_ text: String) -> String { cut(text, to: versionBytes) }
}

extension NodeHealth.Tool {
    fileprivate init(_ status: ToolStatus) {
        self.init(
            name: status.name,
            version: NodeHealth.cutVersion(status.version),
            state: State(status.state),
            since: status.since,
            restarts: status.restartCount,
            error: status.publishedError.map { NodeHealth.cut($0, to: NodeHealth.errorBytes) }
        )
    }
}

extension NodeHealth.Tool.State {
    fileprivate init(_ state: ToolStatus.State) {
        switch state {
        case .installed: self = .installed
        case .starting: self = .starting
        // Until it has ended it runs.
        case .running, .stopping: self = .running
        case .backingOff: self = .backingOff
        case .failed: self = .failed
        case .stopped: self = .stopped
        }
    }
}
