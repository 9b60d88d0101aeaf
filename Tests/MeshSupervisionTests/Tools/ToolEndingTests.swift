import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// How tools end: what is said of those that go into the background, and of those that take long to stop.
@Suite("The end of a tool", .timeLimit(.minutes(3)))
struct ToolEndingTests {
    #if os(Linux)
        @Test("one that goes into the background has exited for its node, and the log says what was ended with it")
        func daemonizes() async throws {
            let bench = try ToolBench()
            try await bench.run(bench.tool("setsid sleep 600 & echo $! > child; exit 0"))
            #expect(try await bench.events(3) == ["installed 1.0.0", "started", "stopped exited"])
            let text =
                "warning tool: its program has ended, and with it a process that it had left running; a tool has to stay "
                + "in the foreground"
            #expect(bench.logged.lines.contains(text), "\(bench.logged.lines)")
            #expect(!TestProcess.exists(try await bench.pid(inFile: "child")))
        }

        @Test("a crash says it, too, and a stop on request and a program that leaves nothing do not")
        func others() async throws {
            let bench = try ToolBench()
            func said() -> [String] { bench.logged.lines.filter { $0.contains("left running") } }
            try await bench.run(bench.tool("exit 0", name: "plain"))
            _ = try await bench.events(3)
            try await bench.run(bench.tool("sleep 600 & echo $! > child; wait", name: "family"))
            _ = try await bench.pid(inFile: "child")
            try await bench.supervisor.stop("family")
            #expect(said() == [])
            try await bench.run(bench.tool("sleep 600 & sleep 600 & exit 3", name: "crash", restart: .never))
            try await eventually("the crash") { bench.events.contains("crashed exited with code 3 1") }
            #expect(
                said() == ["warning crash: its program has ended, and with it 2 processes that it had left running"]
            )
        }
    #endif

    @Test("one that is being stopped still runs since its process began")
    func stopping() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let supervisor = bench.supervisor
        let deaf = "trap '' TERM; echo $$ > armed; while :; do sleep 0.05; done"
        try await bench.run(bench.tool(deaf, grace: .seconds(600)))
        _ = try await bench.pid(inFile: "armed")
        let since = try #require(supervisor.tool(named: "tool")?.runningSince)
        async let stopped: Void = supervisor.stop("tool")
        try await eventually("the stop to begin") { supervisor.tool(named: "tool")?.state == .stopping }
        #expect(supervisor.tool(named: "tool")?.runningSince == since)
        let kill = try #require(ToolSignal("KILL"))
        try await supervisor.signal("tool", kill)
        try await stopped
        #expect(supervisor.tool(named: "tool")?.runningSince == nil)
    }
}
