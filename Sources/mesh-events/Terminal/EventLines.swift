import MeshEvents
import MeshEventsInterop
import Synchronization

/// The events of a file of NDJSON, read one by one on demand; at a bad line it throws a `CommandFailure` with the
/// line's number.
struct EventLines: AsyncSequence {
    let reader: LineReader
    let numbers: LineNumbers
    var format = LineFormat.json

    func makeAsyncIterator() -> Iterator { Iterator(reader: reader, numbers: numbers, format: format) }

    struct Iterator: AsyncIteratorProtocol {
        fileprivate var reader: LineReader
        fileprivate let numbers: LineNumbers
        fileprivate let format: LineFormat

        mutating func next() async throws -> Event? {
            guard let line = try await reader.next() else { return nil }
            do throws(MeshEventsError) {
                let event =
                    switch format {
                    case .json: try EventLine.parse(line.bytes)
                    case .cloudevents: try CloudEventLine.parse(line.bytes).event()
                    }
                numbers.append(line.number)
                return event
            } catch {
                // All errors of a line count as bad data.
                throw CommandFailure(.badData, "line \(line.number): \(error.message)")
            }
        }
    }
}

/// The line number of each event; it stores only the places where lines were skipped.
final class LineNumbers: Sendable {
    private struct State {
        var count = 0
        /// From the event `index` on, the line's number is the event's index plus `offset`.
        var offsets: [(index: Int, offset: Int)] = []
    }

    private let state = Mutex(State())

    /// Notes the line of the next event.
    func append(_ line: Int) {
        state.withLock { state in
            let offset = line - state.count
            if state.offsets.last?.offset != offset { state.offsets.append((state.count, offset)) }
            state.count += 1
        }
    }

    /// The line of an event, by its index from 0; `nil` when it was not read.
    func line(of index: Int) -> Int? {
        state.withLock { state in
            guard index < state.count else { return nil }
            return state.offsets.last { $0.index <= index }.map { index + $0.offset }
        }
    }
}

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
        return Event(try PatternArgument.type(typeText), node: node, data: data)
    }

    private static func invalid(_ message: String) -> MeshEventsError { MeshEventsError(.invalidData, message) }
}

/// Parses a line of CloudEvents 1.0, structured mode.
enum CloudEventLine {
    /// The CloudEvent.
    ///
    /// - Throws: `MeshEventsError`; its message says what is wrong with the line.
    static func parse(_ bytes: some Collection<UInt8>) throws(MeshEventsError) -> CloudEvent {
        if bytes.first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "[") {
            throw MeshEventsError(.invalidData, "it is a batch; give one CloudEvent a line, e.g. by `jq -c '.[]'`")
        }
        return try CloudEvent(json: bytes)
    }
}
