public import MeshEvents

extension CloudEvent {
    /// The event in structured mode: one line of JSON (CloudEvents, JSON event format).
    ///
    /// - Throws: `invalidData` for data that cannot be sent.
    public func json() throws(MeshEventsError) -> String {
        try data.validate()
        var text = "{\"specversion\":\(JSONValue(Self.specVersion))"
        func append(_ name: String, _ value: String?) {
            if let value { text += ",\"\(name)\":\(JSONValue(value))" }
        }
        append("id", id)
        append("source", source)
        append("type", type)
        append("subject", subject)
        append("time", time?.description)
        append("datacontenttype", dataContentType)
        for (name, value) in extensions { text += ",\(JSONValue(name)):\(value)" }
        return text + ",\"data\":\(data.json)}"
    }
}
