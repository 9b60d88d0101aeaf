import HTTPTypes
import HummingbirdCore
import MeshEvents
import MeshLogging
import NIOCore

/// Writes the stored events that match a filter, the newest first, page by page: what is in memory is bounded, however many
/// events there are.
///
/// How much one export may have is bounded, too. One that ends at such a bound says so in its last line, and where to go on.
/// One that fails on its way ends without the end of the body, which clients report as a failed download.
struct EventExport: Sendable {
    /// How the events are written.
    enum Format: String, Sendable, CaseIterable {
        case csv, ndjson

        fileprivate var mediaType: String {
            switch self {
            case .csv: "text/csv; charset=utf-8; header=present"
            case .ndjson: "application/x-ndjson; charset=utf-8"
            }
        }
    }

    /// How much one export may have.
    struct Bounds: Sendable {
        /// How many events.
        var events = 100_000
        /// How many bytes.
        var bytes = 64 << 20
        /// How long it may take. A slow client takes less in it.
        var time: Duration = .seconds(600)

        static let standard = Bounds()
    }

    /// The pages to write: the first one, and what reads the others.
    struct Pages: Sendable {
        fileprivate var reader: PageReader
        fileprivate var first: EventHistory.Page?
    }

    /// How many bytes are passed to the connection at once.
    private static let partSize = 64 << 10

    let format: Format
    /// Whether events are marked by their signatures.
    let marks: Bool
    var filter = PageFilter()
    /// The times and positions between which the events are; the limit does not count.
    var range = EventSearch.Bounds()
    /// How many events are wanted; `nil` for all.
    var limit: Int?
    var bounds = Bounds.standard

    init(format: Format, marks: Bool) {
        self.format = format
        self.marks = marks
    }

    /// The header fields of the answer.
    func headers(at now: Timestamp) -> HTTPFields {
        // 2026-12-01T02:49:05… without what a file's name should not have.
        let time = now.description.prefix(19).filter { $0 != "-" && $0 != ":" }
        return [
            .contentType: format.mediaType, .cacheControl: "no-store",
            .contentDisposition: "attachment; filename=\"mesh-events-\(time)Z.\(format.rawValue)\"",
        ]
    }

    /// Reads the first page; `nil` when no event can match.
    ///
    /// - Throws: as ``EventHistory/page(_:)``.
    func pages(
        of store: any EventStore,
        _ history: EventHistory,
        _ gate: QueryGate,
        for reader: String
    ) async throws(MeshEventsError) -> Pages? {
        guard let patterns = filter.queryPatterns else { return nil }
        let query = try range.query(patterns, from: .newest)
        var pages = try await PageReader(query, store: store, history: history, gate: gate, reader: reader)
        let first = try await pages.next(limit: pageLimit(0))
        return Pages(reader: pages, first: first)
    }

    /// Writes the events; the caller finishes the body.
    ///
    /// - Parameters:
    ///   - pages: what ``pages(of:_:_:for:)`` has begun.
    ///   - beforeEach: called before each part is written; when it throws, the export ends.
    /// - Throws: as ``EventHistory/page(_:)``, and what `beforeEach` and writing throw.
    @concurrent
    func write(
        _ pages: Pages?,
        to writer: inout any ResponseBodyWriter,
        _ beforeEach: @Sendable () async throws -> Void
    ) async throws {
        let csv = CSVFormatter(marks: marks)
        var part = ByteBuffer()
        var (events, bytes) = (0, 0)
        var cut: (reason: String, before: UInt64)?
        if case .csv = format { part.writeString(csv.head) }
        if var pages {
            let deadline = ContinuousClock.now + bounds.time
            var page = pages.first
            pages.first = nil
            reading: while let present = page {
                for stored in present.events.reversed() where filter.matches(stored.event) {
                    if let limit, events == limit { break reading }
                    let line = try line(stored, created: pages.reader.created, csv)
                    if let reason = reason(events, bytes + line.utf8.count, isLate: .now >= deadline) {
                        // The next one begins with this event.
                        cut = (reason, stored.sequence.next)
                        break reading
                    }
                    (events, bytes) = (events + 1, bytes + line.utf8.count)
                    part.writeString(line)
                    if part.readableBytes >= Self.partSize { try await Self.pass(&part, to: &writer, beforeEach) }
                }
                if let limit, events == limit { break }
                // Also where nothing matches, so that it ends in time, and with the session.
                try await beforeEach()
                if .now >= deadline, let position = pages.reader.query?.before {
                    cut = ("time", position)
                    break
                }
                page = try await pages.reader.next(limit: pageLimit(events))
            }
            if let cut {
                let position = StreamPosition(cut.before, created: pages.reader.created).text
                part.writeString(mark(cut.reason, events, before: position, csv))
            }
        }
        try await Self.pass(&part, to: &writer, beforeEach)
    }

    /// How many events of the next page are of use.
    private func pageLimit(_ events: Int) -> Int {
        guard !filter.needsScan, let limit else { return .max }
        return max(1, limit - events)
    }

    private func line(_ stored: StoredEvent, created: Timestamp?, _ csv: CSVFormatter) throws -> String {
        switch format {
        case .csv: csv.line(stored, created: created)
        case .ndjson:
            VisibleText.escaped(String(decoding: try EventJSONFormatter.whole(stored), as: UTF8.self)) + "\n"
        }
    }

    /// At which bound it ends before the next event; `nil` for none. The first event always has room.
    private func reason(_ events: Int, _ bytes: Int, isLate: Bool) -> String? {
        if events == 0 { return nil }
        if events >= bounds.events { return "events" }
        if bytes > bounds.bytes { return "bytes" }
        return isLate ? "time" : nil
    }

    /// The last line of an export that is not complete. In NDJSON it is no event: it has no type.
    private func mark(_ reason: String, _ events: Int, before: String, _ csv: CSVFormatter) -> String {
        let text: EventData = [
            "complete": false, "events": JSONValue(events), "reason": .string(reason), "before": .string(before),
        ]
        switch format {
        case .csv: return csv.line(type: "export.incomplete", data: text.json)
        case .ndjson: return #"{"export":\#(text.json)}"# + "\n"
        }
    }

    @concurrent
    private static func pass(
        _ part: inout ByteBuffer,
        to writer: inout any ResponseBodyWriter,
        _ beforeEach: @Sendable () async throws -> Void
    ) async throws {
        guard part.readableBytes > 0 else { return }
        try await beforeEach()
        try await writer.write(part)
        part = ByteBuffer()
    }
}
