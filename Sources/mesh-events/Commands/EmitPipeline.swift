import MeshEvents

/// Emits the lines of a file, many at a time, each acknowledged.
///
/// An actor, because its tasks start in the order they were made: a line's event is on its way before the next line's.
actor EmitPipeline {
    /// How many events may wait for their acknowledgement.
    private static let window = 1024

    private let bus: PersistentEventBus
    private var progress = ProgressLine()
    private var stored = 0
    private var inFlight = 0
    private var failed: (line: Int, failure: CommandFailure)?
    private var waiter: CheckedContinuation<Void, Never>?

    init(bus: PersistentEventBus) { self.bus = bus }

    /// Emits every line; returns when all are stored.
    ///
    /// - Throws: `CommandFailure` with the number of the first line that was not stored; those before it are.
    func run(_ reader: LineReader) async throws {
        var reader = reader
        do {
            while failed == nil, let line = try await reader.next() { await submit(line) }
        } catch {
            await settle(below: 1)
            progress.finish(stored: stored)
            throw CommandFailure(describing: error).suffixed("; \(summary)")
        }
        await settle(below: 1)
        progress.finish(stored: stored)
        guard let failed else { return }
        throw failed.failure.prefixed("line \(failed.line): ").suffixed("; \(summary)")
    }

    private var summary: String {
        switch stored {
        case 0: "nothing was stored"
        case 1: "1 event was stored"
        default: "\(stored) events were stored"
        }
    }

    private func submit(_ line: LineReader.Line) async {
        let event: Event
        do {
            event = try EventLine.parse(line.bytes)
        } catch {
            // Whatever rule the line breaks, it is the data that is bad.
            fail(line.number, CommandFailure(.badData, error.message))
            return
        }
        await settle(below: Self.window)
        guard failed == nil else { return }
        inFlight += 1
        Task { await emit(event, line.number) }
    }

    private func emit(_ event: Event, _ line: Int) async {
        do {
            try await bus.emit(event)
            stored += 1
        } catch {
            fail(line, CommandFailure(describing: error))
        }
        inFlight -= 1
        progress.show(stored: stored)
        if let waiter {
            self.waiter = nil
            waiter.resume()
        }
    }

    private func fail(_ line: Int, _ failure: CommandFailure) {
        if let failed, failed.line < line { return }
        failed = (line, failure)
    }

    /// Waits until fewer than `limit` events wait for their acknowledgement.
    private func settle(below limit: Int) async {
        while inFlight >= limit { await withCheckedContinuation { waiter = $0 } }
    }
}
