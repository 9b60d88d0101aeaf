import MeshConcurrency
import MeshEvents

/// The log of a tool or a node: written by this process, and read by any.
final class LogRing: Sendable {
    private struct State: Sendable {
        var writer: LogRingWriter
        /// Those who wait for records.
        var watchers: [UInt64: Wake] = [:]
        var lastWatcher: UInt64 = 0
    }

    let directory: String
    private let state: Locked<State>
    /// Whether this process may write; says why not.
    private let mayWrite: @Sendable () -> String?
    private let onTrouble: @Sendable (LogRingWriter.Trouble) -> Void

    /// - Parameter onTrouble: is called when records cannot be written, and when they can be again.
    init(
        directory: String,
        settings: ToolLogSettings = ToolLogSettings(),
        mayWrite: @escaping @Sendable () -> String? = { nil },
        onTrouble: @escaping @Sendable (LogRingWriter.Trouble) -> Void = { _ in }
    ) {
        self.directory = directory
        self.mayWrite = mayWrite
        self.onTrouble = onTrouble
        state = Locked(State(writer: LogRingWriter(directory: directory, settings: settings)))
    }

    deinit { state.withLock { $0.writer.close() } }

    /// How many lines are missing that no record tells of yet.
    var missing: UInt64 { state.withLock { $0.writer.missing } }

    /// Changes the number and the size of the files, from the next one on.
    func change(_ settings: ToolLogSettings) { state.withLock { $0.writer.settings = settings } }

    /// Writes lines, all with the same time.
    func append(_ entries: some Sequence<LogEntry>, at time: Timestamp = .now, now: ContinuousClock.Instant = .now) {
        let refusal = mayWrite()
        let (trouble, watchers) = state.withLock { state in
            (state.writer.append(entries, at: time, now: now, refusal: refusal), Array(state.watchers.values))
        }
        for watcher in watchers { watcher.send() }
        if let trouble { onTrouble(trouble) }
    }

    /// Writes a line.
    func append(_ line: String, _ stream: LogRecord.Stream = .node) {
        append(CollectionOfOne(LogEntry(stream: stream, line: line)))
    }

    /// Closes the file until the next line.
    func close() { state.withLock { $0.writer.close() } }

    /// Wakes a task, while `body` runs, when there are new records.
    func waking<Output>(_ wake: Wake, _ body: () async -> Output) async -> Output {
        let id = state.withLock { state in
            state.lastWatcher += 1
            state.watchers[state.lastWatcher] = wake
            return state.lastWatcher
        }
        defer { state.withLock { $0.watchers[id] = nil } }
        return await body()
    }
}
