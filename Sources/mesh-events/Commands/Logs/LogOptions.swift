import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshSupervision

/// The options that choose lines of a log, and how they are printed.
struct LogOptions: ParsableArguments {
    /// How many lines are shown when neither a number nor a time is given.
    static let standardLines = 200

    @Flag(name: [.customShort("f"), .customLong("follow")], help: "Go on with new lines, until Ctrl-C.")
    var follow = false

    @Option(help: ArgumentHelp("Show only lines of the last time: 90s, 10m, 2h30m.", valueName: "duration"))
    var since: String?

    @Option(
        help: ArgumentHelp(
            "Show the last so many lines. Default: \(standardLines); with --since all of that time.",
            valueName: "n"
        )
    )
    var lines: Int?

    @Option(help: ArgumentHelp("Show only lines that contain this text, secrets aside.", valueName: "text"))
    var grep: String?

    @Flag(help: "Print each line as a line of JSON.")
    var json = false

    /// The query.
    ///
    /// - Throws: `CommandFailure`, usage.
    func query(_ streams: Set<LogRecord.Stream>? = nil) throws -> LogQuery {
        let within = try DurationArgument.option("--since", since)
        if let lines, !(0...LogQuery.maximumLines).contains(lines) {
            throw CommandFailure(.usage, "--lines must be from 0 to \(LogQuery.maximumLines), not \(lines)")
        }
        if let grep, grep.isEmpty || grep.utf8.count > LogQuery.maximumText {
            throw CommandFailure(.usage, "--grep takes a text of 1 to \(LogQuery.maximumText) bytes")
        }
        var query = LogQuery(lines: lines ?? (within == nil ? Self.standardLines : nil), within: within, text: grep)
        if let streams { query.streams = streams }
        return query
    }

    /// Prints the log of a node or of a tool of it.
    func print(
        _ query: LogQuery,
        of tool: String?,
        on node: String,
        _ transport: NATSTransport,
        _ stop: StopRequest
    ) async throws {
        let logs = RemoteLogs(
            node: node,
            tool: tool,
            connection: transport.connection,
            matching: query,
            follows: follow
        )
        let output = LineOutput.standard(stop: stop)
        let formatter = LogFormatter(node: node, tool: tool, json: json)
        var isEmpty = true
        var missed = MissedLines()
        defer { missed.take().flatMap { formatter.note(.missed($0)) }.map(Diagnostics.say) }
        for try await piece in logs {
            if case .missed(let count) = piece {
                missed.count.addSaturating(count)
            } else {
                formatter.note(piece).map(Diagnostics.say)
            }
            missed.take(at: .now).flatMap { formatter.note(.missed($0)) }.map(Diagnostics.say)
            guard let line = formatter.line(piece) else { continue }
            isEmpty = false
            try output.write(line)
        }
        if isEmpty, !follow, !json {
            let all = query.text == nil && query.within == nil && query.streams.count == LogRecord.Stream.allCases.count
            Diagnostics.say(all ? "nothing is in that log yet" : "no line in that log matches")
        }
    }
}

/// Adds up the lines that were missed, so that they are told once a second: a reader that is slower than the tool misses
/// some again and again.
struct MissedLines {
    /// How many were missed that were not told of yet.
    var count: UInt64 = 0
    private var told: ContinuousClock.Instant?

    /// How many to tell of; `nil` for none.
    ///
    /// - Parameter now: the time; `nil` to tell of all in any case.
    mutating func take(at now: ContinuousClock.Instant? = nil) -> UInt64? {
        guard count > 0 else { return nil }
        if let now, let told, now - told < .seconds(1) { return nil }
        told = now
        defer { count = 0 }
        return count
    }
}

/// Writes pieces of a log as text or JSON.
struct LogFormatter {
    let node: String
    let tool: String?
    let json: Bool
    var terminal = Terminal.output
    var time = LocalTime()
    /// Whether colours are used; `nil` for what the terminal has.
    var isColored: Bool?

