import MeshEvents

/// Parses a line of NDJSON: `{"type":…,"node":…,"data":…}`; node and data may be missing.
enum EventLine {
    /// The accepted members. They include those that `list --json` adds, so that its lines can be emitted again.
    private static let members: Set<String> = ["type", "node", "data", "timestamp", "sequence", "stored"]

    /// The event.
    ///
    /// - Throws: `MeshEventsError`; its message says what is wrong with the line.
    static func parse(_ bytes: some Collection<UInt8>) throws(MeshEventsError) -> Event {
        let line: EventData
        do throws(MeshEventsError) {
            line = try EventData(json: bytes)
        } catch {
            let message =
                error.message.hasPrefix("data ") ? "it " + error.message.dropFirst("data ".count) : error.message
            throw MeshEventsError(.invalidData, message)
        }
        guard !line.isNull else { throw invalid("it must be a JSON object with a \"type\"") }
        if let unknown = line.keys.first(where: { !members.contains($0) }) {
            throw invalid("it has an unknown member \(unknown.debugDescription); put an event's content into \"data\"")
        }
        guard let type = line["type"] else { throw invalid("it has no \"type\"") }
        guard let typeText = type.string else { throw invalid("its \"type\" is not a string") }
        var node = ""
        if let field = line["node"] {
            guard let text = field.string else { throw invalid("its \"node\" is not a string") }
            node = text
        }
        var data = EventData.null
        if let field = line["data"] {
            guard let object = field.data else { throw invalid("its \"data\" is neither an object nor null") }
            try object.checkNumbers()
            data = object
        }
        return Event(try PatternText.type(typeText), node: node, data: data)
    }

    private static func invalid(_ message: String) -> MeshEventsError { MeshEventsError(.invalidData, message) }
}
