import MeshEvents

/// Writes events as lines for programs.
enum EventText {
    case wire(EventJSON)
    case cloudEvents(CloudEventText)

    /// - Parameter marks: whether each line has the result of the event's signature check.
    init(_ format: LineFormat, isForTerminal: Bool, marks: Bool = false) {
        switch format {
        case .json: self = .wire(EventJSON(isForTerminal: isForTerminal, marks: marks))
        case .cloudevents: self = .cloudEvents(CloudEventText(isForTerminal: isForTerminal, marks: marks))
        }
    }

    /// One event.
    func line(_ event: Event) throws -> String {
        switch self {
        case .wire(let json): try json.line(event)
        case .cloudEvents(let text): try text.line(event)
        }
    }

    /// One event of the stream.
    func line(_ stored: StoredEvent) throws -> String {
        switch self {
        case .wire(let json): try json.line(stored)
        case .cloudEvents(let text): try text.line(stored)
        }
    }
}
