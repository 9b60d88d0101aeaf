package import MeshEvents

/// A position in a stream up to which something saved is complete: all that follows from its events up to there is in it.
package struct SavedPosition: Sendable, Equatable {
    /// The stream's name.
    package var stream: String
    /// When the stream was created; `nil` when its store cannot tell.
    package var created: Timestamp?
    /// The last sequence that counts.
    package var sequence: UInt64

    package init(stream: String, created: Timestamp?, sequence: UInt64) {
        self.stream = stream
        self.created = created
        self.sequence = sequence
    }

    /// Reads the members of an object that say it; `nil` when they do not.
    package init?(_ json: JSONValue) {
        guard let stream = json["stream"]?.string, let sequence = json["sequence"]?.number?.uint64 else { return nil }
        self.init(stream: stream, created: json["stream_created"]?.time, sequence: sequence)
    }

    /// The members of an object that say it.
    package var members: [(String, JSONValue)] {
        [
            ("stream", .string(stream)), ("stream_created", created.map { .time($0) } ?? .null),
            ("sequence", JSONValue(sequence)),
        ]
    }

    /// Whether it says something about the events of a stream: it is the same one, and has not lost its newest messages.
    package func holds(for state: StreamState) -> Bool {
        stream == state.name && created == state.created && sequence <= state.lastSequence
    }
}
