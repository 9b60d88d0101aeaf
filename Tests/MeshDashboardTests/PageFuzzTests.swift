import Foundation
import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// No request ends the page, nor makes it fail.
@Suite struct PageFuzzTests {
    /// 10 000 with `MESH_EVENTS_LONG=1`.
    private static let count = ProcessInfo.processInfo.environment["MESH_EVENTS_LONG"] == "1" ? 10_000 : 1_000

    @Test func noRequestMakesThePageFail() async throws {
        try await Bench.run(.init(maximumClients: 8), stream: .init(maximumMessages: 400)) { bench in
            try await bench.emit(0..<500)
            try await bench.bus.emit(NodeJoined(capabilities: ["version": "1"]))
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "Größe", restartCount: 1))
            try await bench.emit(0..<20, "user.b")
            let raw = RawClient(port: bench.client.port)
            var random = SeededGenerator(seed: 13)
            var statuses: [Int: Int] = [:]
            for number in 0..<Self.count {
                // Something comes all the time.
                if number % 10 == 0 { try await bench.emit(number..<number + 1, "user.b") }
                let request = Requests.next(&random, port: bench.client.port)
                let answer = try await raw.send(request) {
                    $0.contains("event: position") || $0.contains("event: reset")
                }
                let status = answer.status ?? 0
                statuses[status, default: 0] += 1
                #expect(status > 0 && status < 500, "\(request.debugDescription): \(answer.text.prefix(300))")
            }
            #expect(try await bench.client.get("/healthz").status == 200)
            #expect(statuses[200, default: 0] > Self.count / 5, "most are refused: \(statuses)")
            let told = statuses.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
            AbuseRow(act: "seeded random requests", times: Self.count, held: told).report()
        }
    }

    /// Two patterns, a backlog as long as is sent, and an event of the second one that comes meanwhile.
    @Test func aBacklogThatIsJustSentIsNoGap() async throws {
        let backlog = 300
        try await Bench.run(backlog: backlog) { bench in
            let last = try await bench.emit(0..<backlog + 1, "user.a")
            let path = "/api/stream?pattern=user.a&pattern=user.b&after=\(last - UInt64(backlog))"
            try await withDeadline(.seconds(120), "the backlog") {
                try await bench.client.listen(path) { reader in
                    // From here on what comes is no part of the backlog.
                    _ = try await reader.next("hello")
                    try await bench.emit(0..<1, "user.b")
                    var numbers: [Int] = []
                    while numbers.count < backlog + 1, let message = try await reader.next() {
                        #expect(message.name != "gap")
                        if message.name == "message" { numbers.append(try message.json["data"]?["number"]?.int ?? -1) }
                    }
                    #expect(numbers == Array(1...backlog) + [0])
                }
                let early = path.replacing(#/after=\d+/#, with: "after=0")
                try await bench.client.listen(early) { reader in
                    let gap = try await reader.next("gap").json
                    #expect(gap["reason"]?.string == "skipped")
                    #expect(gap["from"]?.int == backlog + 1)
                    #expect(gap["to"]?.int ?? 0 >= Int(last))
                    _ = try await reader.next("position")
                }
            }
            #expect(try await bench.client.get("/healthz").status == 200)
        }
    }

    @Test(arguments: [0, 1, 2, UInt64.max / 2, .max - 2, .max - 1, .max])
    func anyLastSequenceOfABrowserIsBorne(last: UInt64) async throws {
        try await Bench.run(stream: .init(maximumMessages: 10)) { bench in
            try await bench.emit(0..<30)
            try await eventually("the page to know the last event") {
                try await bench.client.listen("/api/stream") { try await $0.next("position").id == 30 }
            }
            try await withDeadline(.seconds(20), "an answer") {
                try await bench.client.listen(
                    "/api/stream?pattern=user.a&pattern=user.b",
                    [("last-event-id", "\(last)")]
                ) {
                    let found = try await $0.next(last <= 30 ? "position" : "reset")
                    #expect(found.id == 30)
                }
            }
        }
    }
}

