public import MeshEvents

/// A line in the log of a tool or of a node.
public struct LogRecord: Sendable, Hashable {
    /// Who wrote a line.
    public enum Stream: String, Sendable, Hashable, CaseIterable {
        /// The tool, on standard output.
        case stdout
        /// The tool, on standard error.
        case stderr
        /// The node.
        case node
    }

    /// Its number in its log, from 1. Numbers go on when files are rotated and when the node starts anew.
    public var number: UInt64
    /// When the node got it, by the node's clock.
    public var time: Timestamp
    /// Who wrote it.
    public var stream: Stream
    /// The line, without its line break. It may hold any character, control characters too.
    public var line: String
    /// When the record says that lines are missing: how many. 0 otherwise.
    public var dropped: UInt64

    /// Creates a record.
    public init(number: UInt64, time: Timestamp, stream: Stream, line: String, dropped: UInt64 = 0) {
        self.number = number
        self.time = time
        self.stream = stream
        self.line = line
        self.dropped = dropped
    }
}

/// A place in a log.
public struct LogPosition: Sendable, Hashable {
    /// The log's own name. A log that begins anew, because its files are gone, has another one.
    public var epoch: String
    /// The number of the record that comes next.
    public var next: UInt64

    /// Creates a place.
    public init(epoch: String, next: UInt64) {
        self.epoch = epoch
        self.next = next
    }
}

/// Which records of a log are read.
public struct LogQuery: Sendable, Hashable {
    /// The most lines that can be asked for.
    public static let maximumLines = 100_000
    /// The longest text that can be searched for, in bytes.
    public static let maximumText = 1_024

    /// The last so many that match; `nil` for all. The default is 200.
    public var lines: Int?
    /// Only those of the last time; `nil` for all.
    public var within: Duration?
    /// Only those whose line contains this text; `nil` for all.
    public var text: String?
    /// Only those of these streams. Records about missing lines are always read.
    public var streams: Set<LogRecord.Stream>

    /// Creates a query.
    public init(
        lines: Int? = 200,
        within: Duration? = nil,
        text: String? = nil,
        streams: Set<LogRecord.Stream> = Set(LogRecord.Stream.allCases)
    ) {
        self.lines = lines.map { min(max($0, 0), Self.maximumLines) }
        self.within = within
        self.text = text
        self.streams = streams
    }
}
