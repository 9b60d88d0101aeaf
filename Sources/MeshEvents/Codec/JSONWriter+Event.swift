import MeshJSON

extension JSONWriter.Problem {
    /// What is wrong with the data, and what to do.
    var message: String { "the data cannot be sent: \(reason)" }

    private var reason: String {
        switch self {
        case .notFinite: "JSON has no NaN and no infinity; use null or a string"
        case .beyondDouble: JSONNumber.beyondDouble
        case .tooDeep: "deeper than \(JSONWriter.maximumDepth) levels"
        case .invalidMember: "a member holds invalid data"
        }
    }
}

extension JSONWriter {
    /// Writes an event's data as its text stands; reports invalid data and too deep nesting.
    mutating func write(_ data: EventData) {
        guard data.isValid else { return report(.invalidMember) }
        data.withBytes { write(json: $0, levels: data.depth) }
    }

    /// Writes the text between the braces of an object, which must have members.
    mutating func write(membersOf data: EventData) {
        data.withBytes { write(json: UnsafeBufferPointer(rebasing: $0.dropFirst().dropLast()), levels: data.depth - 1) }
    }

    /// Writes a time, without quotes.
    @inline(__always)
    mutating func timestamp(_ timestamp: Timestamp) {
        if capacity &- count >= Timestamp.maximumLength, let base {
            advance(timestamp.write(to: base + count))
        } else {
            timestamp.description.withBytes { write($0) }
        }
    }
}