/// Requests as nobody means them, most of them nearly right.
private enum Requests {
    private static let paths = [
        "/api/events", "/api/events", "/api/histogram", "/api/histogram", "/api/stream", "/api/stream", "/api/mesh",
        "/api/events/", "/api/session", "/api/openapi.json", "/healthz", "/", "/main.js", "/nothing", "/api",
        "/api/export", "/api/export",
    ]
    private static let names = [
        "pattern", "type", "node", "text", "where", "since", "until", "before", "after", "limit", "buckets", "unknown",
        "", "format",
    ]
    private static let numbers = [
        "0", "1", "2", "10", "399", "400", "500", "501", "1000", "1001", "-1", "+1", "1.5", "1e9", "NaN", " 1", "٣",
        "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615",
        "18446744073709551616", "-9223372036854775808", "99999999999999999999999",
    ]
    private static let times = [
        "1677-09-21T00:12:43.145224193Z", "2262-04-11T23:47:16.854775807Z", "1677-09-21T00:12:43.145224192Z",
        "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "2026-01-01T00:00:00%2B23:59", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z", "2262-04-11T23:47:16.854775808Z", "2026-02-30T00:00:00Z", "yesterday", "2026-01-01",
    ]
    private static let words = [
        "user.count", "user.b", "user.*", "user.%3E", "%3E", "events.%3E", "*", "a..b", ".", "tool.crashed", "node.*",
        "attic", "cellar", "Gr%C3%B6%C3%9Fe", "%", "%zz", "%00", "%F0%9F%92%A5", "%ff", "=", "a%26b", "whisper", "ß",
        "number", "number%20%3E%2010", "!tool", "tool%20in%20%5Bwhisper,%20%22x%22%5D", "number%20%3D%20%22",
        "%22%5Cud800%22",
        "number%20not%20in%201,2", "number%20%3C%201e999",
        String(repeating: "a", count: 300), String(repeating: "%61", count: 1_500),
    ]

    static func next(_ random: inout SeededGenerator, port: Int) -> String {
        var target = pick(paths, &random)
        if target == "/api/events/" { target += pick(numbers, &random) }
        let count = Int.random(in: 0...6, using: &random)
        var query: [String] = []
        for _ in 0..<count {
            let name = pick(names, &random)
            // Mostly what belongs to the name.
            let values =
                switch Int.random(in: 0..<10, using: &random) {
                case 0: numbers + times + words
                default:
                    switch name {
                    case "since", "until": times
                    case "before", "after", "limit", "buckets": numbers
                    case "format": ["csv", "ndjson"]
                    default: words
                    }
                }
            query.append(Bool.random(using: &random) || !name.isEmpty ? "\(name)=\(pick(values, &random))" : name)
        }
        if target == "/api/export", Bool.random(using: &random) { query.append("format=csv") }
        // So many of one are too many.
        if Int.random(in: 0..<50, using: &random) == 0 {
            query += Array(repeating: "type=user.b", count: Int.random(in: 8...60, using: &random))
        }
        if !query.isEmpty { target += "?" + query.joined(separator: pick(["&", "&", "&", "&&", ";"], &random)) }
        var head = "Host: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        if target.hasPrefix("/api/stream"), Bool.random(using: &random) {
            head += "Last-Event-ID: \(pick(numbers, &random))\r\n"
        }
        if Bool.random(using: &random) { head += "Accept-Encoding: gzip\r\n" }
        // Of bytes, not of characters: some letters have two.
        guard Int.random(in: 0..<8, using: &random) == 0 else { return "GET \(encode(target)) HTTP/1.1\r\n\(head)\r\n" }
        let body = pick(["", "{}", "[]", #"{"token":1}"#, #"{"token":""#, String(repeating: "[", count: 500)], &random)
        let method = pick(["POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE"], &random)
        let type = pick(["application/json", "text/plain", ""], &random)
        return "\(method) \(encode(target)) HTTP/1.1\r\n\(head)Content-Type: \(type)\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func pick(_ list: [String], _ random: inout SeededGenerator) -> String {
        list[Int.random(in: 0..<list.count, using: &random)]
    }

    /// Spaces end a target; all else goes as it is, also what is no ASCII.
    private static func encode(_ target: String) -> String { target.replacing(" ", with: "%20") }
}
