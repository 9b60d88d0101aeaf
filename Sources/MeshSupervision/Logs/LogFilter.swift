import MeshEvents

/// Chooses the records of a query, and removes secrets from them.
///
/// The text is searched for in what the reader gets: otherwise a reader could guess secrets piece by piece.
struct LogFilter: Sendable {
    /// How many lines a block of a key has at most: those of a key of 16384 bits, and some of other writers between them.
    private static let longestBlock: UInt64 = 300

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

    /// Removes other secrets from now on.
    mutating func use(_ redaction: Redaction) { redactor?.redactions = [redaction] }

    /// Whether every record is chosen.
    var isOpen: Bool { since.isEmpty && text.isEmpty && streams.count == LogRecord.Stream.allCases.count }

    /// Reads what stands before a place: a block of a key may have begun there.
    mutating func approach(_ cursor: LogCursor) {
        guard redactor != nil, let place = cursor.position, place.next > 1 else { return }
        let start = place.next - min(place.next - 1, Self.longestBlock)
        var reader = LogCursor(
            directory: cursor.directory,
            at: LogPosition(epoch: place.epoch, next: start)
        )
        var isThere = false
        while !isThere {
            let step = reader.read { raw in
                isThere = raw.number >= place.next
                if !isThere { _ = redactor?.isWithinBlock(raw.line) }
                return !isThere
            }
            if step.isAtEnd || step.hasBegunAnew { return }
        }
    }

    /// The record for the reader; `nil` when it is not chosen.
    mutating func record(_ raw: RawLogRecord) -> LogRecord? {
        guard raw.isReadable, raw.dropped == 0 else { return isRecent(raw) ? raw.record : nil }
        // Before all else: a block of a key may span records that are not chosen.
        let isWithinBlock = redactor?.isWithinBlock(raw.line) ?? false
        guard streams.contains(raw.stream), isRecent(raw) else { return nil }
        var record = raw.record
        guard let redactor else { return contains(raw.line) ? record : nil }
        // Not before it is redacted, which takes its time: how long an answer takes would say what a secret begins with.
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
