import HTTPTypes
import Hummingbird
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// `/api/export`: what is in it, for whom, and where it ends.
@Suite struct ExportTests {
    /// What Python's csv reads, as a line of JSON for each row.
    private static let reader = """
        import csv, json, os
        with open(os.environ["FILE"], newline="", encoding="utf-8") as file:
            for row in csv.reader(file, strict=True):
                print(json.dumps(row))
        """

    /// The rows of CSV, as Python's csv reads them.
    private static func rows(_ text: String) async throws -> [[String]] {
        let directory = try TemporaryDirectory()
        let file = try directory.file("export.csv", text)
        let output = try await Python.run(reader, environment: ["FILE": file], Python.executable)
        return try output.split(separator: "\n").map { line in
            let row = try EventData(json: #"{"row":\#(line)}"#)
            return row["row"]?.array?.compactMap(\.string) ?? []
        }
    }

    private static func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

    @Test func theNewestFirstInBothFormats() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<250)
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "a \"b\", c", restartCount: 1))
            let csv = try await bench.client.get("/api/export?format=csv")
            #expect(csv.status == 200 && csv.headers.first(name: "content-type")?.hasPrefix("text/csv") == true)
            let name = try #require(csv.headers.first(name: "content-disposition"))
            #expect(name.wholeMatch(of: #/attachment; filename="mesh-events-\d{8}T\d{6}Z\.csv"/#) != nil, "\(name)")
            let rows = try await Self.rows(csv.text)
            #expect(rows.count == 252)
            #expect(rows[0] == ["sequence", "stored_at", "timestamp", "type", "node", "tool", "id", "data"])
            #expect(rows.dropFirst().map { Int($0[0]) } == (1...251).reversed().map { $0 })
            let crash = rows[1]
            #expect(crash[3] == "tool.crashed" && crash[4] == "attic" && crash[5] == "whisper")
            #expect(try EventData(json: crash[7])["error"]?.string == "a \"b\", c")
            #expect(crash[6].hasPrefix("251-") && (try? Timestamp(rfc3339: crash[1])) != nil)

            let lines = Self.lines(try await bench.client.get("/api/export?format=ndjson").text)
            #expect(lines.count == 251)
            // As `list --json` prints them.
            let stored = try await bench.bus.history(.init(limit: 1_000)).events
            let expected = try stored.reversed().map { String(decoding: try EventEncoder().encode($0), as: UTF8.self) }
            #expect(lines == expected)
        }
    }

    @Test func aFilterALimitAndTimesCount() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<30)
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "no", restartCount: 1))
            func sequences(_ query: String) async throws -> [Int] {
                let answer = try await bench.client.get("/api/export?format=ndjson&\(query)")
                #expect(answer.status == 200, "\(query): \(answer.text)")
                return try Self.lines(answer.text).map { try EventData(json: $0)["sequence"]?.int ?? -1 }
            }
            #expect(try await sequences("type=tool.crashed") == [31])
            #expect(try await sequences("limit=3") == [31, 30, 29])
            #expect(try await sequences("limit=2&where=number%20%3C%205") == [5, 4])
            #expect(try await sequences("before=4") == [3, 2, 1])
            #expect(try await sequences("after=29&type=user.count") == [30])
            #expect(try await sequences("text=WHISPER") == [31])
            #expect(try await sequences("node=cellar") == [])
            #expect(try await sequences("pattern=node.*&type=tool.crashed") == [])
            #expect(try await sequences("until=2020-01-01T00:00:00Z") == [])
            let none = try await bench.client.get("/api/export?format=csv&node=cellar")
            #expect(try await Self.rows(none.text).count == 1)
            for wrong in ["", "format=xml", "format=csv&limit=0", "format=csv&limit=100001", "format=csv&since=x"] {
                let answer = try await bench.client.get("/api/export?\(wrong)")
                #expect(answer.status == 400, "\(wrong)")
            }
            #expect(try await bench.client.send(.HEAD, "/api/export?format=csv").status == 200)
        }
    }

    @Test func aPositionOfAnotherStreamIsRefusedBeforeTheFileBegins() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<5)
            let cursor = try #require(try await bench.client.get("/api/events?limit=2").json["cursor"]?.string)
            try await bench.store.deleteStream()
            #expect(try await bench.client.get("/api/export?format=csv").status == 503)
            _ = try await bench.store.open(.init())
            try await bench.emit(10..<17)
            let answer = try await bench.client.get("/api/export?format=csv&before=\(cursor)")
            #expect(answer.status == 410)
            #expect(try answer.json["error"]?["code"]?.string == "streamReplaced")
        }
    }

    @Test(
        "no cell is a formula, and none has characters that cannot be seen",
        arguments: [
            ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\u{FF1D}1", "'\u{FF1D}1"),
            ("\t=1", "\\u0009=1"), ("\r=1", "\\u000d=1"), ("\n=1", "\\u000a=1"), ("\u{1B}[31m", "\\u001b[31m"),
            ("a\u{202E}b", "a\\u202eb"), ("\u{200B}=1", "\\u200b=1"), ("\u{FEFF}=1", "\\ufeff=1"), ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a b", "\"a b\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("größe", "größe"), ("1", "1"),
        ]
    )
    func cells(text: String, cell: String) { #expect(CSVFormatter.cell(text) == cell) }

    @Test func hostileEventsStayOneRowEach() async throws {
        try await Bench.run { bench in
            let nodes = ["=HYPERLINK(\"http://x\",\"y\")", "a\r\nb,c", "\"", "\u{1B}]0;x\u{7}", "ok"]
            for node in nodes {
                let bus = try await PersistentEventBus.open(
                    transport: InMemoryTransport(),
                    store: bench.store,
                    node: node,
                    logger: quiet
                )
                try await bus.emit("user.text", ["tool": .string(node), "text": .string(node + "\u{202E}")])
            }
            let csv = try await bench.client.get("/api/export?format=csv").text
            #expect(!csv.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{202E}" || $0 == "\u{7}" })
            let rows = try await Self.rows(csv).dropFirst().reversed()
            #expect(rows.count == nodes.count)
            for (row, node) in zip(rows, nodes) {
                #expect(row.count == 8 && row.allSatisfy { !"=+-@".contains($0.first ?? " ") }, "\(row)")
                // The data is the same, whatever is escaped in it.
                #expect(try EventData(json: row[7])["text"]?.string == node + "\u{202E}")
            }
            let lines = Self.lines(try await bench.client.get("/api/export?format=ndjson").text)
            #expect(lines.count == nodes.count)
            #expect(try lines.reversed().map { try EventData(json: $0)["node"]?.string } == nodes)
            #expect(!lines.joined().unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" })
        }
    }

    @Test func signaturesAreExportedWhereTheyAreChecked() async throws {
        let verification = SignatureVerification(NamedSigners(signed: ["attic"]), policy: .accept)
        try await Bench.run(verification: verification) { bench in
            try await bench.emit(0..<1)
            let rows = try await Self.rows(try await bench.client.get("/api/export?format=csv").text)
            #expect(rows[0].last == "signature" && rows[1].last == "signed")
            #expect(try await bench.client.get("/api/export?format=ndjson").text.contains(#""signature":"signed""#))
        }
    }

    /// Keeps what is written.
    private struct Writer: ResponseBodyWriter {
        let bytes = Locked(ByteBuffer())
        let largest = Locked(0)

        mutating func write(_ buffer: ByteBuffer) async throws {
            bytes.withLock { _ = $0.writeImmutableBuffer(buffer) }
            largest.withLock { $0 = max($0, buffer.readableBytes) }
        }

        consuming func finish(_: HTTPFields?) async throws {}
    }

    private func written(
        _ export: EventExport,
        of store: InMemoryStore,
        _ beforeEach: @Sendable () async throws -> Void = {}
    ) async throws -> (text: String, largest: Int) {
        let history = EventHistory(store: store, logger: quiet)
        let gate = QueryGate(maximumRunning: 1, maximumWaiting: 1)
        let pages = try await export.pages(of: store, history, gate, for: "a reader")
        let kept = Writer()
        var writer: any ResponseBodyWriter = kept
        try await export.write(pages, to: &writer, beforeEach)
        return (kept.bytes.withLock { String(buffer: $0) }, kept.largest.withLock { $0 })
    }

    @Test("what ends at a bound says so in its last line, and where to go on", arguments: ["events", "bytes", "time"])
    func bounds(reason: String) async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<3_000)
            for format in EventExport.Format.allCases {
                var export = EventExport(format: format, marks: false)
                switch reason {
                case "events": export.bounds.events = 100
                case "bytes": export.bounds.bytes = 20_000
                default: export.bounds.time = .zero
                }
                let text = try await written(export, of: bench.store).text
                let last = try #require(text.split(whereSeparator: \.isNewline).last)
                let mark: (String) -> EventData.Field?
                if format == .csv {
                    let row = try #require(try await Self.rows(text).last)
                    #expect(row[3] == "export.incomplete" && row[0].isEmpty)
                    let data = try EventData(json: row[7])
                    mark = { data[$0] }
                } else {
                    let data = try EventData(json: String(last))
                    mark = { data["export"]?[$0] }
                }
                #expect(mark("complete")?.bool == false && mark("reason")?.string == reason, "\(last)")
                let count = try #require(mark("events")?.int)
                #expect((1..<3_000).contains(count) && text.utf8.count < 700_000)
                // The next one begins where this one has ended.
                export.bounds = .standard
                export.range.before = try #require(mark("before")?.string.flatMap { StreamPosition($0) })
                let rest = try await written(export, of: bench.store).text
                let others = rest.split(whereSeparator: \.isNewline).count - (format == .csv ? 1 : 0)
                #expect(count + others == 3_000, "\(count) and \(others)")
            }
        }
    }

    @Test func itIsPassedOnInPartsAndEndsWithItsSession() async throws {
        try await Bench.run { bench in
            for number in 0..<300 {
                try await bench.bus.emit(
                    "user.n",
                    ["n": .init(number), "t": .string(String(repeating: "x", count: 5_000))]
                )
            }
            let export = EventExport(format: .ndjson, marks: false)
            let whole = try await written(export, of: bench.store)
            #expect(whole.text.utf8.count > 1_500_000 && whole.largest < 80_000)
            let parts = Locked(0)
            await #expect(throws: APIError.self) {
                _ = try await written(export, of: bench.store) {
                    let part = parts.withLock { parts in
                        parts += 1
                        return parts
                    }
                    if part == 3 { throw APIError(.unauthorized, "login", "the session has ended") }
                }
            }
            #expect(parts.withLock { $0 } == 3)
        }
    }

    @Test func oneReaderHasAShare() async throws {
        let gate = QueryGate(maximumRunning: 4, maximumWaiting: 8, share: .init(running: 1, waiting: 2))
        try await gate.enter("a")
        #expect(gate.mayEnter("a") && gate.mayEnter("b"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 { group.addTask { try await gate.enter("a") } }
            try await eventually("two to wait") { gate.waiting == 2 }
            #expect(!gate.mayEnter("a") && gate.mayEnter("b"))
            for _ in 0..<3 { gate.leave("a") }
            try await group.waitForAll()
        }
        #expect(gate.mayEnter("a") && gate.waiting == 0)
    }

    @Test func aLoginIsNeeded() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            #expect(try await bench.client.get("/api/export?format=csv").status == 401)
            let session = try await bench.logIn()
            #expect(try await bench.client.get("/api/export?format=csv", session).status == 200)
        }
    }
}
