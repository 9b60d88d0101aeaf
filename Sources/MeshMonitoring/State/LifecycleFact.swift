import MeshEvents

/// The content of a node or tool event, read leniently: a member that is missing or of the wrong kind counts as empty.
enum LifecycleFact {
    /// What happened to a tool.
    enum Tool {
        case installed(version: String)
        case configured
        /// - Parameter isReady: `false` when it has yet to show that it is ready.
        case started(isReady: Bool)
        case ready
        /// - Parameter reason: what is wrong; `nil` when it works again.
        case health(reason: String?)
        /// - Parameters:
        ///   - failed: whether its node has given it up.
        ///   - error: the error of its last crash, when its node has given it up.
        case stopped(reason: String, failed: Bool, error: String?)
        /// - Parameter failed: whether its node does not start it again.
        case crashed(error: String, restartCount: Int, failed: Bool)
        case removed
        /// - Parameters:
        ///   - error: what went wrong; `nil` when it did not fail.
        ///   - next: when it is started next.
        case finished(error: String?, next: Timestamp?)
    }

    case health(status: String, resources: EventData, tools: ToolList?)
    case joined(capabilities: EventData)
    case left(reason: String)
    case tool(String, Tool)
    /// What others say of the node.
    case report(NodeReport)

    /// Reads an event; `nil` when it is not about nodes and tools.
    init?(_ event: Event) {
        let data = event.data
        switch event.type {
        // The most frequent first.
        case .nodeHealth:
            self = .health(
                status: data.text("status"),
                resources: data["resources"]?.data ?? .null,
                tools: ToolList(data, at: event.timestamp)
            )
        case .toolStarted: self = .tool(data.text("tool"), .started(isReady: data["ready"]?.bool ?? true))
        case .toolReady: self = .tool(data.text("tool"), .ready)
        case .toolUnhealthy: self = .tool(data.text("tool"), .health(reason: data.text("reason")))
        case .toolHealthy: self = .tool(data.text("tool"), .health(reason: nil))
        case .toolCrashed:
            let (error, count) = (data.text("error"), max(0, data["restart_count"]?.int ?? 0))
            let failed = ToolCrashed.isFinal(data)
            self = .tool(data.text("tool"), .crashed(error: error, restartCount: count, failed: failed))
        case .toolStopped:
            let reason = data.text("reason")
            // Nodes of version 0.1 say it by the reason alone.
            let failed = data["failed"]?.bool == true || reason.hasPrefix(ToolStopped.gaveUpReason)
            let error = failed ? data["error"]?.string : nil
            self = .tool(data.text("tool"), .stopped(reason: reason, failed: failed, error: error))
        case .toolInstalled: self = .tool(data.text("tool"), .installed(version: data.text("version")))
        case .toolConfigured: self = .tool(data.text("tool"), .configured)
        case .toolRemoved: self = .tool(data.text("tool"), .removed)
        case .toolFinished:
            let error = data["failed"]?.bool == true ? data["error"]?.string ?? "failed" : nil
            self = .tool(data.text("tool"), .finished(error: error, next: data.time("next")))
        case .nodeJoined: self = .joined(capabilities: data["capabilities"]?.data ?? .null)
        case .nodeLeft: self = .left(reason: data.text("reason"))
        default:
            guard let report = NodeReport(event) else { return nil }
            self = .report(report)
        }
    }

    /// The name of the tool the event is about; empty when it is about none, or about a list of them.
    var toolName: String {
        if case .tool(let name, _) = self { name } else { "" }
    }

    /// The names of the tools that the event says something of.
    var toolNames: [String] {
        switch self {
        case .tool(let name, _): name.isEmpty ? [] : [name]
        case .health(_, _, let tools): tools?.tools.map(\.name) ?? []
        case .joined, .left, .report: []
        }
    }

    /// Whether it is what others say of the node: it shows nothing of whether the node runs.
    var isReport: Bool {
        if case .report = self { true } else { false }
    }

    /// Whether only a node that is in the mesh emits this. Events that end something may arrive after `node.left`.
    var showsPresence: Bool {
        switch self {
        case .health, .joined, .tool(_, .installed), .tool(_, .configured), .tool(_, .started), .tool(_, .ready),
            .tool(_, .health):
            true
        case .left, .tool(_, .stopped), .tool(_, .crashed), .tool(_, .removed), .tool(_, .finished), .report:
            false
        }
    }
}

extension EventData {
    func text(_ key: String) -> String { self[key]?.string ?? "" }

    /// The time; `nil` when there is none.
    func time(_ key: String) -> Timestamp? { self[key]?.string.flatMap { try? Timestamp(rfc3339: $0) } }
}
