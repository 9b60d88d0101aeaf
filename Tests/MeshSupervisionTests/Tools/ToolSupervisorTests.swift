import Foundation
import MeshEvents
import MeshEventsTesting
import MeshSupervision
import TestSupport
import Testing

@Suite("Tools under supervision")
struct ToolSupervisorTests {
    @Test("installed, configured, started, stopped, updated, removed: each event in its place")
    func life() async throws {
        let bench = try ToolBench()
        var tool = bench.tool("exec sleep 600")
        tool.configuration = ["model": "base", "api_key": "abc", "licence": "xyz"]
        tool.secrets = ["licence"]
        try await bench.run(tool)
        let pid = try bench.pid()
        #expect(TestProcess.exists(pid))
        tool.version = "1.1.0"
        try await bench.supervisor.update(tool)
        #expect(!TestProcess.exists(pid))
        try await bench.supervisor.configure("tool", ["model": "large"])
        try await bench.supervisor.stop("tool")
        try await bench.supervisor.stop("tool")
        try await bench.supervisor.restart("tool")
        try await bench.supervisor.remove("tool")
        #expect(
            bench.events == [
                "installed 1.0.0",
                #"configured {"api_key":"[redacted]","licence":"[redacted]","model":"(string)"}"#,
                "started", "stopped update", "installed 1.1.0", "started",
                #"configured {"model":"(string)"}"#, "stopped stopped", "started", "stopped uninstall", "removed",
            ]
        )
        #expect(bench.supervisor.tools.isEmpty)
        #expect(await error { try await bench.supervisor.start("tool") }?.code == .notInstalled)
    }

    @Test("what a tool finds in its environment, and what it says")
    func environment() async throws {
        let bench = try ToolBench(environment: ["JB_NATS_CREDS": "/a/b.creds"], url: "nats://me:pw@127.0.0.1:4222")
        var tool = bench.tool(
            """
            echo "$JB_NATS_URL $JB_NODE_NAME $JB_TOOL_NAME $JB_TOOL_CONFIG $JB_NATS_CREDS $OWN $HOME"; pwd; echo oh >&2
            exec sleep 600
            """
        )
        tool.configuration = ["a": 1]
        tool.environment = ["OWN": "mine"]
        try await bench.run(tool)
        let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
        try await eventually("three lines of \(bench.logged.lines)") {
            bench.logged.lines.filter { $0.contains("std") }.count == 3
        }
        let url = "nats://me:pw@127.0.0.1:4222"
        #expect(
            bench.logged.lines.contains("info tool stdout: \(url) bench tool {\"a\":1} /a/b.creds mine \(home)")
        )
        #expect(
            bench.logged.lines.contains { $0.hasPrefix("info tool stdout: /") && $0.hasSuffix(bench.lastDirectory) }
        )
        #expect(bench.logged.lines.contains("info tool stderr: oh"))
        #expect(bench.supervisor.tool(named: "tool")?.lastOutput == ["oh"])
        await bench.supervisor.shutdown()
    }

    @Test("kill -9 gives tool.crashed that names the signal, within a second, and the tool runs again")
    func killed() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exec sleep 600"))
        let first = try bench.pid()
        let start = ContinuousClock.now
        kill(first, SIGKILL)
        let events = try await bench.events(3)
        let delay = ContinuousClock.now - start
        #expect(events.last == "crashed killed by signal 9 (SIGKILL) 1")
        #expect(delay < .seconds(1))
        #expect(bench.supervisor.tool(named: "tool")?.state == .backingOff)
        try await bench.pass(.seconds(1))
        #expect(try await bench.events(4).last == "started")
        #expect(try bench.pid() != first)
        #expect(bench.supervisor.tool(named: "tool")?.restartCount == 1)
        await bench.supervisor.shutdown()
        #expect(bench.events.last == "stopped shutdown")
    }

    @Test("the sixth crash in a row gives up; a start on request begins anew")
    func givesUp() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exit 3"))
        var expected = ["installed 1.0.0", "started", "crashed exited with code 3 1"]
        for (index, delay) in [1, 2, 4, 8, 16].enumerated() {
            #expect(try await bench.events(expected.count) == expected)
            try await bench.pass(.seconds(delay) - .milliseconds(1))
            #expect(bench.clock.sleepers == 1)
            bench.clock.advance(by: .milliseconds(1))
            expected += ["started", "crashed exited with code 3 \(index + 2)"]
        }
        expected.append("stopped gave up after 5 restarts (failed: exited with code 3)")
        #expect(try await bench.events(expected.count) == expected)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .failed && status.lastError == "exited with code 3" && status.restartCount == 5)
        #expect(bench.clock.sleepers == 0)
        try await bench.supervisor.start("tool")
        #expect(try await bench.events(expected.count + 2).last == "crashed exited with code 3 1")
    }

    @Test("code 0 is no crash", arguments: RestartPolicy.Mode.allCases)
    func exits(_ mode: RestartPolicy.Mode) async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exit 0", restart: mode))
        #expect(try await bench.events(3) == ["installed 1.0.0", "started", "stopped exited"])
        guard mode == .always else {
            #expect(bench.supervisor.tool(named: "tool")?.state == .stopped)
            return
        }
        try await bench.pass(.seconds(1))
        #expect(try await bench.events(5).suffix(2) == ["started", "stopped exited"])
    }

    @Test("a tool that waits for its restart can be stopped, and started at once")
    func waiting() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exit 3"))
        _ = try await bench.events(3)
        try await bench.supervisor.start("tool")
        #expect(try await bench.events(5).suffix(2) == ["started", "crashed exited with code 3 1"])
        try await bench.supervisor.stop("tool")
        #expect(bench.events.last == "stopped stopped")
        #expect(bench.clock.sleepers == 0)
    }

    @Test("a tool of the same name, bad names and bad values are refused, and nothing is emitted")
    func refused() async throws {
        let bench = try ToolBench()
        try await bench.supervisor.install(bench.tool("exec sleep 600"))
        #expect(await error { try await bench.supervisor.install(bench.tool("true")) }?.code == .alreadyInstalled)
        for name in ["", "a b", "-a", "a/b", "ä", String(repeating: "a", count: 65)] {
            let problem = await error { try await bench.supervisor.install(bench.tool("true", name: name)) }
            #expect(problem?.code == .invalidSpecification)
        }
        var tool = bench.tool("true", name: "other")
        tool.environment = ["A": "b\0c"]
        #expect(await error { try await bench.supervisor.install(tool) }?.code == .invalidSpecification)
        tool.environment = [:]
        tool.command = []
        #expect(await error { try await bench.supervisor.install(tool) }?.code == .invalidSpecification)
        #expect(bench.events == ["installed 1.0.0"])
    }

    @Test("many hands on one tool: one at a time, and nothing is left")
    func manyHands() async throws {
        let bench = try ToolBench()
        try await bench.supervisor.install(bench.tool("exec sleep 600"))
        await withTaskGroup { group in
            for number in 0..<40 {
                group.addTask {
                    switch number % 4 {
                    case 0: try? await bench.supervisor.stop("tool")
                    case 1: try? await bench.supervisor.restart("tool")
                    case 2: try? await bench.supervisor.update(bench.tool("exec sleep 601"))
                    default: try? await bench.supervisor.start("tool")
                    }
                }
            }
        }
        await bench.supervisor.shutdown()
        // Started and stopped take turns.
        let turns = bench.events.filter { !$0.hasPrefix("installed") }.map { $0 == "started" }
        #expect(turns.enumerated().allSatisfy { $0.element == ($0.offset % 2 == 0) }, "\(bench.events)")
        #expect(turns.count.isMultiple(of: 2))
    }

    @Test("after the shutdown nothing starts any more")
    func shutDown() async throws {
        let bench = try ToolBench()
        for number in 0..<5 { try await bench.run(bench.tool("exec sleep 600", name: "tool\(number)")) }
        let pids = bench.supervisor.tools.compactMap(\.pid)
        #expect(pids.count == 5)
        await bench.supervisor.shutdown()
        #expect(!pids.contains(where: TestProcess.exists))
        #expect(bench.events.filter { $0 == "stopped shutdown" }.count == 5)
        #expect(await error { try await bench.supervisor.start("tool1") }?.code == .shutDown)
        #expect(await error { try await bench.supervisor.install(bench.tool("true")) }?.code == .shutDown)
    }

    @Test("the tools end with the last reference to their supervisor")
    func dropped() async throws {
        var bench: ToolBench? = try ToolBench()
        try await bench?.run(try #require(bench).tool("exec sleep 600"))
        let pid = try #require(try bench?.pid())
        bench = nil
        try await ToolProcesses.end(of: pid)
    }

    private func error(_ body: () async throws -> Void) async -> ToolError? {
        do { try await body() } catch { return error as? ToolError }
        return nil
    }
}

extension ToolBench {
    fileprivate var lastDirectory: String { URL(fileURLWithPath: directory.path).lastPathComponent }
}
