import Foundation
import MeshEvents
import MeshEventsTesting
import MeshSupervision
import TestSupport
import Testing

/// Tools that run and end, on a clock that the test moves.
@Suite("Tools with a schedule")
struct ToolScheduleTests {
    private func tool(_ bench: ToolBench, _ script: String, _ schedule: ToolSchedule) -> ToolSpecification {
        var tool = bench.tool(script)
        tool.schedule = schedule
        return tool
    }

    private func apply(_ bench: ToolBench, _ tools: [ToolSpecification], before: [ToolSpecification] = []) async
        -> [ToolError]
    {
        await bench.supervisor.apply(ToolManifest(tools: before).difference(to: ToolManifest(tools: tools)))
    }

    /// Moves the clock by the minute, since no sleep of a schedule is longer, until there are so many events.
    private func events(_ count: Int, _ bench: ToolBench) async throws -> [String] {
        try await eventually("\(count) events; there are \(bench.events)") {
            if bench.events.count < count, bench.clock.sleepers > 0 { bench.clock.advance(by: .seconds(60)) }
            return bench.events.count >= count
        }
        return bench.events
    }

    @Test("each run is started at its time and says how it ended and when the next one comes")
    func runs() async throws {
        let bench = try ToolBench()
        let nightly = try ToolSchedule.cron("0 3 * * *", timeZone: "UTC")
        let tool = tool(bench, "echo ran; echo 'token=s3cr3t-t0ken-value-1' >&2; echo why >&2; test -e good", nightly)
        #expect(await apply(bench, [tool]).isEmpty)
        #expect(bench.events == ["installed 1.0.0"])
        var status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .installed && status.next?.description == "2026-12-01T03:00:00Z")
        // Not a minute too early.
        while bench.clock.timestamp.description < "2026-12-01T02:59:00Z" { try await bench.pass(.seconds(60)) }
        try await eventually("the last minute") { bench.clock.sleepers > 0 }
        #expect(bench.events.count == 1)
        // A failure is no crash, and is not repeated before the next time.
        let failed = "finished 1 (failed: exited with code 1) next 2026-12-02T03:00:00Z"
        #expect(try await events(3, bench) == ["installed 1.0.0", "started", failed])
        #expect(bench.clock.timestamp.description >= "2026-12-01T03:00:00Z")
        status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .failed && status.publishedError == "exited with code 1" && status.restartCount == 0)
        #expect(status.next?.description == "2026-12-02T03:00:00Z")
        #expect(bench.runs.map(\.output) == [["token=[redacted]", "why"]])
        try bench.directory.file("good", "")
        #expect(try await events(5, bench).suffix(2) == ["started", "finished 0 next 2026-12-03T03:00:00Z"])
        status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .stopped && status.publishedError == nil)
        #expect(bench.runs.last?.output == [])
        // At the end of the node nothing runs, so that nothing is stopped.
        await bench.supervisor.shutdown()
        #expect(bench.events.count == 5 && bench.supervisor.tool(named: "tool")?.next == nil)
    }

    @Test("how a run ended: a signal, a program that is missing, too much of something")
    func endings() async throws {
        let bench = try ToolBench()
        let tool = tool(bench, "kill -9 $$", .every(.seconds(600)))
        try await bench.supervisor.install(tool)
        var missing = tool
        (missing.name, missing.command) = ("missing", ["no-such-command"])
        try await bench.supervisor.install(missing)
        try await bench.supervisor.start("tool")
        let killed = "finished 137 (failed: killed by signal 9 (SIGKILL)) next 2026-11-30T15:10:00Z"
        #expect(try await bench.events(4).last == killed)
        await #expect(throws: ToolError.self) { try await bench.supervisor.start("missing") }
        #expect(bench.events.last?.hasPrefix("finished - (failed: command not found: no-such-command") == true)
        #expect(bench.events.last?.hasSuffix("next 2026-11-30T15:10:00Z") == true)
        await bench.supervisor.shutdown()
    }

    @Test("a run that still goes on when the next one is due is left alone, and that is said")
    func overlap() async throws {
        let bench = try ToolBench()
        let tool = tool(bench, "while [ ! -e go ]; do sleep 0.05; done", .every(.seconds(60)))
        #expect(await apply(bench, [tool]).isEmpty)
        let expected = [
            "installed 1.0.0", "started", "skipped overlap 2026-11-30T15:02:00Z next 2026-11-30T15:03:00Z",
            "skipped overlap 2026-11-30T15:03:00Z next 2026-11-30T15:04:00Z",
        ]
        #expect(try await events(4, bench) == expected)
        #expect(bench.logged.lines.contains("warning tool: not started at 2026-11-30T15:02:00Z: it still runs"))
        try bench.directory.file("go", "")
        try await eventually("its end") { bench.events.count == 5 }
        #expect(bench.events.last == "finished 0 next 2026-11-30T15:04:00Z")
        await bench.supervisor.shutdown()
    }

    @Test("a run that hangs is said at first, then less and less often, and its end says the rest")
    func hangs() async throws {
        let bench = try ToolBench()
        let tool = tool(bench, "while [ ! -e go ]; do sleep 0.05; done", .every(.seconds(30)))
        #expect(await apply(bench, [tool]).isEmpty)
        // Every thirty seconds, for an hour.
        while bench.clock.timestamp.description < "2026-11-30T16:00:00Z" {
            try await bench.pass(.seconds(30))
            try await eventually("the next time to be planned") {
                bench.supervisor.tool(named: "tool")?.next.map { $0 > bench.clock.timestamp } == true
                    && bench.clock.sleepers > 0
            }
        }
        let skipped = bench.events.filter { $0.hasPrefix("skipped") }
        #expect(
            skipped.prefix(4) == [
                "skipped overlap 2026-11-30T15:01:00Z next 2026-11-30T15:01:30Z",
                "skipped overlap 2026-11-30T15:01:30Z ×2 next 2026-11-30T15:02:30Z",
                "skipped overlap 2026-11-30T15:02:30Z ×4 next 2026-11-30T15:04:30Z",
                "skipped overlap 2026-11-30T15:04:30Z ×8 next 2026-11-30T15:08:30Z",
            ],
            "\(skipped)"
        )
        #expect(skipped.count < 12)
        try bench.directory.file("go", "")
        try await eventually("its end") { bench.events.last?.hasPrefix("finished 0") == true }
        let counts = bench.skips.map(\.count)
        #expect(counts.reduce(0, +) == 119, "\(counts)")
        await bench.supervisor.shutdown()
    }

    @Test("what was missed while the node was away is said, or made up for; the record is kept by tool")
    func missed() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/schedules.json"
        let text = #"{"tools":{"tool":"2026-11-28T03:00:00Z","other":"2026-11-28T03:00:00Z"}}"#
        try directory.file("schedules.json", text)
        let bench = try ToolBench(schedules: ToolScheduleRecord(file: file))
        var tools = [tool(bench, "true", try .cron("0 3 * * *", timeZone: "UTC"))]
        tools.append(tool(bench, "true", try .cron("0 3 * * *", timeZone: "UTC", missed: .run)))
        tools[1].name = "other"
        tools.append(tool(bench, "true", try .cron("0 3 * * *", timeZone: "UTC", missed: .run)))
        tools[2].name = "new"
        #expect(await apply(bench, tools).isEmpty)
        let events = try await bench.events(6)
        #expect(
            events.sorted() == [
                "finished 0 next 2026-12-01T03:00:00Z", "installed 1.0.0", "installed 1.0.0", "installed 1.0.0",
                "skipped missed 2026-11-29T03:00:00Z next 2026-12-01T03:00:00Z", "started",
            ]
        )
        #expect(bench.supervisor.tools.allSatisfy { $0.next?.description == "2026-12-01T03:00:00Z" })
        // What was dealt with is not missed again.
        let record = ToolScheduleRecord(file: file)
        for name in ["tool", "other", "new"] { #expect(record.last(name) == bench.clock.timestamp, "\(name)") }
        try await bench.supervisor.remove("new")
        #expect(ToolScheduleRecord(file: file).last("new") == nil)
        await bench.supervisor.shutdown()
    }

    @Test("a stop pauses the schedule, a start runs the tool and goes on with it")
    func pause() async throws {
        let bench = try ToolBench()
        let tool = tool(bench, "test ! -e wait || sleep 600", .every(.seconds(3_600)))
        #expect(await apply(bench, [tool]).isEmpty)
        try await bench.supervisor.stop("tool")
        try await bench.supervisor.stop("tool")
        #expect(bench.events == ["installed 1.0.0", "stopped stopped"])
        #expect(bench.supervisor.tool(named: "tool")?.next == nil && bench.clock.sleepers == 0)
        bench.clock.advance(by: .seconds(7_200))
        try await bench.supervisor.start("tool")
        let finished = "finished 0 next 2026-11-30T18:00:00Z"
        #expect(try await bench.events(4).suffix(2) == ["started", finished])
        // A run can be stopped, which is no failure.
        try bench.directory.file("wait", "")
        try await bench.supervisor.start("tool")
        try await bench.supervisor.restart("tool")
        #expect(bench.events.suffix(3) == ["started", "stopped restart", "started"])
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-11-30T18:00:00Z")
        await bench.supervisor.shutdown()
        #expect(bench.events.last == "stopped shutdown")
    }

    @Test("a changed schedule counts at once, and disturbs no run; a tool may get and lose one")
    func reload() async throws {
        let bench = try ToolBench()
        let hourly = tool(bench, "sleep 600", .every(.seconds(3_600)))
        #expect(await apply(bench, [hourly]).isEmpty)
        try await bench.supervisor.start("tool")
        let pid = try bench.pid()
        var other = hourly
        other.schedule = try .cron("30 4 * * *", timeZone: "UTC")
        #expect(await apply(bench, [other], before: [hourly]).isEmpty)
        #expect(try bench.pid() == pid)
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-12-01T04:30:00Z")
        // Another configuration counts from the next run on; another program ends the run, and is not started for it.
        var configured = other
        configured.configuration = ["a": 1]
        #expect(await apply(bench, [configured], before: [other]).isEmpty)
        #expect(try bench.pid() == pid && bench.events.last == #"configured {"a":1}"#)
        var changed = configured
        changed.command = ["sleep", "601"]
        #expect(await apply(bench, [changed], before: [configured]).isEmpty)
        #expect(bench.events.suffix(2) == ["stopped update", "installed 1.0.0"])
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-12-01T04:30:00Z")
        // Kept running.
        var service = changed
        service.schedule = nil
        #expect(await apply(bench, [service], before: [changed]).isEmpty)
        #expect(bench.events.suffix(2) == ["installed 1.0.0", "started"])
        #expect(bench.supervisor.tool(named: "tool")?.next == nil && bench.clock.sleepers == 0)
        // And planned again: what ran is stopped.
        #expect(await apply(bench, [changed], before: [service]).isEmpty)
        #expect(bench.events.suffix(2) == ["stopped update", "installed 1.0.0"])
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-12-01T04:30:00Z")
        // One that was paused stays so over a change.
        try await bench.supervisor.stop("tool")
        #expect(await apply(bench, [other], before: [changed]).isEmpty)
        #expect(bench.supervisor.tool(named: "tool")?.next == nil)
        await bench.supervisor.shutdown()
    }

    @Test("a schedule that was changed on request counts at once, also before the first run; one that is gone, too")
    func update() async throws {
        let bench = try ToolBench()
        let hourly = tool(bench, "sleep 600", .every(.seconds(3_600)))
        #expect(await apply(bench, [hourly]).isEmpty)
        var other = hourly
        other.schedule = try .cron("30 4 * * *", timeZone: "UTC")
        try await bench.supervisor.update(other)
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-12-01T04:30:00Z")
        #expect(bench.supervisor.tool(named: "tool")?.state == .installed)
        var service = other
        service.schedule = nil
        try await bench.supervisor.update(service)
        #expect(bench.events.suffix(2) == ["installed 1.0.0", "started"])
        #expect(bench.supervisor.tool(named: "tool")?.next == nil && bench.clock.sleepers == 0)
        await bench.supervisor.shutdown()
    }

    @Test("what was never started is not by an update, whatever that says", arguments: [true, false])
    func neverStarted(hasSchedule: Bool) async throws {
        let bench = try ToolBench()
        var tool = bench.tool("exec sleep 600")
        try await bench.supervisor.install(tool)
        tool.schedule = hasSchedule ? .every(.seconds(3_600)) : nil
        tool.restart.mode = .always
        try await bench.supervisor.update(tool)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .installed && status.next == nil && bench.clock.sleepers == 0)
        // A manifest wants what it lists.
        var listed = tool
        listed.version = "2"
        #expect(await apply(bench, [listed], before: [tool]).isEmpty)
        #expect((bench.supervisor.tool(named: "tool")?.next != nil) == hasSchedule)
        #expect((bench.supervisor.tool(named: "tool")?.state == .running) == !hasSchedule)
        await bench.supervisor.shutdown()
    }

    #if os(Linux)
        @Test("a run that uses too much memory has failed for that reason")
        func memory() async throws {
            let bench = try ToolBench()
            var tool = tool(bench, "", .every(.seconds(86_400)))
            let script =
                "import time; held = bytearray(90 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(600)"
            tool.command = ["/usr/bin/python3", "-c", script]
            tool.memory = ToolMemoryLimit(maximum: 50 << 20)
            try await bench.supervisor.install(tool)
            try await bench.supervisor.start("tool")
            let last = try #require(try await events(3, bench).last)
            #expect(last.hasPrefix("finished 143 (failed: used "), "\(last)")
            #expect(last.contains("MB, more than its limit of 50 MB) next 2026-12-0"), "\(last)")
            await bench.supervisor.shutdown()
        }
    #endif

    @Test("the error of a run is published without secrets")
    func redacted() async throws {
        let bench = try ToolBench()
        var tool = tool(bench, "exit 1", .every(.seconds(600)))
        tool.command = ["/no/such/s3cret-place"]
        tool.confidential = ["s3cret-place"]
        try await bench.supervisor.install(tool)
        await #expect(throws: ToolError.self) { try await bench.supervisor.start("tool") }
        #expect(bench.events.last?.contains("there is no /no/such/[redacted]") == true, "\(bench.events)")
        await bench.supervisor.shutdown()
    }
}
