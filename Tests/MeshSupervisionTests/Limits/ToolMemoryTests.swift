import Foundation
import MeshEvents
import MeshEventsTesting
import MeshSupervision
import TestSupport
import Testing

/// Tools that take more than there is.
@Suite("Tools without end to what they take")
struct ToolMemoryTests {
    /// Takes memory, and then waits.
    private func eater(_ megabytes: Int, children: Int = 0, ignoresTerm: Bool = false) -> [String] {
        [
            "/usr/bin/python3", "-c",
            """
            import os, signal, time
            if \(ignoresTerm ? "True" : "False"): signal.signal(signal.SIGTERM, signal.SIG_IGN)
            def take():
                held = bytearray(\(megabytes) << 20)
                held[::4096] = b'x' * len(held[::4096])
                time.sleep(600)
            for _ in range(\(children)):
                if os.fork() == 0:
                    os.setsid()
                    take()
            if \(children) == 0: take()
            time.sleep(600)
            """,
        ]
    }

    /// Moves the clock until there are so many events.
    private func events(_ count: Int, _ bench: ToolBench) async throws -> [String] {
        try await eventually(within: .seconds(60), "\(count) events; there are \(bench.events)") {
            if bench.clock.sleepers > 0 { bench.clock.advance(by: .seconds(1)) }
            return bench.events.count >= count
        }
        return bench.events
    }

