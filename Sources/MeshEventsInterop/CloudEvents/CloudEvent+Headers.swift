public import MeshEvents

extension CloudEvent {
    /// The attributes as header fields of a NATS message, `ce-id` and so on (CloudEvents' NATS protocol binding, binary
    /// mode): values are percent-encoded, so that none can hold a line end.
    ///
    /// The data is not among them: in binary mode it is the message's payload.
    public var headers: MessageHeaders {
        var headers = MessageHeaders()
        func append(_ name: String, _ value: String) { headers.append("ce-" + name, PercentCoding.headerValue(value)) }
        append("specversion", Self.specVersion)
        append("id", id)
        append("source", source)
        append("type", type)
        if let subject { append("subject", subject) }
        if let time { append("time", time.description) }
        if let dataContentType { append("datacontenttype", dataContentType) }
        for (name, value) in extensions where name.utf8.allSatisfy(Self.isAttributeCharacter) {
            append(name, value.string ?? value.int.map { String($0) } ?? value.description)
        }
        return headers
    }

    /// The header fields for a message whose payload is the whole event.
    static func headers(of event: Event, id: String) -> MessageHeaders {
        var cloudEvent = CloudEvent(event, id: id)
        cloudEvent.dataContentType = wholeEventContentType
        return cloudEvent.headers
    }
}
