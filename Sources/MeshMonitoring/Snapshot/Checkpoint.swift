import MeshEvents

/// Says how far the entries of the nodes are complete: all that follows from the stream's events up to ``sequence`` is in
/// them. They may have more.
struct Checkpoint: Sendable, Equatable {
    /// The stream's name.
    var stream: String
    /// When the stream was created; `nil` when its store cannot tell.
    var created: Timestamp?
    /// The last sequence that counts.
    var sequence: UInt64
    /// When that was so, by the server's clock.
    var at: Timestamp
    /// The name of the node that keeps the state.
    var keeper: String
    /// How many nodes have an entry.
    var nodes: Int

    init(stream: String, created: Timestamp?, sequence: UInt64, at: Timestamp, keeper: String, nodes: Int) {
        self.stream = stream
        self.created = created
        self.sequence = sequence
        self.at = at
        self.keeper = keeper
        self.nodes = nodes
    }

    /// Reads a checkpoint; `nil` when the text is none.
    init?(json text: [UInt8]) {
        guard let data = try? EventData(json: text), let stream = data["stream"]?.string,
            let sequence = data["sequence"]?.uint64, let at = data["at"]?.value.time
        else { return nil }
        self.init(
            stream: stream,
            created: data["stream_created"]?.value.time,
            sequence: sequence,
            at: at,
            keeper: data["keeper"]?.string ?? "",
            nodes: data["nodes"]?.int ?? 0
        )
    }

    /// The checkpoint as JSON.
    var json: [UInt8] {
        let data: EventData = [
            "stream": .string(stream), "stream_created": created.map { .time($0) } ?? .null,
            "sequence": JSONValue(sequence), "at": .time(at), "keeper": .string(keeper), "nodes": JSONValue(nodes),
        ]
        return Array(data.json.utf8)
    }

    /// What stands in the checkpoint's place until a keeper that began with nothing has saved all: it is no checkpoint.
    static func claim(of keeper: String) -> [UInt8] {
        let data: EventData = ["keeper": .string(keeper)]
        return Array(data.json.utf8)
    }

    /// Whether the entries say something about the events of a stream: it is the same one, and has not lost its newest
    /// messages.
    func holds(for state: StreamState) -> Bool {
        stream == state.name && created == state.created && sequence <= state.lastSequence
    }
}
