import Foundation
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// Logs in rings of files.
@Suite("Rings of log files")
struct LogRingTests {
    private let home: TemporaryDirectory
    private var directory: String { home.path + "/logs/node/tools/whisper" }

    init() throws { home = try TemporaryDirectory() }

    private func ring(_ settings: ToolLogSettings = ToolLogSettings(files: 3, fileSize: 64 << 10)) -> LogRing {
        LogRing(directory: directory, settings: settings)
    }

    private func all(from cursor: LogCursor? = nil) -> (records: [LogRecord], missed: UInt64, anew: Bool) {
        var cursor = cursor ?? LogCursor(directory: directory)
        var (records, missed, anew): ([LogRecord], UInt64, Bool) = ([], 0, false)
        while true {
            let step = cursor.read { raw in
                records.append(raw.record)
                return true
            }
            missed += step.missed
            anew = anew || step.hasBegunAnew
            if step.isAtEnd { return (records, missed, anew) }
        }
    }

    private func lines(_ query: LogQuery, redaction: Redaction? = nil) async -> [String] {
        var filter = LogFilter(query, now: .now, redaction: redaction)
        var cursor = LogCursor(directory: directory)
        if let lines = query.lines { await cursor.skip(to: lines, filter) }
        filter.approach(cursor)
        var found: [String] = []
        while !cursor.read({ raw in
            if let record = filter.record(raw) { found.append(record.line) }
            return true
        }).isAtEnd {}
        return found
    }

    private func mode(_ path: String) throws -> Int {
        let value = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        return try #require(value) & 0o777
    }

    /// Writes behind what the ring has written, as a process that is killed may.
    private func damage(_ bytes: Data) throws {
        let segment = try #require(LogSegment.all(in: directory).last)
        let handle = try #require(FileHandle(forWritingAtPath: LogSegment.path(segment.first, in: directory)))
        try handle.seekToEnd()
        try handle.write(contentsOf: bytes)
        try handle.close()
    }

