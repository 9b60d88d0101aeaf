public import MeshEvents

extension CloudEvent {
    /// The node that the source names: `node-a` for `/mesh/nodes/node-a`; any other source as it is.
    public var node: String { Self.node(ofSource: source) }

    /// The event of the mesh: ``type``, ``node`` and ``data``, at ``time``; ``/MeshEvents/Timestamp/epoch`` without a time.
    ///
    /// The data may be a whole event (``wholeEventContentType``), as programs that forward messages in binary mode
    /// write it. Then the result is that event, and its members must agree with the attributes.
    ///
    /// - Throws: `invalidEventType` when ``type`` is not a valid event type, `invalidData`.
    public func event() throws(MeshEventsError) -> Event {
        let type = try EventType(type)
        var data = data
        if isWholeEvent {
            guard data["type"]?.string == type.rawValue else {
                throw Self.invalid("the \"type\" within its data is not \(SubjectRules.quoted(type.rawValue))")
            }
            guard (data["node"]?.string ?? "") == node else {
                throw Self.invalid(
                    "the \"node\" within its data is not \(SubjectRules.quoted(node)), as its source says"
                )
            }
            guard let inner = data["data"] else { return Event(type, node: node, timestamp: time ?? .epoch) }
            guard let object = inner.data else {
                throw Self.invalid("the \"data\" within its data is neither an object nor null")
            }
            data = object
        }
        let event = Event(type, node: node, timestamp: time ?? .epoch, data: data)
        try event.validate()
        return event
    }

    private var isWholeEvent: Bool {
        guard let dataContentType else { return false }
        return dataContentType.lowercased().split(separator: ";").dropFirst().contains { parameter in
            let text = parameter.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
            return text == "profile=mesh-event"
        }
    }
}
