import MeshEvents

/// Chooses the records of a query, and removes secrets from them.
///
/// The text is searched for in what the reader gets: otherwise a reader could guess secrets piece by piece.
struct LogFilter: Sendable {
    private let since: [UInt8]
    private let text: [UInt8]
    private let streams: Set<LogRecord.Stream>
    private var redactor: LineRedactor?

    /// - Parameters:
    ///   - now: the end of the time that the query is about.
    ///   - redaction: removes secrets; `nil` for none.
    init(_ query: LogQuery, now: Timestamp, redaction: Redaction?) {
        since = query.within.map { LogTimeWriter.text(now.subtracting($0)) } ?? []
        text = Array((query.text ?? "").utf8)
        streams = query.streams
        redactor = redaction.map { LineRedactor([$0]) }
    }

    /// Whether every record is chosen.
    var isOpen: Bool { since.isEmpty && text.isEmpty && streams.count == LogRecord.Stream.allCases.count }

    /// The record for the reader; `nil` when it is not chosen.
    mutating func record(_ raw: RawLogRecord) -> LogRecord? {
        guard raw.isReadable, raw.dropped == 0 else { return isRecent(raw) ? raw.record : nil }
        // Before all else: a block of a key may span records that are not chosen.
        let isWithinBlock = redactor?.isWithinBlock(raw.line) ?? false
        guard streams.contains(raw.stream), isRecent(raw), contains(raw.line) else { return nil }
        var record = raw.record
        guard let redactor else { return record }
        record.line = redactor.redact(record.line, isWithinBlock: isWithinBlock)
        return record.line.withUTF8 { contains(UnsafeRawBufferPointer($0)) } ? record : nil
    }

    private func isRecent(_ raw: RawLogRecord) -> Bool {
        guard !since.isEmpty, raw.isReadable else { return true }
        return !raw.time.lexicographicallyPrecedes(since)
    }

    private func contains(_ line: UnsafeRawBufferPointer) -> Bool {
        text.isEmpty || text.withUnsafeBytes { line.contains($0) }
    }
}
