import MeshEvents

/// A line to import, as a message for the stream. The same line always gives the same bytes.
struct ImportLine: Sendable {
    /// The number in the file, from 1.
    let number: Int
    let message: PendingMessage

    /// Reads a line of an export: an event with its timestamp.
    ///
    /// - Throws: `MeshEventsError`; its message says what is wrong with the line.
    init(_ line: LineReader.Line, _ format: LineFormat = .json) throws(MeshEventsError) {
        number = line.number
        message =
            switch format {
            case .json: try Self.event(line)
            case .cloudevents: try Self.cloudEvent(line)
            }
    }

    /// The message of an event. Its message id depends only on the line's bytes, and on its number when the line has no
    /// sequence that tells it from equal lines.
    private static func event(_ line: LineReader.Line) throws(MeshEventsError) -> PendingMessage {
        var event = try EventLine.parse(line.bytes)
        let members = try EventData(json: line.bytes)
        guard let text = members["timestamp"]?.string else { throw missing("timestamp") }
        event.timestamp = try Timestamp(rfc3339: text)
        var hash = StableHash()
        hash.add(line.bytes)
        if members["sequence"] == nil { hash.add("\(line.number)".utf8) }
        return PendingMessage(
            subject: event.type.subject,
            payload: try EventEncoder().encode(event),
            messageID: "import-\(hash.text)",
            mayBeStored: true
        )
    }

    /// The message of a CloudEvent. Its message id depends on source and id, which identify a CloudEvent; both are sent
    /// as header fields.
    private static func cloudEvent(_ line: LineReader.Line) throws(MeshEventsError) -> PendingMessage {
        var cloudEvent = try CloudEventLine.parse(line.bytes)
        guard cloudEvent.time != nil else { throw missing("time") }
        let event = try cloudEvent.event()
        var hash = StableHash()
        hash.add(cloudEvent.source.utf8)
        hash.add(cloudEvent.id.utf8)
        // Extensions such as sequence and stored belong to the former stream.
        cloudEvent.extensions = [:]
        cloudEvent.dataContentType = CloudEvent.wholeEventContentType
        return PendingMessage(
            subject: event.type.subject,
            payload: try EventEncoder().encode(event),
            messageID: "import-\(hash.text)",
            headers: cloudEvent.headers,
            mayBeStored: true
        )
    }

    private static func missing(_ member: String) -> MeshEventsError {
        MeshEventsError(
            .invalidData,
            "it has no \"\(member)\"; `mesh-events emit --from` takes such lines and gives events the present time"
        )
    }
}
