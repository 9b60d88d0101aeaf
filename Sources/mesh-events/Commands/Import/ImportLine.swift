import MeshEvents
import MeshEventsInterop

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

/// The messages of a stream after a sequence. They show which lines an interrupted import stored without noting it.
struct StoredLines {
    private static let read = (messages: 4_096, bytes: 4 << 20)

    private var counts: [StableHash: Int] = [:]

    /// Creates an empty value.
    init() {}

    /// Reads the stream's messages after a sequence.
    init(_ store: some EventStore, behind sequence: UInt64) async throws {
        var next = sequence.nextSequence
        while true {
            let part = try await store.first(
                Self.read.messages,
                maximumBytes: Self.read.bytes,
                matching: .all,
                from: .sequence(next),
                timeout: .seconds(30)
            )
            for message in part.messages { counts[Self.hash(message.subject, message.payload), default: 0] += 1 }
            let mayHaveMore = part.isCutShort || part.messages.count == Self.read.messages
            guard mayHaveMore, let last = part.messages.last, last.sequence < .max else { return }
            next = last.sequence + 1
        }
    }

    /// Whether the stream has this message; each of several equal messages counts once.
    mutating func take(_ message: PendingMessage) -> Bool {
        guard !counts.isEmpty else { return false }
        let hash = Self.hash(message.subject, message.payload)
        guard let count = counts[hash] else { return false }
        counts[hash] = count > 1 ? count - 1 : nil
        return true
    }

    private static func hash(_ subject: String, _ payload: [UInt8]) -> StableHash {
        var hash = StableHash()
        hash.add(subject.utf8)
        hash.add(payload)
        return hash
    }
}
