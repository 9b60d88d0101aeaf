import MeshEvents
import Synchronization

/// Emits the events of a file, in order, many at a time, each acknowledged.
struct FileEmission {
    private let bus: PersistentEventBus
    private let format: LineFormat
    private let progress: ProgressLine
    private let counter = Counter()

    init(bus: PersistentEventBus, format: LineFormat = .json, progress: ProgressLine = ProgressLine()) {
        self.bus = bus
        self.format = format
        self.progress = progress
    }

    /// Emits every line; returns when all are stored.
    ///
    /// - Throws: `CommandFailure` with the number of the first line that was not stored; those before it are.
    func run(_ reader: LineReader) async throws {
        let numbers = LineNumbers()
        let (counter, progress) = (counter, progress)
        // In a separate task, so that a halted terminal does not delay the work.
        let display = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(100))
                progress.show(stored: counter.count)
            }
        }
        defer {
            display.cancel()
            progress.finish(stored: counter.count)
        }
        do {
            try await bus.emit(contentsOf: EventLines(reader: reader, numbers: numbers, format: format)) { _, _ in
                counter.increment()
            }
        } catch {
            throw failure(error, numbers).suffixed("; \(summary)\(Self.unknown(error))")
        }
    }

    private func failure(_ error: any Error, _ numbers: LineNumbers) -> CommandFailure {
        guard let error = error as? BatchEmitError else { return CommandFailure(describing: error) }
        let failure = CommandFailure(describing: error.cause)
        guard let line = numbers.line(of: error.unconfirmed.first ?? error.sent) else { return failure }
        return failure.prefixed("line \(line): ")
    }

    /// A text about events that were sent but neither acknowledged nor refused.
    private static func unknown(_ error: any Error) -> String {
        switch (error as? BatchEmitError)?.unconfirmed.count ?? 0 {
        case 0: ""
        case 1: ", 1 more may be: its acknowledgement has not arrived"
        case let count: ", \(count) more may be: their acknowledgements have not arrived"
        }
    }

    private var summary: String {
        switch counter.count {
        case 0: "nothing was stored"
        case 1: "1 event was stored"
        case let count: "\(count) events were stored"
        }
    }

    /// Counts stored events, from the store's threads.
    private final class Counter: Sendable {
        private let stored = Atomic(0)

        var count: Int { stored.load(ordering: .relaxed) }

        func increment() { stored.wrappingAdd(1, ordering: .relaxed) }
    }
}
