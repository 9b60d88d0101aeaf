import MeshEvents
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
