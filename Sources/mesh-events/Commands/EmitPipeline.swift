import MeshEvents
import Synchronization

/// Emits the lines of a file, many at a time, in order, each acknowledged.
struct EmitPipeline {
    let bus: PersistentEventBus

    /// Emits every line; returns when all are stored.
    ///
    /// - Throws: `CommandFailure` with the number of the first line that was not stored; those before it are.
    func run(_ reader: LineReader) async throws {
        let lines = EventLines(reader)
        let progress = StoredCount()
        defer { progress.finish() }
        do {
            try await bus.emit(contentsOf: lines) { _, _ in progress.add() }
        } catch let error as BatchEmitError {
            throw CommandFailure(describing: error.cause)
                .prefixed("line \(lines.numbers.line(of: error.firstNotStored)): ")
                .suffixed("; \(progress.summary)")
        } catch {
            throw CommandFailure(describing: error).suffixed("; \(progress.summary)")
        }
    }
}

/// The events of a file's lines.
private struct EventLines: AsyncSequence {
    /// Which line each event was on.
    final class Numbers: Sendable {
        private let lines = Mutex<[Int]>([])

        func append(_ line: Int) { lines.withLock { $0.append(line) } }

        func line(of index: Int) -> Int { lines.withLock { index < $0.count ? $0[index] : ($0.last ?? 0) + 1 } }
    }

    let numbers = Numbers()
    private let reader: LineReader

    init(_ reader: LineReader) { self.reader = reader }

    func makeAsyncIterator() -> Iterator { Iterator(reader: reader, numbers: numbers) }

    struct Iterator: AsyncIteratorProtocol {
        fileprivate var reader: LineReader
        fileprivate let numbers: Numbers

        mutating func next() async throws -> Event? {
            guard let line = try await reader.next() else { return nil }
            do throws(MeshEventsError) {
                let event = try EventLine.parse(line.bytes)
                numbers.append(line.number)
                return event
            } catch {
                // Whatever rule the line breaks, it is the data that is bad.
                throw CommandFailure(.badData, "line \(line.number): \(error.message)")
            }
        }
    }
}

/// How many events are stored, counted on the connection's thread and shown on a terminal.
private final class StoredCount: Sendable {
    private let state = Mutex((count: 0, line: ProgressLine()))

    func add() {
        state.withLock { state in
            state.count += 1
            state.line.show(stored: state.count)
        }
    }

    func finish() { state.withLock { $0.line.finish(stored: $0.count) } }

    var summary: String {
        switch state.withLock({ $0.count }) {
        case 0: "nothing was stored"
        case 1: "1 event was stored"
        case let count: "\(count) events were stored"
        }
    }
}
