import Foundation
import MeshEvents
import MeshSupervision
import TestSupport
import Testing

/// Tools that do what no tool should.
@Suite("Troublesome tools")
struct ToolTroubleTests {
    @Test("what cannot be started: the error says why, nothing is announced as started, the others live on")
    func cannotStart() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exec sleep 600", name: "healthy"))
        let plain = try bench.directory.file("plain", "text")
        let script = try bench.directory.script("lost", "true")
        try bench.directory.file("lost", "#!/no/such/interpreter\n")
        let binary = try bench.directory.script("binary", "true")
        try Data([0x7F, 0x45, 0x4C, 0x46, 0, 0]).write(to: URL(fileURLWithPath: binary))
        let cases: [(command: String, directory: String?, code: ToolError.Code, words: String)] = [
            ("no-such-command", nil, .commandNotFound, "command not found: no-such-command is in no directory of PATH"),
            ("/no/such/command", nil, .commandNotFound, "command not found: there is no /no/such/command"),
            (plain, nil, .notExecutable, "command not executable: \(plain); allow it with chmod +x"),
            (bench.directory.path, nil, .notExecutable, "is a directory"),
            ("true", "/no/such/directory", .directoryNotFound, "directory /no/such/directory is missing"),
            (script, nil, .launchFailed, "interpreter"),
            (binary, nil, .launchFailed, "cannot be started"),
        ]
        for (index, test) in cases.enumerated() {
            let tool = ToolSpecification(
                name: "tool\(index)",
                version: "1",
                command: [test.command],
                directory: test.directory
            )
            let before = bench.events.count
            let error = await error { try await bench.run(tool) }
            #expect(error?.code == test.code, "\(test.command): \(String(describing: error))")
            #expect(error?.message.contains(test.words) == true, "\(error?.message ?? "")")
            #expect(bench.events[before...].map { $0.prefix(9) } == ["installed", "crashed c"] || index == 4)
            #expect(!bench.events[before...].contains("started"))
            #expect(bench.supervisor.tool(named: tool.name)?.state == .failed)
        }
        #expect(TestProcess.exists(try bench.pid("healthy")))
        await bench.supervisor.shutdown()
    }

    @Test("a tool that vanishes under its supervisor crashes again and again, and is given up")
    func vanishes() async throws {
        let bench = try ToolBench()
        let script = try bench.directory.script("tool", "exit 1")
        try await bench.run(ToolSpecification(name: "tool", version: "1", command: [script]))
        _ = try await bench.events(3)
        try FileManager.default.removeItem(atPath: script)
        for delay in [1, 2, 4, 8, 16] { try await bench.pass(.seconds(delay)) }
        let events = try await bench.events(9)
        #expect(events.filter { $0 == "started" }.count == 1)
        #expect(events.filter { $0.hasPrefix("crashed command not found") }.count == 5)
        let last = "stopped gave up after 5 restarts (failed: command not found: "
        #expect(events.last?.hasPrefix(last) == true, "\(events)")
    }

    @Test("a broken update is refused, and the tool runs on")
    func brokenUpdate() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exec sleep 600"))
        let pid = try bench.pid()
        var tool = bench.tool("")
        tool.command = ["no-such-command"]
        #expect(await error { try await bench.supervisor.update(tool) }?.code == .commandNotFound)
        #expect(try bench.pid() == pid)
        #expect(bench.events == ["installed 1.0.0", "started"])
        await bench.supervisor.shutdown()
    }

    @Test("one that ignores SIGTERM is killed after its grace time")
    func ignoresTerm() async throws {
        let bench = try ToolBench()
        let script = "trap '' TERM; echo $$ > ready; while true; do sleep 0.05; done"
        try await bench.run(bench.tool(script, grace: .milliseconds(300)))
        let pid = try await bench.pid(inFile: "ready")
        let start = ContinuousClock.now
        try await bench.supervisor.stop("tool")
        #expect(ContinuousClock.now - start >= .milliseconds(300))
        #expect(!TestProcess.exists(pid))
        #expect(bench.events.last == "stopped stopped")
    }

    @Test("one that ends in its own time when asked to is not killed")
    func endsGracefully() async throws {
        let bench = try ToolBench()
        let script =
            "trap 'sleep 0.2; echo done > farewell; exit 0' TERM; echo $$ > ready; while true; do sleep 0.05; done"
        try await bench.run(bench.tool(script))
        _ = try await bench.pid(inFile: "ready")
        try await bench.supervisor.stop("tool")
        #expect(try bench.directory.text(of: "farewell") == "done\n")
    }

    @Test("one that is halted (SIGSTOP) is stopped too")
    func halted() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exec sleep 600"))
        let pid = try bench.pid()
        kill(pid, SIGSTOP)
        try await bench.supervisor.stop("tool")
        #expect(!TestProcess.exists(pid))
    }

    @Test("children die with their tool, those in a session of their own too", arguments: ["stop", "kill", "exit"])
    func children(_ way: String) async throws {
        let bench = try ToolBench()
        #if os(Linux)
            let escape = "setsid sh -c 'echo $$ > escaped; trap \"\" TERM HUP; while true; do sleep 0.05; done' &"
        #else
            let escape = "echo $$ > escaped"
        #endif
        let script = """
            sh -c 'echo $$ > child; trap "" TERM HUP; while true; do sleep 0.05; done' &
            \(escape)
            while [ ! -e leave ]; do sleep 0.02; done; exit 3
            """
        try await bench.run(bench.tool(script, grace: .milliseconds(200)))
        let child = try await bench.pid(inFile: "child")
        let escaped = try await bench.pid(inFile: "escaped")
        switch way {
        case "stop": try await bench.supervisor.stop("tool")
        case "kill":
            kill(try bench.pid(), SIGKILL)
            #expect(try await bench.events(3).last == "crashed killed by signal 9 (SIGKILL) 1")
        default:
            try bench.directory.file("leave", "")
            #expect(try await bench.events(3).last == "crashed exited with code 3 1")
        }
        #expect(!TestProcess.exists(child))
        #expect(!TestProcess.exists(escaped))
        await bench.supervisor.shutdown()
    }

    @Test("one that signals its whole group does not shake its guard off")
    func signalsGroup() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("trap '' TERM; kill -TERM 0; trap - TERM; exit 7"))
        #expect(try await bench.events(3).last == "crashed exited with code 7 1")
        try await bench.supervisor.start("tool")
        await bench.supervisor.shutdown()
    }

    @Test("one whose guard is killed is killed too, for it might outlive its supervisor, and runs again")
    func losesGuard() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("exec sleep 600"))
        let pid = try bench.pid()
        let group = getpgid(pid)
        #expect(group != pid && group != getpgid(0))
        kill(group, SIGKILL)
        let expected = "crashed killed by signal 9 (SIGKILL), since its guard process was killed 1"
        #expect(try await bench.events(3).last == expected)
        #expect(!TestProcess.exists(pid))
        try await bench.pass(.seconds(1))
        #expect(try await bench.events(4).last == "started")
        await bench.supervisor.shutdown()
    }

    @Test(
        "a gigabyte of output, as one endless line or as many, neither blocks nor fills memory",
        arguments: [
            "head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo end >&2",
            "yes \(String(repeating: "long ", count: 200)) | head -c 1000000000; echo; echo end >&2",
        ]
    )
    func gigabyte(_ script: String) async throws {
        let bench = try ToolBench()
        #if os(Linux)
            let before = ToolProcesses.memory
        #endif
        try await bench.run(bench.tool(script))
        #expect(try await bench.events(3, within: .seconds(120)).last == "stopped exited")
        #if os(Linux)
            #expect(ToolProcesses.memory - before < 200 << 20)
        #endif
        let lines = bench.logged.lines
        #expect(lines.contains("info tool stderr: end"))
        let isOneLine = script.hasPrefix("head")
        #expect(lines.contains { $0.contains(isOneLine ? "bytes cut" : "lines dropped") })
        #expect(lines.allSatisfy { $0.utf8.count < 9_000 })
    }

    #if os(Linux)
        @Test("hundreds of starts leave no descriptor and no zombie behind")
        func leaks() async throws {
            let bench = try ToolBench()
            for number in 0..<4 { try await bench.supervisor.install(bench.tool("exit 0", name: "tool\(number)")) }
            var lost = bench.tool("")
            lost.name = "lost"
            lost.command = ["/proc/self/status"]
            try await bench.supervisor.install(lost)
            try await bench.supervisor.start("tool0")
            _ = try await bench.events(7)
            let descriptors = ToolProcesses.descriptors
            let starts = ProcessInfo.processInfo.environment["MESH_EVENTS_LONG"] == "1" ? 250 : 25
            try await withThrowingTaskGroup { group in
                for number in 0..<4 {
                    group.addTask {
                        for _ in 0..<starts { try await bench.supervisor.restart("tool\(number)") }
                    }
                }
                group.addTask { for _ in 0..<starts { try? await bench.supervisor.start("lost") } }
                try await group.waitForAll()
            }
            await bench.supervisor.shutdown()
            // Other tests of this process may run theirs at the same time.
            try await eventually("\(descriptors) descriptors, not \(ToolProcesses.descriptors)") {
                ToolProcesses.descriptors <= descriptors + 8
            }
            try await eventually("the children to be reaped: \(ToolProcesses.children)") {
                ToolProcesses.children.allSatisfy { TestProcess.exists($0) }
            }
        }
    #endif

    private func error(_ body: () async throws -> Void) async -> ToolError? {
        do { try await body() } catch { return error as? ToolError }
        return nil
    }
}
