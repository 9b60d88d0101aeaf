/// The mesh's own events, ready to be emitted. Leave `node` out and the bus fills in its own.
///
/// Emitting throws when JSON cannot express the data (NaN, for example).
extension Event {
    /// A tool was installed on a node; see ``ToolInstalled``.
    public static func toolInstalled(node: String = "", tool: String, version: String) -> Event {
        Event(unvalidated: ToolInstalled(tool: tool, version: version), node: node)
    }

    /// A tool's configuration was changed; see ``ToolConfigured``.
    public static func toolConfigured(node: String = "", tool: String, config: EventData) -> Event {
        Event(unvalidated: ToolConfigured(tool: tool, config: config), node: node)
    }

    /// A tool was started; see ``ToolStarted``.
    public static func toolStarted(node: String = "", tool: String) -> Event {
        Event(unvalidated: ToolStarted(tool: tool), node: node)
    }

    /// A tool was stopped; see ``ToolStopped``.
    public static func toolStopped(node: String = "", tool: String, reason: String) -> Event {
        Event(unvalidated: ToolStopped(tool: tool, reason: reason), node: node)
    }

    /// A tool ended by itself; see ``ToolCrashed``.
    public static func toolCrashed(node: String = "", tool: String, error: String, restartCount: Int) -> Event {
        Event(unvalidated: ToolCrashed(tool: tool, error: error, restartCount: restartCount), node: node)
    }

    /// A tool was removed from a node; see ``ToolRemoved``.
    public static func toolRemoved(node: String = "", tool: String) -> Event {
        Event(unvalidated: ToolRemoved(tool: tool), node: node)
    }

    /// A node joined the mesh, or came back; see ``NodeJoined``.
    public static func nodeJoined(node: String = "", capabilities: EventData) -> Event {
        Event(unvalidated: NodeJoined(capabilities: capabilities), node: node)
    }

    /// A node left the mesh; see ``NodeLeft``.
    public static func nodeLeft(node: String = "", reason: String) -> Event {
        Event(unvalidated: NodeLeft(reason: reason), node: node)
    }

    /// A node reports its health; see ``NodeHealth``.
    public static func nodeHealth(node: String = "", status: String, resources: EventData) -> Event {
        Event(unvalidated: NodeHealth(status: status, resources: resources), node: node)
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

    /// Creates an event from a payload whose `write(to:)` never throws; emitting throws when JSON cannot express its
    /// data.
    private init<Payload: EventPayload>(unvalidated payload: Payload, node: String) {
        let data = EventData { try? EventDataWriter.write(payload, to: &$0) }
        self.init(Payload.eventType, node: node, data: data)
    }
}
