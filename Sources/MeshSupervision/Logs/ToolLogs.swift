public import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The logs of a node and its tools, in files: for each a ring in a directory of its own.
///
/// ```swift
/// let logs = ToolLogs(directory: "/var/lib/mesh/logs", node: "atelier", logger: logger)
/// let supervisor = ToolSupervisor(environment: environment, logger: logger, logs: logs) { bus.emit($0) }
/// for record in logs.records(ofTool: "whisper", matching: LogQuery(lines: 20)) {
///     print(record.time, record.line)
/// }
/// ```
///
/// The files outlive the node. They outlive their tool, too: of the tools that were removed, the files of those 32 stay that
/// wrote last. Only their owner can read them: they hold what the tools wrote, secrets too. A record costs less than a
/// microsecond, and each read of a tool's output one write. What a full disk or a missing directory keeps from being
/// written is counted; it stops no tool.
public final class ToolLogs: Sendable {
    /// A ring lives as long as a tool writes it or a reader waits for it.
    private struct Reference: Sendable { weak var ring: LogRing? }

    /// Where the logs of this node are: `tools/<tool>` and `node`.
    public let directory: String
    private let logger: Logger
    private let rings = Locked<[String: Reference]>([:])
    private let removed: RemovedLogs
    private let lock: DirectoryLock
    /// The node's own log.
    let node: LogRing

    /// Names the place of the logs. It is made when the first line is written.
    ///
    /// - Parameters:
    ///   - directory: where the nodes of this machine keep logs; each has a directory in it.
    ///   - node: the node's name.
    ///   - logger: gets a warning when a log cannot be written.
    public init(directory: String, node: String, logger: Logger) {
        let directory = "\(directory)/\(Self.name(ofNode: node))"
        self.directory = directory
        self.logger = logger
        removed = RemovedLogs(directory: "\(directory)/tools")
        lock = DirectoryLock(directory)
        self.node = Self.makeRing("\(directory)/node", "the node's log", logger, lock)
    }

    /// The records of a tool's log that match, oldest first; none when there is no log.
    ///
    /// Reads the whole log: call it outside of event loops.
    public func records(ofTool tool: String, matching query: LogQuery = LogQuery()) -> [LogRecord] {
        guard ToolSpecification.problem(inName: tool) == nil else { return [] }
        return Self.records(in: directory(ofTool: tool), query)
    }

    /// The node's own log lines that match, oldest first.
    ///
    /// Reads the whole log: call it outside of event loops.
    public func records(matching query: LogQuery = LogQuery()) -> [LogRecord] {
        Self.records(in: node.directory, query)
    }

    /// Adds a line to the node's own log.
    public func append(_ line: String) { node.append(line) }

    /// Closes all files, for good: another process may write them then. What is written later is lost.
    public func close() {
        for ring in rings.withLock({ $0.values.compactMap(\.ring) }) + [node] { ring.close() }
        lock.release()
    }

    /// The log of a tool.
    func ring(ofTool tool: String) -> LogRing {
        rings.withLock { rings in
            if let ring = rings[tool]?.ring { return ring }
            let ring = Self.makeRing(directory(ofTool: tool), "the output of tool \(tool)", logger, lock)
            rings = rings.filter { $0.value.ring != nil }
            rings[tool] = Reference(ring: ring)
            return ring
        }
    }

    /// Notes that a tool is installed: it goes on with the log that it had.
    func install(_ tool: String) { removed.take(tool) }

    /// Notes that a tool is removed: its file is closed, and its log counts as one of a removed tool. Who reads it goes on.
    func remove(_ tool: String) {
        rings.withLock { $0[tool]?.ring }?.close()
        if hasLog(ofTool: tool), lock.refusal == nil { removed.add([tool]) }
    }

    /// Notes which tools are installed, all of them: other logs count as those of removed tools, for example of tools that
    /// went out of the manifest while the node did not run.
    package func removeAll(but installed: Set<String>) {
        if lock.refusal == nil { removed.addAll(but: installed) }
    }

    /// Whether there is a log of a tool.
    func hasLog(ofTool tool: String) -> Bool { !LogSegment.all(in: directory(ofTool: tool)).isEmpty }

    private func directory(ofTool tool: String) -> String { "\(directory)/tools/\(tool)" }

    private static func makeRing(
        _ directory: String,
        _ what: String,
        _ logger: Logger,
        _ lock: DirectoryLock
    ) -> LogRing {
        LogRing(directory: directory, mayWrite: { lock.refusal }) { trouble in
            switch trouble {
            case .begins(let reason): logger.warning("\(what) is not kept: \(reason)")
            case .ends(let missing): logger.warning("\(what) is kept again; \(missing) lines are missing")
            }
        }
    }

    private static func records(in directory: String, _ query: LogQuery) -> [LogRecord] {
        var filter = LogFilter(query, now: .now, redaction: nil)
        var cursor = LogCursor(directory: directory)
        let limit = query.lines ?? .max
        var records: [LogRecord] = []
        var isAtEnd = false
        while !isAtEnd {
            isAtEnd =
                cursor.read { raw in
                    if let record = filter.record(raw) { records.append(record) }
                    return true
                }.isAtEnd
            // Seldom, because it moves the others.
            if isAtEnd ? records.count > limit : records.count / 2 > limit {
                records.removeFirst(records.count - limit)
            }
        }
        return records
    }

    /// A node's name as that of a directory: its letters, digits and `-`, other bytes as `_` and two hexadecimal digits.
    private static func name(ofNode node: String) -> String {
        let token = ControlSubject.token(of: node)
        guard token.utf8.count > 200 else { return token }
        // FNV-1a: two long names that begin alike have different directories.
        let hash = token.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return "\(token.prefix(180))_\(String(hash, radix: 16))"
    }
}

/// Lets one process at a time write the logs of a node.
private final class DirectoryLock: Sendable {
    private struct State {
        var file: Int32 = -1
        var refusal: String?
        var tried: ContinuousClock.Instant?
        var isReleased = false
    }

    private let directory: String
    private let state = Locked(State())

    init(_ directory: String) { self.directory = directory }

    deinit { release() }

    /// Lets others write, for good.
    func release() {
        state.withLock { state in
            if state.file >= 0 { close(state.file) }
            (state.file, state.isReleased) = (-1, true)
        }
    }

    /// Why this process may not write; `nil` when it may.
    var refusal: String? {
        state.withLock { state in
            if state.file >= 0 { return nil }
            if state.isReleased { return "the logs were closed" }
            if let tried = state.tried, .now - tried < .seconds(1) { return state.refusal }
            state.tried = .now
            state.refusal = LogDirectory.make(directory)
            if state.refusal != nil { return state.refusal }
            let file = open("\(directory)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard file >= 0 else {
                state.refusal = "\(directory)/lock: \(String(cString: strerror(errno)))"
                return state.refusal
            }
            guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
                close(file)
                state.refusal = "another process writes the logs in \(directory)"
                return state.refusal
            }
            state.file = file
            return nil
        }
    }
}
