import Foundation
import MeshEvents
import MeshSupervision
import TestSupport
import Testing

/// In which order tools are started and stopped, by the times that they note themselves.
@Suite("The order of tools")
struct ToolOrderTests {
    /// A tool that appends when it begins and when it ends to a file. It takes a while to end.
    private func tool(_ bench: ToolBench, _ name: String, after: ToolDependencies = []) -> ToolSpecification {
        var tool = bench.tool(
            """
            trap 'sleep 0.3; echo "\(name) ends" >> order; exit 0' TERM
            echo "\(name) begins" >> order
            while :; do sleep 0.05; done
            """,
            name: name
        )
        tool.after = after
        return tool
    }

    private func apply(
        _ bench: ToolBench,
        _ tools: [ToolSpecification],
        before: [ToolSpecification] = []
    ) async -> [ToolError] {
        await bench.supervisor.apply(ToolManifest(tools: before).difference(to: ToolManifest(tools: tools)))
    }

    private func lines(_ bench: ToolBench, _ count: Int) async throws -> [String] {
        func read() -> [String] {
            ((try? bench.directory.text(of: "order")) ?? "").split(separator: "\n").map(String.init)
        }
        try await eventually("\(count) lines of \(read())") { read().count >= count }
        return read()
    }

    /// The names of the tools in the order in which they were started, when so many were.
    private func started(_ bench: ToolBench, _ count: Int) async throws -> [String] {
        func names() -> [String] {
            bench.logged.lines.filter { $0.hasSuffix(": tool started") }
                .map { String($0.dropFirst("info ".count).dropLast(": tool started".count)) }
        }
        try await eventually("\(count) starts of \(names())") { names().count >= count }
        return names()
    }

    private func forget(_ bench: ToolBench) throws {
        try FileManager.default.removeItem(atPath: bench.directory.path + "/order")
    }

    @Test("started after what they depend on, stopped before it, whatever the order of the manifest")
    func order() async throws {
        let bench = try ToolBench()
        let tools = [
            tool(bench, "page", after: ["api"]), tool(bench, "api", after: ["db", "cache"]),
            tool(bench, "db"), tool(bench, "cache", after: ["db"]), tool(bench, "alone"),
        ]
        #expect(await apply(bench, tools).isEmpty)
        // Each line is written by its tool, which may come to it late.
        _ = try await lines(bench, 5)
        #expect(try await started(bench, 5) == ["db", "cache", "api", "page", "alone"])
        try forget(bench)
        await bench.supervisor.shutdown()
        let ends = try await lines(bench, 5).filter { $0 != "alone ends" }
        #expect(ends == ["page ends", "api ends", "cache ends", "db ends"])
    }

    @Test("a reload that changes two stops and starts them in order, and leaves the third alone")
    func reload() async throws {
        let bench = try ToolBench()
        let before = [tool(bench, "api", after: ["db"]), tool(bench, "db"), tool(bench, "alone")]
        #expect(await apply(bench, before).isEmpty)
        _ = try await lines(bench, 3)
        let pid = try bench.pid("alone")
        try forget(bench)
        var after = before
        for index in 0..<2 { after[index].version = "2" }
        #expect(await apply(bench, after, before: before).isEmpty)
        #expect(try await lines(bench, 4) == ["api ends", "db ends", "db begins", "api begins"])
        // Now the other way round, with a new one between them; and what depended goes first when both are removed.
        try forget(bench)
        var turned = [
            tool(bench, "api"), tool(bench, "db", after: ["new"]), tool(bench, "new", after: ["api"]), before[2],
        ]
        for index in 0..<2 { turned[index].version = "3" }
        #expect(await apply(bench, turned, before: after).isEmpty)
        let all = try await lines(bench, 5)
        #expect(all.filter { $0.hasSuffix("ends") } == ["api ends", "db ends"])
        #expect(all.firstIndex(of: "api ends") == 0 && all.last == "db begins", "\(all)")
        #expect(try await started(bench, 8).suffix(3) == ["api", "new", "db"])
        try forget(bench)
        #expect(await apply(bench, [before[2]], before: turned).isEmpty)
        #expect(try await lines(bench, 3) == ["db ends", "new ends", "api ends"])
        #expect(try bench.pid("alone") == pid)
        await bench.supervisor.shutdown()
    }

