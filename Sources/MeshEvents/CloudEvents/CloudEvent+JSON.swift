extension CloudEvent {
    /// The event in structured mode: one line of JSON (CloudEvents, JSON event format).
    ///
    /// - Throws: `invalidData` for data that cannot be sent.
    public func json() throws(MeshEventsError) -> String {
        try data.validate()
        return EventData.text { write(to: &$0) }
    }

    private func write(to writer: inout JSONWriter) {
        writer.open(UInt8(ascii: "{"))
        writer.write("\"specversion\":")
        writer.string(Self.specVersion)
        writer.write(",\"id\":")
        writer.string(id)
        writer.write(",\"source\":")
        writer.string(source)
        writer.write(",\"type\":")
        writer.string(type)
        if let subject {
            writer.write(",\"subject\":")
            writer.string(subject)
        }
        if let time {
            writer.write(",\"time\":")
            writer.string(time.description)
        }
        if let dataContentType {
            writer.write(",\"datacontenttype\":")
            writer.string(dataContentType)
        }
        for (name, value) in extensions {
            writer.write(",")
            writer.string(name)
            writer.write(":")
            value.write(to: &writer)
        }
        writer.write(",\"data\":")
        writer.write(data)
        writer.close(UInt8(ascii: "}"))
    }
}