    #if os(Linux)
        @Test(
            "one that uses more than its limit is ended, the reason says so, and it runs again by its policy",
            arguments: ToolMemoryLimit.Action.allCases
        )
        func tooMuch(_ action: ToolMemoryLimit.Action) async throws {
            let bench = try ToolBench()
            let tool = ToolSpecification(
                name: "tool",
                command: eater(200, ignoresTerm: action == .kill),
                // The clock runs faster than the tool.
                restart: RestartPolicy(stableAfter: .seconds(1_000_000), maximumRestarts: 1),
                gracePeriod: .seconds(60),
                memory: ToolMemoryLimit(maximum: 100 << 20, action: action)
            )
            let start = ContinuousClock.now
            try await bench.run(tool)
            let events = try await events(6, bench)
            let pattern = /used [12]\d\d(\.\d)? MB, more than its limit of 100 MB/
            for (index, count) in [(2, 1), (4, 2)] {
                #expect(
                    events[index].wholeMatch(of: /crashed (.*) (\d)/)?.1.wholeMatch(of: pattern) != nil,
                    "\(events)"
                )
                #expect(events[index].hasSuffix(" \(count)"))
            }
            #expect(events[5].hasPrefix("stopped gave up after 1 restarts (failed: used "))
            // The grace period of one that is killed does not count.
            #expect(action == .restart || ContinuousClock.now - start < .seconds(50))
            #expect(bench.supervisor.tool(named: "tool")?.state == .failed)
        }

        @Test("its children count, those in sessions of their own too")
        func children() async throws {
            let bench = try ToolBench()
            var tool = ToolSpecification(
                name: "tool",
                command: eater(60, children: 3),
                restart: RestartPolicy(mode: .never),
                memory: ToolMemoryLimit(maximum: 150 << 20)
            )
            try await bench.run(tool)
            #expect(try await events(3, bench).last?.hasPrefix("crashed used ") == true)
            // One that stays below runs on.
            tool.name = "modest"
            tool.memory = ToolMemoryLimit(maximum: 2 << 30)
            try await bench.run(tool)
            for _ in 0..<5 { try await bench.pass(.seconds(1)) }
            #expect(bench.supervisor.tool(named: "modest")?.state == .running)
            await bench.supervisor.shutdown()
        }

        @Test("what has left its group and cleared its environment counts", .enabled(if: getuid() == 0))
        func daemons() async throws {
            for user in [nil, "nobody"] {
                let bench = try ToolBench()
                let daemon =
                    "import time; held = bytearray(120 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(600)"
                let script = """
                    import os, time
                    if os.fork() == 0:
                        os.setsid()
                        if os.fork(): os._exit(0)
                        os.execve('/usr/bin/python3', ['python3', '-c', \"\"\"\(daemon)\"\"\"], {})
                    os.wait(); time.sleep(600)
                    """
                let tool = ToolSpecification(
                    name: "tool",
                    command: ["/usr/bin/python3", "-c", script],
                    directory: "/",
                    restart: RestartPolicy(mode: .never),
                    process: .init(nice: 1, user: user),
                    memory: ToolMemoryLimit(maximum: 100 << 20)
                )
                try await bench.run(tool)
                let last = try await events(3, bench).last
                #expect(last?.hasPrefix("crashed used 1") == true, "\(last ?? "")")
            }
        }

        @Test("one whose first thread has ended counts, by the memory of the others")
        func deadLeader() async throws {
            let bench = try ToolBench()
            let script = """
                import ctypes, platform, threading, time
                def take():
                    time.sleep(0.5)
                    held = bytearray(120 << 20)
                    held[::4096] = b'x' * len(held[::4096])
                    time.sleep(600)
                threading.Thread(target=take).start()
                number = 60 if platform.machine() == 'x86_64' else 93
                ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_long(0))
                """
            let tool = ToolSpecification(
                name: "tool",
                command: ["/usr/bin/python3", "-c", script],
                restart: RestartPolicy(mode: .never),
                memory: ToolMemoryLimit(maximum: 100 << 20)
            )
            try await bench.run(tool)
            let last = try await events(3, bench).last
            #expect(last?.hasPrefix("crashed used 1") == true, "\(last ?? "")")
        }

        @Test("a process of another user that copies a tool's limit does not count", .enabled(if: getuid() == 0))
        func copiedMark() async throws {
            let bench = try ToolBench()
            let tool = ToolSpecification(
                name: "tool",
                command: ["/usr/bin/python3", "-c", "import time; time.sleep(600)"],
                restart: RestartPolicy(mode: .never),
                memory: ToolMemoryLimit(maximum: 100 << 20)
            )
            try await bench.run(tool)
            let pid = try bench.pid()
            let output = try TemporaryDirectory()
            let script = """
                import os, resource, time
                marked = resource.prlimit(\(pid), 10)[0]
                resource.setrlimit(10, (marked, resource.getrlimit(10)[1]))
                ready = os.open('\(output.path)/ready', os.O_CREAT | os.O_WRONLY)
                os.setuid(65534)
                held = bytearray(200 << 20)
                held[::4096] = b'x' * len(held[::4096])
                os.write(ready, b'1')
                time.sleep(600)
                """
            let copy = try SpawnedProcess("/usr/bin/python3", ["-c", script])
            try await eventually("the copy's memory") { (try? output.text(of: "ready")) == "1" }
            for _ in 0..<5 {
                try await bench.pass(.seconds(1))
                // Figures are as old as half a second.
                try await Task.sleep(for: .milliseconds(600))
            }
            #expect(bench.supervisor.tool(named: "tool")?.state == .running && copy.isRunning)
            await bench.supervisor.shutdown()
            #expect(copy.isRunning)
        }

        @Test("a limit that is changed counts for the process that runs")
        func changed() async throws {
            let bench = try ToolBench()
            var tool = ToolSpecification(name: "tool", command: eater(100), restart: RestartPolicy(mode: .never))
            let before = ToolManifest(tools: [tool])
            await bench.supervisor.apply(ToolManifest().difference(to: before))
            let pid = try bench.pid()
            tool.memory = ToolMemoryLimit(maximum: 50 << 20)
            let difference = before.difference(to: ToolManifest(tools: [tool]))
            #expect(difference.changed.map(\.kind) == [.supervision])
            await bench.supervisor.apply(difference)
            #expect(try await events(3, bench).last?.hasPrefix("crashed used ") == true)
            #expect(!TestProcess.exists(pid))
        }

        @Test("a stop while it is ended for its memory is a stop")
        func stopped() async throws {
            let bench = try ToolBench()
            let tool = ToolSpecification(
                name: "tool",
                command: eater(100, ignoresTerm: true),
                gracePeriod: .seconds(2),
                memory: ToolMemoryLimit(maximum: 50 << 20)
            )
            try await bench.run(tool)
            try await eventually("the warning") {
                if bench.clock.sleepers > 0 { bench.clock.advance(by: .seconds(1)) }
                return bench.logged.lines.contains { $0.contains("tool is ended: it used") }
            }
            try await bench.supervisor.stop("tool")
            #expect(bench.events == ["installed ", "started", "stopped stopped"])
        }
    #endif

    @Test("a limit of the address space ends an allocation, and the tool with its own code")
    func addressSpace() async throws {
        let bench = try ToolBench()
        let script = """
            try: held = bytearray(4 << 30)
            except MemoryError: raise SystemExit(42)
            """
        let tool = ToolSpecification(
            name: "tool",
            command: ["/usr/bin/python3", "-c", script],
            restart: RestartPolicy(mode: .never),
            process: .init(limits: [.as: .at(1 << 30)])
        )
        try await bench.run(tool)
        #expect(try await bench.events(3).last == "crashed exited with code 42 1")
    }

    @Test("one that runs out of descriptors, or writes too large a file, fails alone")
    func others() async throws {
        let bench = try ToolBench()
        let opens = """
            import os, errno
            try:
                while True: os.open('/dev/null', os.O_RDONLY)
            except OSError as error: raise SystemExit(error.errno)
            """
        try await bench.run(
            ToolSpecification(
                name: "opens",
                command: ["/usr/bin/python3", "-c", opens],
                restart: RestartPolicy(mode: .never),
                process: .init(limits: [.nofile: .at(64)])
            )
        )
        #expect(try await bench.events(3).last == "crashed exited with code \(EMFILE) 1")
        let count = bench.events.count
        try await bench.run(
            ToolSpecification(
                name: "writes",
                command: ["sh", "-c", "exec dd if=/dev/zero of=big bs=65536 count=1000"],
                directory: bench.directory.path,
                restart: RestartPolicy(mode: .never),
                process: .init(limits: [.fsize: .at(1 << 20), .core: .at(0)])
            )
        )
        #expect(try await bench.events(count + 3).last == "crashed killed by signal 25 (SIGXFSZ) 1")
        #expect(try directory(bench, "big") == 1 << 20)
    }

    #if os(Linux)
        @Test("one that fills its disk fails with what it says, and the others go on")
        func disk() async throws {
            let (bench, disk) = (try ToolBench(), try SmallDisk(megabytes: 1))
            try await bench.run(bench.tool("while :; do echo on >> steady; sleep 0.05; done", name: "steady"))
            try await bench.run(
                ToolSpecification(
                    name: "fills",
                    command: ["/usr/bin/python3", "-c", "open('big', 'wb').write(bytes(4 << 20))"],
                    directory: disk.path,
                    restart: RestartPolicy(mode: .never),
                    process: .init(nice: 5)
                )
            )
            #expect(try await bench.events(5).last == "crashed exited with code 1 1")
            let said = try #require(bench.supervisor.tool(named: "fills")?.lastOutput.last)
            #expect(said == "OSError: [Errno 28] No space left on device")
            let size = try directory(bench, "steady") ?? 0
            try await eventually("the other to write on") { try (directory(bench, "steady") ?? 0) > size }
            await bench.supervisor.shutdown()
        }
    #endif

    @Test("one that uses its processor time up is ended")
    func processorTime() async throws {
        let bench = try ToolBench()
        try await bench.run(
            ToolSpecification(
                name: "spins",
                command: ["sh", "-c", "while :; do :; done"],
                restart: RestartPolicy(mode: .never),
                process: .init(limits: [.cpu: .at(1)])
            )
        )
        let last = try await bench.events(3, within: .seconds(60)).last
        #expect(last == "crashed killed by signal 9 (SIGKILL) 1" || last == "crashed killed by signal 24 (SIGXCPU) 1")
    }

    private func directory(_ bench: ToolBench, _ file: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: "\(bench.directory.path)/\(file)")[.size] as? Int
    }
}