    @Test("one that says when it is ready is waited for until then")
    func ready() async throws {
        let bench = try ToolBench()
        let script = """
            import os, socket, time
            while not os.path.exists("go"): time.sleep(0.01)
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
            time.sleep(600)
            """
        var db = tool(bench, "db")
        db.command = ["/usr/bin/python3", "-c", script]
        db.health.readiness = .notified
        let tools = [db, tool(bench, "api", after: ToolDependencies(["db"], within: .seconds(600)))]
        #expect(await apply(bench, tools).isEmpty)
        #expect(bench.logged.lines.contains("info api: waits for db"))
        #expect(bench.supervisor.tool(named: "db")?.state == .running)
        let waiting = try #require(bench.supervisor.tool(named: "api"))
        #expect(waiting.state == .installed && waiting.waitsFor == ["db"])
        try bench.directory.file("go", "")
        try await eventually("the other to run") { bench.supervisor.tool(named: "api")?.state == .running }
        #expect(bench.supervisor.tool(named: "api")?.waitsFor == [])
        await bench.supervisor.shutdown()
    }

    @Test("what does not come is waited for as long as it says, and that is said; others start meanwhile")
    func deadline() async throws {
        let bench = try ToolBench()
        var idle = tool(bench, "idle")
        idle.autostart = false
        let tools = [
            idle, tool(bench, "api", after: ToolDependencies(["idle"], within: .milliseconds(1_500))),
            tool(bench, "page", after: ["api"]), tool(bench, "alone"),
        ]
        let start = ContinuousClock.now
        #expect(await apply(bench, tools).isEmpty)
        #expect(bench.supervisor.tool(named: "alone")?.state == .running)
        #expect(try await started(bench, 3) == ["alone", "api", "page"])
        #expect(ContinuousClock.now - start >= .milliseconds(1_500))
        #expect(bench.logged.lines.contains("info api: waits for idle"))
        let warning = "warning api: started without idle, which was not ready within 1s500ms"
        #expect(bench.logged.lines.contains(warning), "\(bench.logged.lines)")
        await bench.supervisor.shutdown()
    }

    @Test("a tool that waits is started when the other runs at last, and on request at once; a stop ends the waiting")
    func requests() async throws {
        let bench = try ToolBench()
        var db = tool(bench, "db")
        db.autostart = false
        let tools =
            [db] + ["a", "b", "c"].map { tool(bench, $0, after: ToolDependencies(["db"], within: .seconds(600))) }
        #expect(await apply(bench, tools).isEmpty)
        #expect(bench.supervisor.tools.map(\.waitsFor) == [["db"], ["db"], ["db"], []])
        try await bench.supervisor.stop("a")
        try await bench.supervisor.start("b")
        #expect(bench.supervisor.tools.map(\.waitsFor) == [[], [], ["db"], []])
        #expect(bench.supervisor.tool(named: "c")?.state == .installed)
        try await bench.supervisor.start("db")
        #expect(try await started(bench, 3) == ["b", "db", "c"])
        #expect(bench.supervisor.tool(named: "a")?.state == .installed)
        // What was stopped on request is started by no change of the manifest, and removed like any other.
        var changed = tools
        changed[1].version = "2"
        #expect(await apply(bench, changed, before: tools).isEmpty)
        #expect(bench.supervisor.tool(named: "a")?.state == .installed)
        try await bench.supervisor.remove("a")
        await bench.supervisor.shutdown()
    }

