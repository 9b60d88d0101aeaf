import MeshEvents

/// The content of a node or tool event, read leniently: a member that is missing or of the wrong kind counts as empty.
enum LifecycleFact {
    /// What happened to a tool.
    enum Tool {
        case installed(version: String)
        case configured
        case started
        case stopped(reason: String)
        case crashed(error: String, restartCount: Int)
        case removed
    }

    case health(status: String, resources: EventData)
    case joined(capabilities: EventData)
    case left(reason: String)
    case tool(String, Tool)

    /// Reads an event; `nil` when it is not about nodes and tools.
    init?(_ event: Event) {
        let data = event.data
        switch event.type {
        // The most frequent first.
        case .nodeHealth:
            self = .health(status: data.text("status"), resources: data["resources"]?.data ?? .null)
        case .toolStarted: self = .tool(data.text("tool"), .started)
        case .toolCrashed:
            let count = max(0, data["restart_count"]?.int ?? 0)
            self = .tool(data.text("tool"), .crashed(error: data.text("error"), restartCount: count))
        case .toolStopped: self = .tool(data.text("tool"), .stopped(reason: data.text("reason")))
        case .toolInstalled: self = .tool(data.text("tool"), .installed(version: data.text("version")))
        case .toolConfigured: self = .tool(data.text("tool"), .configured)
        case .toolRemoved: self = .tool(data.text("tool"), .removed)
        case .nodeJoined: self = .joined(capabilities: data["capabilities"]?.data ?? .null)
        case .nodeLeft: self = .left(reason: data.text("reason"))
        default: return nil
        }
    }

    /// The name of the tool the event is about; empty when it is about none.
    var toolName: String {
        if case .tool(let name, _) = self { name } else { "" }
    }

    /// Whether only a node that is in the mesh emits this. Events that end something may arrive after `node.left`.
    var showsPresence: Bool {
        switch self {
        case .health, .joined, .tool(_, .installed), .tool(_, .configured), .tool(_, .started): true
        case .left, .tool(_, .stopped), .tool(_, .crashed), .tool(_, .removed): false
        }
    }
}

extension EventData {
    fileprivate func text(_ key: String) -> String { self[key]?.string ?? "" }
}
