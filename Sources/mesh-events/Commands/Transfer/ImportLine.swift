import MeshEvents

/// A line to import: the message that goes into the stream, byte for byte the same whenever the line is read.
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

    /// The message id depends on nothing but the line: on its bytes, and on its number unless a sequence in it tells it
    /// from others.
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

    /// The message id depends on source and id, which tell CloudEvents apart; both travel beside the event.
    private static func cloudEvent(_ line: LineReader.Line) throws(MeshEventsError) -> PendingMessage {
        var cloudEvent = try CloudEventLine.parse(line.bytes)
        guard cloudEvent.time != nil else { throw missing("time") }
        let event = try cloudEvent.event()
        var hash = StableHash()
        hash.add(cloudEvent.source.utf8)
        hash.add(cloudEvent.id.utf8)
        // What was true of another stream, and of no stream at all.
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
