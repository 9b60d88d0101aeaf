public import MeshEvents

/// Reads the logs of tools for the page: a port, since the page knows no connection.
public protocol LogSource: Sendable {
    /// Whether logs may be read, as far as that is known: the page then offers them.
    var isAllowed: Bool { get }

    /// Reads a part of a log.
    ///
    /// - Throws: what reading throws: `permissionDenied`, `noResponders`, `serverRefused`, `timeout` …
    func page(_ query: LogPageQuery) async throws(MeshEventsError) -> LogPageAnswer
}

/// Which part of a log the page asks for.
public struct LogPageQuery: Sendable {
    /// The node.
    public var node: String
    /// The tool.
    public var tool: String
    /// Only lines that contain this text; `nil` for all.
    public var text: String?
    /// Whether only lines of standard error are wanted.
    public var standardErrorOnly: Bool
    /// How many of the last lines; does not count with `after`.
    public var lines: Int
    /// The log's epoch and the number of the record from which on it is read; `nil` for the last lines.
    public var after: (epoch: String, next: UInt64)?

    /// Creates a query.
    public init(
        node: String,
        tool: String,
        text: String? = nil,
        standardErrorOnly: Bool = false,
        lines: Int = 200,
        after: (epoch: String, next: UInt64)? = nil
    ) {
        self.node = node
        self.tool = tool
        self.text = text
        self.standardErrorOnly = standardErrorOnly
        self.lines = lines
        self.after = after
    }
}

/// A part of a log.
public struct LogPageAnswer: Sendable {
    /// A line.
    public struct Line: Sendable, Hashable {
        /// Its number in the log.
        public var number: UInt64
        /// When it was written.
        public var time: Timestamp
        /// `stdout`, `stderr` or `node`.
        public var stream: String
        /// The text.
        public var text: String

        /// Creates a line.
        public init(number: UInt64, time: Timestamp, stream: String, text: String) {
            self.number = number
            self.time = time
            self.stream = stream
            self.text = text
        }
    }

    /// The lines, oldest first.
    public var lines: [Line]
    /// How many records were removed before they could be read.
    public var missed: UInt64
    /// Whether the log has begun anew.
    public var hasBegunAnew: Bool
    /// Where the next part begins; `nil` while there is no log.
    public var next: (epoch: String, next: UInt64)?

    /// Creates an answer.
    public init(lines: [Line], missed: UInt64, hasBegunAnew: Bool, next: (epoch: String, next: UInt64)?) {
        self.lines = lines
        self.missed = missed
        self.hasBegunAnew = hasBegunAnew
        self.next = next
    }

    /// The answer as JSON.
    var json: EventData {
        let lines: [JSONValue] = lines.map { line in
            [
                "number": JSONValue(line.number), "time": .string(line.time.description),
                "stream": .string(line.stream),
                "line": .string(line.text),
            ]
        }
        return [
            "begun_anew": .bool(hasBegunAnew), "lines": .array(lines), "missed": JSONValue(missed),
            "next": next.map { .string("\($0.epoch).\($0.next)") } ?? .null,
        ]
    }
}
