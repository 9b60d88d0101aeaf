/// The mesh's own events, ready to be emitted. Leave `node` out to have the bus fill in its own.
///
/// Data that JSON cannot express (NaN, say) is reported when the event is emitted.
extension Event {
    /// A tool was installed on a node; see ``ToolInstalled``.
    public static func toolInstalled(node: String = "", tool: String, version: String) -> Event {
        Event(.toolInstalled, node: node, data: ToolInstalled(tool: tool, version: version).data)
    }

    /// A tool's configuration was changed; see ``ToolConfigured``.
    public static func toolConfigured(node: String = "", tool: String, config: EventData) -> Event {
        Event(.toolConfigured, node: node, data: ToolConfigured(tool: tool, config: config).data)
    }

    /// A tool was started; see ``ToolStarted``.
    public static func toolStarted(node: String = "", tool: String) -> Event {
        Event(.toolStarted, node: node, data: ToolStarted(tool: tool).data)
    }

    /// A tool was stopped on purpose; see ``ToolStopped``.
    public static func toolStopped(node: String = "", tool: String, reason: String) -> Event {
        Event(.toolStopped, node: node, data: ToolStopped(tool: tool, reason: reason).data)
    }

    /// A tool ended by itself; see ``ToolCrashed``.
    public static func toolCrashed(node: String = "", tool: String, error: String, restartCount: Int) -> Event {
        Event(.toolCrashed, node: node, data: ToolCrashed(tool: tool, error: error, restartCount: restartCount).data)
    }

    /// A tool was removed from a node; see ``ToolRemoved``.
    public static func toolRemoved(node: String = "", tool: String) -> Event {
        Event(.toolRemoved, node: node, data: ToolRemoved(tool: tool).data)
    }

    /// A node joined the mesh, or came back; see ``NodeJoined``.
    public static func nodeJoined(node: String = "", capabilities: EventData) -> Event {
        Event(.nodeJoined, node: node, data: NodeJoined(capabilities: capabilities).data)
    }

    /// A node left the mesh; see ``NodeLeft``.
    public static func nodeLeft(node: String = "", reason: String) -> Event {
        Event(.nodeLeft, node: node, data: NodeLeft(reason: reason).data)
    }

    /// A node says how it is; see ``NodeHealth``.
    public static func nodeHealth(node: String = "", status: String, resources: EventData) -> Event {
        Event(.nodeHealth, node: node, data: NodeHealth(status: status, resources: resources).data)
    }

    /// A user's event, of type `user.<topic>`.
    ///
    /// - Throws: `invalidEventType` when the topic breaks the rules of ``EventType``.
    public static func user(
        node: String = "",
        topic: String,
        data: EventData = nil
    ) throws(MeshEventsError) -> Event {
        Event(try .user(topic), node: node, data: data)
    }
}