    /// The line for standard output; `nil` for none.
    func line(_ piece: RemoteLogs.Element) -> String? {
        guard !json else { return object(piece).map { terminal.safe(json: EventData(JSONObject($0)).json) } }
        guard case .record(let record) = piece else { return nil }
        let text = SafeText.escaped(record.line.replacing("\t", with: "    "))
        let style: Style = record.dropped > 0 ? .yellow : record.stream == .stderr ? .red : .plain
        let when = time.text(record.time)
        // In the node's own log all lines are of the node.
        let stream = tool == nil && record.stream == .node ? "" : Self.word(record.stream) + " "
        guard isColored ?? terminal.usesColor() else { return "\(when) \(stream)\(text)" }
        return Style.dim.apply(to: "\(when) \(stream)") + style.apply(to: text)
    }

    /// What standard error says; `nil` for nothing.
    func note(_ piece: RemoteLogs.Element) -> String? {
        switch piece {
        case .record: nil
        case .missed(let count):
            "\(count) \(count == 1 ? "line was" : "lines were") removed from the log before this reader could get "
                + "\(count == 1 ? "it" : "them")"
        case .begunAnew: "the log begins anew: what was in it before is gone"
        case .away(let reason): "\(reason); waiting for it"
        case .back: "node \(SafeText.name(node)) answers again"
        }
    }

    private static func word(_ stream: LogRecord.Stream) -> String {
        switch stream {
        case .stdout: "out "
        case .stderr: "err "
        case .node: "node"
        }
    }

    private func object(_ piece: RemoteLogs.Element) -> [(String, JSONValue)]? {
        var members: [(String, JSONValue)] = [("node", .string(node)), ("tool", tool.map { .string($0) } ?? .null)]
        switch piece {
        case .record(let record):
            members += [
                ("number", JSONValue(record.number)), ("time", .string(record.time.description)),
                ("stream", .string(record.stream.rawValue)), ("line", .string(record.line)),
            ]
            if record.dropped > 0 { members.append(("dropped", JSONValue(record.dropped))) }
        case .missed(let count): members.append(("missed", JSONValue(count)))
        case .begunAnew: members.append(("begun_anew", true))
        case .away, .back: return nil
        }
        return members
    }
}

/// Finds the node that is meant when none is named.
enum NodeOfTool {
    /// The only node that has a tool of this name, by the stored events.
    ///
    /// - Throws: `CommandFailure` when there is none, or there are several.
    static func find(
        _ tool: String,
        _ connection: ConnectionOptions,
        _ transport: NATSTransport,
        _ verification: SignatureVerification?
    ) async throws -> String {
        let mesh = try await connection.mesh(transport, verification)
        let names = try all(tool, in: mesh)
        guard names.count == 1 else {
            let list = names.map(SafeText.name).joined(separator: ", ")
            throw CommandFailure(.usage, "\(names.count) nodes have that tool (\(list)); say which with --node")
        }
        return names[0]
    }

    /// All nodes that have a tool of this name, sorted by name.
    ///
    /// - Throws: `CommandFailure` when there is none.
    static func all(_ tool: String, in mesh: MeshState) throws -> [String] {
        let nodes = mesh.nodes.filter { node in
            node.status != .left && mesh.tools(on: node.name).contains { $0.name == tool && $0.state != .removed }
        }
        guard !nodes.isEmpty else {
            let names = mesh.nodes.flatMap { mesh.tools(on: $0.name) }.filter { $0.state != .removed }.map(\.name)
            let advice =
                ToolSpecification.instances(of: tool, among: names).map { "there are \(SafeText.escaped($0))" }
                ?? "`mesh-events status` shows what there is"
            let quoted = SafeText.escaped(tool.debugDescription, columns: SafeText.longestName)
            throw CommandFailure(.unavailable, "no node in the mesh has a tool \(quoted); \(advice)")
        }
        return nodes.map(\.name).sorted()
    }
}
