import Foundation
import MeshEvents
import NIOCore

/// A request to read a log: JSON on `mesh.logs.<node>`. Its reply subject gets the chunks.
struct LogRequest: Codable, Sendable, Hashable {
    /// The tool; `nil` for the node's own log.
    var tool: String?
    /// A text that names the reader: a second request of the same reader ends the first.
    var reader: String?
    /// The last so many that match; `nil` for all.
    var lines: Int?
    /// Only those of the last time, in seconds.
    var withinSeconds: Double?
    /// Only those that contain this text.
    var text: String?
    /// Only those of these streams: `stdout`, `stderr`, `node`; `nil` for all.
    var streams: [String]?
    /// Whether the reading goes on at the end of the log.
    var follow: Bool?
    /// Where to go on; then lines and time do not count.
    var after: Position?
    /// A text that the chunks repeat: the reader knows its own by it.
    var session: String?

    struct Position: Codable, Sendable, Hashable {
        var epoch: String
        var next: UInt64
    }

    enum CodingKeys: String, CodingKey {
        case tool, reader, lines, text, streams, follow, after, session
        case withinSeconds = "within_s"
    }

    /// The query.
    ///
    /// - Throws: `LogFailure` when a value is not possible.
    func query() throws(LogFailure) -> LogQuery {
        func invalid(_ what: String) -> LogFailure { LogFailure(code: .invalidRequest, message: what) }
        if let lines, !(0...LogQuery.maximumLines).contains(lines) {
            throw invalid("lines must be from 0 to \(LogQuery.maximumLines)")
        }
        if let withinSeconds, !(0...3_153_600_000).contains(withinSeconds) {
            throw invalid("within_s must be a number of seconds from 0 on")
        }
        if let text, text.utf8.count > LogQuery.maximumText {
            throw invalid("text must have at most \(LogQuery.maximumText) bytes")
        }
        if let after, after.next > LogMessage.maximumNumber || after.epoch.utf8.count > LogMessage.maximumName {
            throw invalid("after must have an epoch and the number of a record")
        }
        if let session, session.utf8.count > LogMessage.maximumName {
            throw invalid("session must have at most \(LogMessage.maximumName) bytes")
        }
        var query = LogQuery(lines: lines, within: withinSeconds.map { .seconds($0) }, text: text)
        if let streams {
            let known = streams.compactMap(LogRecord.Stream.init)
            guard known.count == streams.count, !known.isEmpty else {
                throw invalid(
                    "streams must be among \(LogRecord.Stream.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            query.streams = Set(known)
        }
        if after != nil { (query.lines, query.within) = (nil, nil) }
        return query
    }
}

/// A part of a log, or why there is none: JSON to the reader's subject. Its reply subject, below `mesh.logs.<node>`, gets
/// ``LogReceipt``s.
struct LogChunk: Codable, Sendable {
    struct Record: Codable, Sendable {
        /// Number, time, stream, line, and how many lines are missing.
        var n: UInt64
        var t: String
        var s: String
        var l: String
        var d: UInt64?
    }

    /// The number of the chunk, from 1, for each request.
    var chunk: UInt64?
    var epoch: String?
    /// The number of the record that came next before this chunk, and of that which comes next after it.
    var from: UInt64?
    var to: UInt64?
    /// How many records were removed from the log before the reader could get them.
    var missed: UInt64?
    /// Whether the log has begun anew.
    var anew: Bool?
    /// Whether this is the last chunk.
    var end: Bool?
    var records: [Record]?
    var error: LogFailure?
    /// The text of the request, and the name of the node.
    var session: String?
    var node: String?

    /// Whether all numbers are possible, and the name of the log is not too long.
    var isPossible: Bool {
        func isNumber(_ number: UInt64?) -> Bool { number ?? 0 <= LogMessage.maximumNumber }
        return [chunk, from, to, missed].allSatisfy(isNumber) && epoch?.utf8.count ?? 0 <= LogMessage.maximumName
            && (records ?? []).allSatisfy { isNumber($0.n) && isNumber($0.d) }
    }
}

/// What tells whose a chunk is, also of one that cannot be read otherwise.
struct LogChunkAddress: Codable, Sendable {
    var session: String?
    var node: String?
}

/// What the reader of a log says about the chunks.
struct LogReceipt: Codable, Sendable {
    /// The number of the last chunk that it has processed.
    var ack: UInt64?
    /// Whether it reads no more.
    var stop: Bool?
    /// The reader of the request: others can see the subject of receipts.
    var reader: String?
}

/// Why a node gives no log.
struct LogFailure: Error, Codable, Sendable, Hashable {
    enum Code: String, Codable, Sendable {
        case invalidRequest, notInstalled, notKept, busy
    }

    /// A ``Code``; of a later version another one.
    var code: String
    var message: String

    init(code: Code, message: String) {
        self.code = code.rawValue
        self.message = message
    }
}

extension UInt64 {
    /// Adds a number that others may have made up: the sum ends at the largest number.
    package mutating func addSaturating(_ other: UInt64) {
        let (sum, overflows) = addingReportingOverflow(other)
        self = overflows ? .max : sum
    }
}

/// Reads and writes messages about logs.
enum LogMessage {
    /// The largest number that is taken from others: sums of two are numbers, too.
    static let maximumNumber: UInt64 = 1 << 62
    /// The longest epoch, session or name of a reader, in bytes.
    static let maximumName = 64

    static func encode(_ message: some Encodable) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // All values have JSON: texts, numbers that are finite, booleans.
        return ByteBuffer(bytes: (try? encoder.encode(message)) ?? Data("{}".utf8))
    }

    static func decode<Message: Decodable>(_ payload: ByteBuffer, as type: Message.Type) -> Message? {
        try? JSONDecoder().decode(Message.self, from: Data(payload.readableBytesView))
    }
}
