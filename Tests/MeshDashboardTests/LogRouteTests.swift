import MeshConcurrency
import MeshEvents
import Synchronization
import TestSupport
import Testing

@testable import MeshDashboard

/// A log in memory: of the tool `whisper`. `none` has no log yet, that of `slow` does not come before it is let, others give
/// errors.
final class StoredLogs: LogSource {
    private let asked = Mutex<[LogPageQuery]>([])
    /// Lets answers about `slow` come.
    let release = OneTimeSignal()

    /// What was asked for so far.
    var queries: [LogPageQuery] { asked.withLock { $0 } }
    let isAllowed = true

    func page(_ query: LogPageQuery) async throws(MeshEventsError) -> LogPageAnswer {
        asked.withLock { $0.append(query) }
        switch query.tool {
        case "whisper":
            let line = LogPageAnswer.Line(number: 7, time: .epoch, stream: "stderr", text: "CUDA \u{1B}[2J<b>")
            return LogPageAnswer(lines: [line], missed: 3, hasBegunAnew: true, next: ("abc", 8))
        case "slow":
            _ = await release.value(until: .now + .seconds(20))
            return LogPageAnswer(lines: [], missed: 0, hasBegunAnew: false, next: nil)
        case "none": return LogPageAnswer(lines: [], missed: 0, hasBegunAnew: false, next: nil)
        case "forbidden": throw MeshEventsError(.permissionDenied, "the server forbids it")
        default: throw MeshEventsError(.serverRefused, "node pi has no such tool")
        }
    }
}

/// `/api/logs`.
@Suite struct LogRouteTests {
    @Test func `lines of a tool, from where the page is`() async throws {
        let logs = StoredLogs()
        try await Bench.run(logs: logs) { bench in
            let answer = try await bench.client.get(
                "/api/logs?node=my%20node&tool=whisper&text=a%26b&stderr=true&lines=5"
            )
            let json = try answer.json
            #expect(answer.status == 200 && json["lines"]?[0]?["line"]?.string == "CUDA \u{1B}[2J<b>")
            #expect(json["next"]?.string == "abc.8" && json["missed"]?.int == 3 && json["begun_anew"]?.bool == true)
            _ = try await bench.client.get("/api/logs?node=pi&tool=whisper&after=abc.8")
            let queries = logs.queries
            #expect(queries[0].node == "my node" && queries[0].text == "a&b" && queries[0].standardErrorOnly)
            #expect(queries[0].lines == 5 && queries[0].after == nil)
            #expect(queries[1].after?.epoch == "abc" && queries[1].after?.next == 8 && queries[1].text == nil)
            for wrong in [
                "", "node=pi", "tool=a", "node=pi&tool=a&lines=0", "node=pi&tool=a&after=x", "node=pi&tool=a&after=a.b",
                "node=pi&tool=a&after=a.\(UInt64.max)",
            ] {
                #expect(try await bench.client.get("/api/logs?\(wrong)").status == 400, "\(wrong)")
            }
            #expect(logs.queries.count == 2)
        }
    }

    @Test func `a reader of slow logs holds up no other`() async throws {
        let logs = StoredLogs()
        try await Bench.run(.init(token: Bench.token), logs: logs) { bench in
            let (mine, other) = (try await bench.logIn(), try await bench.logIn())
            try await withThrowingTaskGroup(of: UInt.self) { group in
                // As many as one reader may have, and some more.
                for _ in 0..<12 {
                    group.addTask { try await bench.client.get("/api/logs?node=pi&tool=slow", mine).status }
                }
                try await eventually("logs to be read") { !logs.queries.isEmpty }
                for _ in 0..<2 { #expect(try await group.next() == 503, "it may have ten at once") }
                let answer = try await bench.client.get("/api/logs?node=pi&tool=whisper", other)
                #expect(answer.status == 200 && !logs.release.isSent)
                logs.release.send()
                for try await status in group { #expect(status == 200) }
            }
        }
    }

    @Test func `without a source, and without a login, there are none`() async throws {
        try await Bench.run { bench in
            let answer = try await bench.client.get("/api/logs?node=pi&tool=whisper")
            #expect(answer.status == 403 && answer.text.contains("logsOff"))
        }
        let logs = StoredLogs()
        try await Bench.run(.init(token: Bench.token), logs: logs) { bench in
            let answer = try await bench.client.get("/api/logs?node=pi&tool=whisper")
            #expect(answer.status == 401)
            #expect(logs.queries.isEmpty)
        }
    }
}