    @Test("a shutdown ends the waiting, and starts nothing")
    func shutdown() async throws {
        let bench = try ToolBench()
        var db = tool(bench, "db")
        db.autostart = false
        let tools = [db, tool(bench, "api", after: ToolDependencies(["db"], within: .seconds(600)))]
        #expect(await apply(bench, tools).isEmpty)
        #expect(bench.supervisor.tool(named: "api")?.waitsFor == ["db"])
        await bench.supervisor.shutdown()
        #expect(bench.supervisor.tool(named: "api")?.waitsFor == [])
        #expect(bench.events == ["installed 1.0.0", "installed 1.0.0"])
    }

    @Test("a circle that a program makes is an error, and keeps nothing from running or ending")
    func circle() async throws {
        let bench = try ToolBench()
        let tools = [tool(bench, "a", after: ["b"]), tool(bench, "b", after: ["c"]), tool(bench, "c", after: ["a"])]
        let errors = await apply(bench, tools)
        #expect(errors.map(\.code) == [.invalidSpecification])
        #expect(errors.first?.message.contains("a waits for b, b waits for c, c waits for a") == true)
        #expect(bench.supervisor.tools.allSatisfy { $0.state == .running })
        let changed = tools.map { tool in
            var tool = tool
            tool.version = "2"
            return tool
        }
        #expect(await withinDeadline { await apply(bench, changed, before: tools) } != nil)
        #expect(await withinDeadline { await bench.supervisor.shutdown() } != nil)
    }

    private func withinDeadline<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result? {
        try? await withDeadline(.seconds(60), "the end", body)
    }

    @Test("the signal of the specification asks it to end; what does not listen is killed after its grace period")
    func stopSignal() async throws {
        let bench = try ToolBench()
        for signal in StopSignal.allCases {
            let name = signal.rawValue.dropFirst(3)
            var tool = bench.tool(
                "trap 'echo by \(name); exit 0' \(name); echo ready; while :; do sleep 0.05; done",
                name: "\(name)"
            )
            tool.stopSignal = signal
            try await bench.run(tool)
            try await eventually("it to listen") { bench.logged.lines.contains("info \(name) stdout: ready") }
            try await bench.supervisor.stop("\(name)")
            #expect(bench.logged.lines.contains("info \(name) stdout: by \(name)"))
        }
        var deaf = bench.tool(
            "trap '' INT TERM; echo ready; while :; do sleep 0.05; done",
            name: "deaf",
            grace: .milliseconds(300)
        )
        deaf.stopSignal = .int
        try await bench.run(deaf)
        try await eventually("it to listen") { bench.logged.lines.contains("info deaf stdout: ready") }
        let pid = try bench.pid("deaf")
        try await bench.supervisor.stop("deaf")
        #expect(!TestProcess.exists(pid) && bench.events.last == "stopped stopped")
    }

    @Test("another number of instances starts or stops the difference")
    func instances() async throws {
        let bench = try ToolBench()
        let kind = ToolSpecification(
            name: "worker",
            command: ["sh", "-c", "echo $SLOT $JB_TOOL_CONFIG; exec sleep 600", "{instance}"],
            environment: ["SLOT": "s{instance}"],
            configuration: ["port": "900{instance}", "list": ["{instance}", 1]]
        )
        #expect(await apply(bench, kind.instances(3)).isEmpty)
        let before = try (1...3).map { try bench.pid("worker-\($0)") }
        let line = #"info worker-2 stdout: s2 {"list":["2",1],"port":"9002"}"#
        try await eventually("its number in \(bench.logged.lines)") { bench.logged.lines.contains(line) }
        #expect(await apply(bench, kind.instances(5), before: kind.instances(3)).isEmpty)
        #expect(bench.supervisor.tools.map(\.name) == (1...5).map { "worker-\($0)" })
        #expect(try (1...3).map { try bench.pid("worker-\($0)") } == before)
        #expect(await apply(bench, kind.instances(2), before: kind.instances(5)).isEmpty)
        #expect(bench.supervisor.tools.map(\.name) == ["worker-1", "worker-2"])
        #expect(try bench.pid("worker-2") == before[1])
        await bench.supervisor.shutdown()
    }
}