    @Test("records have time, stream, line and number, and only their owner can read them") func records() throws {
        let ring = ring()
        let time = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_123_456_789)
        ring.append([LogEntry(stream: .stdout, line: "one"), LogEntry(stream: .stderr, line: "")], at: time)
        ring.append("said by\nthe node")
        let records = all().records
        #expect(records.map(\.number) == [1, 2, 3] && records.map(\.stream) == [.stdout, .stderr, .node])
        #expect(records.map(\.line) == ["one", "", "said by the node"])
        // Microseconds are kept.
        #expect(records[0].time.nanosecondsSinceEpoch == 1_800_000_000_123_456_000)
        #expect(try mode(directory) == 0o700 && mode(LogSegment.path(1, in: directory)) == 0o600)
        #expect(try mode(home.path + "/logs") == 0o700)
    }

    @Test("the numbers go on after a restart, and a record that was half written is left out and said")
    func restart() throws {
        ring().append("before")
        try damage(Data("2026-01-01T00:00:00.000000Z out half a li".utf8))
        #expect(all().records.map(\.line) == ["before"])
        ring().append("after")
        let records = all().records
        #expect(records.map(\.number) == [1, 2, 3] && records.map(\.dropped) == [0, 1, 0])
        #expect(records[1].line.contains("written in part") && records[2].line == "after")
    }

    @Test("the ring keeps its number and size of files, and a reader learns how many records it has missed")
    func rotation() throws {
        let ring = ring()
        let start = try {
            ring.append("first"); return try #require(LogCursor.end(of: directory))
        }()
        for number in 0..<5_000 { ring.append("line \(number) " + String(repeating: "x", count: 60)) }
        let segments = LogSegment.all(in: directory)
        #expect(segments.count == 3)
        for segment in segments {
            let path = LogSegment.path(segment.first, in: directory)
            let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
            #expect(try #require(size) <= (64 << 10) + 200)
        }
        let (records, missed, anew) = all(from: LogCursor(directory: directory, at: start))
        #expect(records.last?.line.hasPrefix("line 4999 ") == true && !anew)
        #expect(missed > 0 && records.first?.number == start.next + missed)
        #expect(zip(records, records.dropFirst()).allSatisfy { $0.number + 1 == $1.number })
    }

    @Test("a reader beside a writer that rotates gets each record once, or learns that it missed it")
    func concurrently() async throws {
        let ring = ring()
        ring.append("start")
        let total = 20_000
        let directory = directory
        let reading = Task.detached { () -> (numbers: [UInt64], missed: UInt64) in
            var cursor = LogCursor(directory: directory)
            var (numbers, missed): ([UInt64], UInt64) = ([], 0)
            while cursor.next ?? 0 <= UInt64(total + 1), !Task.isCancelled {
                let step = cursor.read { raw in
                    numbers.append(raw.isReadable ? raw.number : 0)
                    return true
                }
                missed += step.missed
                await Task.yield()
            }
            return (numbers, missed)
        }
        for number in 0..<total { ring.append("line \(number)") }
        let (numbers, missed) = try await withDeadline(.seconds(60), "the reader's end") {
            await withTaskCancellationHandler {
                await reading.value
            } onCancel: {
                reading.cancel()
            }
        }
        #expect(!numbers.contains(0) && zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
        #expect(UInt64(numbers.count) + missed == UInt64(total + 1), "\(numbers.count) read, \(missed) missed")
    }

    @Test("a directory that was deleted is made again, and the numbers go on") func deleted() async throws {
        let ring = ring()
        for number in 0..<10 { ring.append("line \(number)") }
        let before = try #require(LogCursor.end(of: directory))
        try FileManager.default.removeItem(atPath: home.path + "/logs")
        try await eventually("records in a new directory") {
            ring.append("again")
            return !LogSegment.all(in: directory).isEmpty
        }
        let after = try #require(LogCursor.end(of: directory))
        #expect(after.epoch == before.epoch && after.next > before.next)
        let reading = all(from: LogCursor(directory: directory, at: before))
        #expect(reading.records.allSatisfy { $0.line == "again" } && !reading.anew)
    }

    @Test("a log without files begins anew, with another epoch, and a reader learns that") func anew() throws {
        ring().append("old")
        let position = try #require(LogCursor.end(of: directory))
        try FileManager.default.removeItem(atPath: directory)
        ring().append("new")
        let reading = all(from: LogCursor(directory: directory, at: position))
        #expect(reading.anew && reading.records.map(\.line) == ["new"] && reading.records[0].number == 1)
    }

    @Test("a damaged file: what cannot be read is said, and the rest is read") func damaged() throws {
        ring().append("before")
        try damage(Data(count: 300_000) + Data("\nrubbish\n".utf8))
        ring().append("after")
        #expect(all().records.map(\.line) == ["before", "a damaged record", "a damaged record", "after"])
        // A newest file without its first line, as after a loss of power, is not in the way.
        try Data().write(to: URL(fileURLWithPath: LogSegment.path(9_999, in: directory)))
        ring().append("later")
        #expect(all().records.last?.line == "later" && !LogSegment.all(in: directory).contains { $0.first == 9_999 })
        try FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: LogSegment.path(5, in: directory),
            withDestinationPath: home.path + "/elsewhere"
        )
        ring().append("safe")
        #expect(!TemporaryDirectory.exists(home.path + "/elsewhere") && all().records.last?.line == "safe")
    }

    @Test("a full disk: lines are counted and said, and what follows is kept again")
    func fullDisk() async throws {
        let disk = try SmallDisk(megabytes: 1)
        let troubles = Counter()
        let place = disk.path + "/logs"
        let settings = ToolLogSettings(files: 2, fileSize: 128 << 10)
        let ring = LogRing(directory: place, settings: settings, onTrouble: { _ in troubles.add() })
        ring.append("before")
        _ = try disk.fill()
        let long = String(repeating: "x", count: 1_000)
        for _ in 0..<100 { ring.append(long) }
        #expect(ring.missing > 0)
        try disk.empty()
        try await eventually("a record about what is missing") {
            ring.append("after")
            return ring.missing == 0
        }
        var (cursor, records) = (LogCursor(directory: place), [LogRecord]())
        while !cursor.read({ raw in
            records.append(raw.record)
            return true
        }).isAtEnd {}
        let dropped = records.reduce(0) { $0 + $1.dropped }
        let kept = records.count { $0.line == long }
        #expect(dropped > 0 && Int(dropped) + kept >= 100, "\(dropped) dropped, \(kept) kept")
        #expect(records.contains { $0.line.contains("No space left") } && records.last?.line == "after")
        #expect(zip(records, records.dropFirst()).allSatisfy { $0.number + 1 == $1.number })
        #expect(troubles.count >= 2)
    }

    @Test("a flood beyond the allowance keeps its last lines, and what the node says of the tool", arguments: 0..<3)
    func endOfAFlood(_ how: Int) throws {
        let ring = LogRing(directory: directory, settings: ToolLogSettings(files: 3, fileSize: 64 << 20))
        let now = ContinuousClock.now
        let long = String(repeating: "x", count: 8_000)
        for number in 0..<5_000 { ring.append([LogEntry(stream: .stdout, line: "\(number) \(long)")], now: now) }
        ring.append([LogEntry(stream: .stderr, line: "why")], now: now)
        switch how {
        case 0: ring.append([LogEntry(stream: .node, line: "exited with code 3")], now: now)
        case 1: ring.append([], now: now + .seconds(1))
        default: ring.close()
        }
        let records = all().records
        let missing = records.reduce(0) { $0 + $1.dropped }
        #expect(missing > 500 && Int(missing) + records.count { $0.stream == .stdout } == 5_000, "\(missing)")
        #expect(ring.missing == 0)
        let end = records.suffix(how == 0 ? 2 : 1).map(\.line)
        #expect(end == (how == 0 ? ["why", "exited with code 3"] : ["why"]))
        #expect(records.dropLast().contains { $0.line.hasPrefix("4999 ") })
        #expect(zip(records, records.dropFirst()).allSatisfy { $0.number + 1 == $1.number && $0.time <= $1.time })
    }

    @Test("a place that cannot be written costs the lines, nothing else") func noPlace() async throws {
        try home.file("logs", "a file")
        let ring = ring()
        for _ in 0..<10 { ring.append("lost") }
        #expect(ring.missing == 10 && all().records.isEmpty)
        try FileManager.default.removeItem(atPath: home.path + "/logs")
        try await eventually("the place to be made") {
            ring.append("kept")
            return !all().records.isEmpty
        }
        #expect(all().records.first?.dropped ?? 0 >= 10)
    }

    @Test("a file with a number near the end of all: the log begins anew, and keeps its size")
    func numbersAtTheirEnd() throws {
        for first in [LogSegment.lastNumber - 10, LogSegment.lastNumber, 1 << 61, 1 << 62, .max] {
            try? FileManager.default.removeItem(atPath: directory)
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let path = LogSegment.path(first, in: directory)
            let line = "2026-01-01T00:00:00.000000Z out planted\n"
            try (Data(LogFormat.header(epoch: "planted", first: first)) + Data(line.utf8))
                .write(to: URL(fileURLWithPath: path))
            let ring = ring()
            for number in 0..<5_000 { ring.append("line \(number) " + String(repeating: "x", count: 60)) }
            let files = LogSegment.all(in: directory)
            #expect(files.count <= 3 && files.allSatisfy { $0.first < 10_000 }, "\(first): \(files)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).count <= 4)
            let records = all().records
            #expect(records.last?.line.hasPrefix("line 4999 ") == true)
            #expect(records.allSatisfy { $0.number < 10_000 } && LogCursor.end(of: directory)?.epoch != "planted")
        }
    }

    @Test("the last lines, those of a stream, with a text, of the last time") func queries() async throws {
        let ring = ring()
        let old = Timestamp.now.subtracting(.seconds(3_600))
        for number in 0..<300 {
            let stream: LogRecord.Stream = number % 10 == 0 ? .stderr : .stdout
            ring.append([LogEntry(stream: stream, line: "line \(number)")], at: number < 100 ? old : .now)
        }
        #expect(await lines(LogQuery(lines: 2)) == ["line 298", "line 299"])
        #expect(await lines(LogQuery(lines: 0)).isEmpty)
        #expect(await lines(LogQuery(lines: 1_000)).count == 300)
        #expect(await lines(LogQuery(lines: 2, streams: [.stderr])) == ["line 280", "line 290"])
        #expect(await lines(LogQuery(lines: nil, within: .seconds(60))).first == "line 100")
        #expect(await lines(LogQuery(lines: 3, text: "line 1")) == ["line 197", "line 198", "line 199"])
        #expect(await lines(LogQuery(lines: nil, text: "line 7")).count == 11)
        #expect(await lines(LogQuery(lines: 5, text: "nothing")).isEmpty)
    }

    @Test("a text is searched for in what the reader may see: secrets cannot be guessed") func guessing() async throws {
        let ring = ring()
        ring.append("the word is correct-horse today")
        let redaction = Redaction(confidential: ["correct-horse"])
        #expect(await lines(LogQuery(), redaction: redaction) == ["the word is [redacted] today"])
        #expect(await lines(LogQuery(text: "correct"), redaction: redaction).isEmpty)
        #expect(await lines(LogQuery(text: "word"), redaction: redaction) == ["the word is [redacted] today"])
        // A block whose first line is not asked for.
        ring.append([
            LogEntry(stream: .stdout, line: "-----BEGIN PRIVATE KEY-----"), LogEntry(stream: .stderr, line: "abc"),
        ])
        #expect(await lines(LogQuery(streams: [.stderr]), redaction: redaction) == ["[redacted]"])
    }

    @Test("a line costs little: alone, and among others") func cost() throws {
        let ring = LogRing(directory: directory)
        let entries = (0..<100_000).map { _ in LogEntry(stream: .stdout, line: String(repeating: "y", count: 99)) }
        let clock = ContinuousClock()
        let batches = clock.measure {
            for start in stride(from: 0, to: 100_000, by: 625) { ring.append(entries[start..<(start + 625)]) }
        }
        let single = clock.measure { for index in 0..<20_000 { ring.append(CollectionOfOne(entries[index])) } }
        print("a log line: \(batches / 100_000) in batches, \(single / 20_000) alone")
        #if DEBUG
            // Without optimisation; the figure that counts is that of a release build.
            let limit = Duration.microseconds(100)
        #else
            let limit = Duration.microseconds(5)
        #endif
        #expect(batches / 100_000 < limit && single / 20_000 < limit)
    }
}
