import MeshDashboard
import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@Suite struct RoutesTests {
    @Test func pagesOfEventsGoBackToTheBeginning() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<250)
            var numbers: [Int] = []
            var query = ""
            while true {
                let page = try await bench.client.get("/api/events?limit=100\(query)").json
                numbers = try #require(page["events"]?.array).compactMap { $0["data"]?["number"]?.int } + numbers
                guard let cursor = page["cursor"]?.string else { break }
                query = "&before=\(cursor)"
            }
            #expect(numbers == Array(0..<250))
            let forward = try await bench.client.get("/api/events?limit=10&after=20").json
            #expect(forward["events"]?.array?.first?["sequence"]?.int == 21)
        }
    }

    @Test func aCursorOfAnotherStreamIsRefused() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<5)
            let former = try await bench.client.get("/api/events?limit=2").json
            let cursor = try #require(former["cursor"]?.string)
            #expect(cursor.wholeMatch(of: #/4-\d+/#) != nil)
            let created = try #require(cursor.split(separator: "-").last)
            #expect(try await bench.client.get("/api/events/2-\(created)").status == 200)
            try await bench.store.deleteStream()
            _ = try await bench.store.open(.init())
            try await bench.emit(10..<17)
            for path in ["/api/events?before=\(cursor)", "/api/events?after=\(cursor)", "/api/events/2-\(created)"] {
                let answer = try await bench.client.get(path)
                #expect(answer.status == 410, "\(path)")
                #expect(try answer.json["error"]?["code"]?.string == "streamReplaced", "\(path)")
            }
            #expect(try await bench.client.get("/api/events?before=4").json["events"]?.array?.count == 3)
            // Each of two places counts.
            let fresh = try #require(try await bench.client.get("/api/events?limit=1").json["cursor"]?.string)
            #expect(try await bench.client.get("/api/events?after=\(fresh)&before=\(fresh)").status == 200)
            for query in ["after=\(cursor)&before=\(fresh)", "after=\(fresh)&before=\(cursor)"] {
                let answer = try await bench.client.get("/api/events?\(query)")
                #expect(answer.status == 410, "\(query)")
                #expect(try answer.json["error"]?["code"]?.string == "streamReplaced", "\(query)")
            }
        }
    }

    @Test func eventsAreFoundByPatternTypeNodeAndText() async throws {
        try await Bench.run { bench in
            let second = try await PersistentEventBus.open(
                transport: InMemoryTransport(),
                store: bench.store,
                node: "cellar",
                logger: quiet
            )
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "Out of Memory", restartCount: 1))
            try await second.emit(ToolStarted(tool: "whisper"))
            try await bench.emit(0..<2)
            func types(_ query: String) async throws -> [String] {
                let page = try await bench.client.get("/api/events?\(query)").json
                return try #require(page["events"]?.array).compactMap { $0["type"]?.string }
            }
            #expect(try await types("pattern=tool.*") == ["tool.crashed", "tool.started"])
            #expect(try await types("pattern=tool.*&type=tool.started&type=user.count") == ["tool.started"])
            #expect(try await types("pattern=node.*&type=tool.started") == [])
            #expect(try await types("node=cellar") == ["tool.started"])
            #expect(try await types("node=cellar&node=attic&type=tool.crashed") == ["tool.crashed"])
            #expect(try await types("text=out%20of%20memory") == ["tool.crashed"])
            #expect(try await types("text=WHISPER&limit=1") == ["tool.started"])
            #expect(try await types("where=tool%20%3D%20whis*&where=restart_count%20%3E%200") == ["tool.crashed"])
            #expect(try await types("where=tool%3Dwhisper&limit=1") == ["tool.started"])
            #expect(try await types("where=tool&where=node%20!%3D%20cellar&text=memory") == ["tool.crashed"])
            #expect(try await types("where=number%20in%200,%207") == ["user.count"])
            #expect(try await types("where=tool&where=number") == [])
        }
    }

    @Test("conditions are looked for in the whole data, page by page, also when it is too long for a list")
    func conditionsAndCursors() async throws {
        try await Bench.run { bench in
            let long = String(repeating: "long ", count: 10_000)
            for number in 0..<300 {
                try await bench.bus.emit(
                    "user.n",
                    ["number": .init(number), "text": .string(number % 100 == 0 ? long : "short")]
                )
            }
            var query = "where=text%20%3D%20long*&limit=1"
            var numbers: [Int] = []
            while numbers.count < 10 {
                let page = try await bench.client.get("/api/events?\(query)").json
                for event in page["events"]?.array ?? [] {
                    #expect(event["data_bytes"]?.int ?? 0 > 50_000)
                    numbers.append(event["sequence"]?.int ?? 0)
                }
                guard let cursor = page["cursor"]?.string else { break }
                query = "where=text%20%3D%20long*&limit=1&before=\(cursor)"
            }
            #expect(numbers == [201, 101, 1])
        }
    }

    @Test("a wrong condition is answered with its code and what is expected, on every route that takes a filter")
    func wrongConditions() async throws {
        try await Bench.run { bench in
            let many = Array(repeating: "where=a", count: 17).joined(separator: "&")
            let long = "where=a%3D" + String(repeating: "x", count: 1_100)
            for query in ["where=tool%20~%20x", "where=cpu%20%3E%20hot", many, long] {
                for path in ["/api/events", "/api/stream", "/api/histogram"] {
                    let answer = try await bench.client.get("\(path)?\(query)")
                    #expect(answer.status == 400)
                    let error = try answer.json["error"]
                    #expect(error?["code"]?.string == "invalidCondition")
                    #expect(error?["message"]?.string?.contains("condition") == true, "\(answer.text)")
                }
            }
            #expect(try await bench.client.get("/api/events?where=").status == 200)
        }
    }

    @Test func dataThatIsTooLongForAListIsInTheEventItself() async throws {
        try await Bench.run { bench in
            let text = String(repeating: "long ", count: 10_000)
            let sequence = try await bench.bus.emit("user.long", ["text": .string(text)]).sequence
            let listed = try await bench.client.get("/api/events").json["events"]?.array?.first
            #expect(listed?["data"]?.isNull == true)
            #expect(listed?["data_bytes"]?.int == 50_011)
            let whole = try await bench.client.get("/api/events/\(sequence)").json
            #expect(whole["data"]?["text"]?.string == text)
            #expect(try await bench.client.get("/api/events/99").status == 404)
            #expect(try await bench.client.get("/api/events/0").status == 404)
            #expect(try await bench.client.get("/api/events/x").status == 404)
        }
    }

    @Test func eventsAreCountedByTypeAndTime() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<30)
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "no", restartCount: 1))
            try await eventually("the index to have them") {
                try await bench.client.get("/api/histogram").json["marks"]?.array?.count == 1
            }
            let histogram = try await bench.client.get("/api/histogram?buckets=10").json
            #expect(histogram["complete"]?.bool == true)
            #expect(histogram["through"]?.int == 31)
            let series = try #require(histogram["series"]?.array)
            #expect(series.map { $0["type"]?.string } == ["user.count", "tool.crashed"])
            #expect(series.map { $0["total"]?.int } == [30, 1])
            #expect(series[0]["counts"]?.array?.count == 10)
            #expect(histogram["marks"]?[0]?["type"]?.string == "tool.crashed")
            let some = try await bench.client.get("/api/histogram?type=tool.crashed").json
            #expect(some["series"]?.array?.count == 1)
        }
    }

    @Test(arguments: [
        "/api/events?limit=0", "/api/events?limit=x", "/api/events?limit=1001", "/api/events?pattern=a..b",
        "/api/events?since=yesterday", "/api/events?before=-1", "/api/histogram?buckets=0",
        "/api/histogram?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "/api/stream?pattern=%3E%3E",
        "/api/stream?after=x",
    ])
    func wrongParametersAreNamed(path: String) async throws {
        try await Bench.run { bench in
            let answer = try await bench.client.get(path)
            #expect(answer.status == 400)
            #expect(try answer.json["error"]?["message"]?.string?.isEmpty == false)
        }
    }

    @Test func thePageAllowsItselfNothingButItsOwnFiles() async throws {
        try await Bench.run { bench in
            for path in ["/", "/main.js", "/page.css", "/icon.svg", "/api/mesh", "/nothing", "/api/nothing"] {
                let answer = try await bench.client.get(path)
                let policy = try #require(answer.headers.first(name: "content-security-policy"))
                #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"))
                #expect(!policy.contains("unsafe"))
                #expect(answer.headers.first(name: "x-content-type-options") == "nosniff")
                #expect(answer.status == (path.hasSuffix("nothing") ? 404 : 200), "\(path)")
            }
            let page = try await bench.client.get("/")
            #expect(page.headers.first(name: "content-type") == "text/html; charset=utf-8")
            #expect(!page.text.contains("http://") && !page.text.contains("https://") && !page.text.contains("style="))
            let tag = try #require(page.headers.first(name: "etag"))
            let again = try await bench.client.get("/", [("if-none-match", tag)])
            #expect(again.status == 304 && again.text.isEmpty)
        }
    }

    @Test func everyScriptThatIsImportedIsServed() async throws {
        try await Bench.run { bench in
            var left = ["/main.js"]
            var seen: Set<String> = []
            while let path = left.popLast() {
                guard seen.insert(path).inserted else { continue }
                let script = try await bench.client.get(path)
                #expect(script.status == 200, "\(path)")
                left += script.text.matches(of: #/from "(\/[a-z]+\.js)"/#).map { String($0.1) }
            }
            #expect(seen.count > 10)
        }
    }
}
