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
/// The files outlive the node. Only their owner can read them: they hold what the tools wrote, secrets too. A record
/// costs less than a microsecond, and each read of a tool's output one write. What a full disk or a missing directory
/// keeps from being written is counted; it stops no tool.
public final class ToolLogs: Sendable {
    /// Where the logs of this node are: `tools/<tool>` and `node`.
    public let directory: String
    private let logger: Logger
    private let rings = Locked<[String: LogRing]>([:])
    private let lock: DirectoryLock

    /// Names the place of the logs. It is made when the first line is written.
    ///
    /// - Parameters:
    ///   - directory: where the nodes of this machine keep logs; each has a directory in it.
    ///   - node: the node's name.
    ///   - logger: gets a warning when a log cannot be written.
    public init(directory: String, node: String, logger: Logger) {
        self.directory = "\(directory)/\(Self.name(ofNode: node))"
        self.logger = logger
        lock = DirectoryLock(self.directory)
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
    public func records(matching query: LogQuery = LogQuery()) -> [LogRecord] { Self.records(in: nodeDirectory, query) }

    /// Adds a line to the node's own log.
    public func append(_ line: String) { node.append(line) }

    /// Closes all files, for good: another process may write them then. What is written later is lost.
    public func close() {
        for ring in rings.withLock({ Array($0.values) }) { ring.close() }
        lock.release()
    }

    /// The node's own log.
    var node: LogRing { ring("", nodeDirectory, of: nil) }

    /// The log of a tool.
    func ring(ofTool tool: String) -> LogRing { ring(tool, directory(ofTool: tool), of: tool) }

    /// Whether there is a log of a tool.
    func hasLog(ofTool tool: String) -> Bool { !LogSegment.all(in: directory(ofTool: tool)).isEmpty }

    private var nodeDirectory: String { directory + "/node" }

    private func directory(ofTool tool: String) -> String { "\(directory)/tools/\(tool)" }

    private func ring(_ key: String, _ directory: String, of tool: String?) -> LogRing {
        rings.withLock { rings in
            if let ring = rings[key] { return ring }
            let (logger, lock) = (logger, lock)
            let ring = LogRing(directory: directory, mayWrite: { lock.refusal }) { trouble in
                let what = tool.map { "the output of tool \($0)" } ?? "the node's log"
                switch trouble {
                case .begins(let reason): logger.warning("\(what) is not kept: \(reason)")
                case .ends(let missing): logger.warning("\(what) is kept again; \(missing) lines are missing")
                }
            }
            rings[key] = ring
            return ring
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
