import Foundation
import MeshConcurrency
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

#if os(Linux)
    import Glibc

    /// Real tools, and the same figures from psutil, which reads them in a way of its own.
    @Suite("What tools use", .timeLimit(.minutes(5)))
    struct ToolUsageTests {
        /// A tool of four processes: itself, a child, a daemon in a session of its own, and one that was started with an empty
        /// environment by processes that have ended. Each holds memory, files and threads, writes, and works when it is asked to.
        private static let program = """
            import os, subprocess, sys, threading, time

            directory, role = sys.argv[1], sys.argv[2]

            def path(name): return os.path.join(directory, name)
            def wait(name):
                while not os.path.exists(path(name)): time.sleep(0.02)
            def orphan(start):
                child = os.fork()
                if child == 0:
                    os.setsid()
                    if os.fork() == 0: start()
                    os._exit(0)
                os.waitpid(child, 0)
            def work(seconds):
                end = time.process_time() + seconds
                while time.process_time() < end: pass
            def live(role, megabytes, count):
                block = bytearray(megabytes << 20)
                for index in range(0, len(block), 4096): block[index] = 1
                files = [open(path(f"{role}.{number}"), "wb") for number in range(count)]
                files[0].write(os.urandom(3 << 20))
                files[0].flush()
                os.fsync(files[0].fileno())
                for number in range(2): threading.Thread(target=wait, args=("end",), daemon=True).start()
                with open(path(f"ready.{role}"), "w") as file: file.write(f"{os.getpid()}\\n")
                wait("work")
                work(0.5)
                if role == "main":
                    # These start and end between two samples.
                    for number in range(3):
                        subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.2: pass"])
                with open(path(f"done.{role}"), "w"): pass
                wait("end")

            if role != "main":
                live(role, 24, 5)
                sys.exit()
            wait("go")
            if os.fork() == 0: live("child", 32, 10)
            orphan(lambda: live("daemon", 16, 7))
            orphan(lambda: os.execve(sys.executable, [sys.executable, __file__, directory, "stranger"], {}))
            live("main", 64, 20)
            """

        /// Adds up what psutil says of processes.
        private static let reference = """
            import json, os, psutil
            sums = dict.fromkeys(["memory", "threads", "files", "read", "written", "cpu"], 0)
            for pid in os.environ["PIDS"].split():
                process = psutil.Process(int(pid))
                with process.oneshot():
                    times, io = process.cpu_times(), process.io_counters()
                    sums["memory"] += process.memory_info().rss
                    sums["threads"] += process.num_threads()
                    sums["files"] += process.num_fds()
                    sums["read"] += io.read_bytes
                    sums["written"] += io.write_bytes
                    sums["cpu"] += times.user + times.system + times.children_user + times.children_system
            print(json.dumps(sums))
            """

        private static let roles = ["main", "child", "daemon", "stranger"]

        private func reference(_ pids: [Int32]) async throws -> JSONValue {
            let list = pids.map(String.init).joined(separator: " ")
            let text = try await Python.run(Self.reference, environment: ["PIDS": list], Python.executable)
            return try EventData(json: text).value
        }

        private func isNear(_ one: Double?, _ other: Double?, atLeast slack: Double = 0) -> Bool {
            guard let one, let other else { return false }
            return abs(one - other) <= max(other * 0.1, slack)
        }

        @Test("the figures of a tool that forks, daemonizes and clears its environment are psutil's, within 10 %")
        func comparison() async throws {
            let bench = try ToolBench()
            let script = try bench.directory.file("tool.py", Self.program)
            let tool = ToolSpecification(
                name: "tool",
                version: "1",
                command: [Python.executable, script, bench.directory.path, "main"],
                directory: bench.directory.path,
                gracePeriod: .seconds(20)
            )
            try await bench.run(tool)
            try bench.directory.file("go", "")
            var pids: [Int32] = []
            for role in Self.roles { pids.append(try await bench.pid(inFile: "ready.\(role)")) }
            let status = try #require(bench.supervisor.tool(named: "tool"))
            let program = ToolUsageSampler.Program(try #require(status.family))
            let sampler = ToolUsageSampler(maximumAge: .zero)

            let before = try await reference(pids)
            let start = ContinuousClock.now
            let first = try #require(sampler.usage(of: ["tool": program])["tool"])
            #expect(first.processes == 4, "\(first)")
            #expect(Double(first.threads ?? 0) == before["threads"]?.double, "\(first), not \(before)")
            #expect(Double(first.files ?? 0) == before["files"]?.double, "\(first), not \(before)")
            #expect(isNear(first.memoryMB, before["memory"]?.double.map { $0 / 1_048_576 }), "\(first), not \(before)")
            #expect(
                isNear(first.readMB, before["read"]?.double.map { $0 / 1_048_576 }, atLeast: 0.1),
                "\(first), not \(before)"
            )
            #expect(
                isNear(first.writtenMB, before["written"]?.double.map { $0 / 1_048_576 }, atLeast: 0.1),
                "\(first), not \(before)"
            )

            try bench.directory.file("work", "")
            for role in Self.roles {
                try await eventually("the work of \(role)") {
                    TemporaryDirectory.exists(bench.directory.path + "/done.\(role)")
                }
            }
            let passed = (ContinuousClock.now - start) / .seconds(1)
            let second = try #require(sampler.usage(of: ["tool": program])["tool"])
            let after = try await reference(pids)
            let used = (after["cpu"]?.double ?? 0) - (before["cpu"]?.double ?? 0)
            // Four times half a second, and three children.
            #expect(used > 2.4, "\(before), \(after)")
            #expect(isNear(second.cpu.map { $0 * passed }, used), "\(second) in \(passed) s, not \(used)")
            #expect(second.processes == 4)

            // The supervisor says the same by itself.
            try await eventually("the supervisor's figures") {
                bench.supervisor.tool(named: "tool")?.usage?.processes == 4
            }
            try await bench.supervisor.stop("tool")
            for pid in pids { try await ToolProcesses.end(of: pid) }
            #expect(bench.supervisor.tool(named: "tool")?.usage == nil)
            await bench.supervisor.shutdown()
        }

        @Test("figures of a tool are in its status, each tool's apart, and gone when it has ended")
        func statuses() async throws {
            let bench = try ToolBench()
            try await bench.run(bench.tool("sleep 600 & sleep 600 & wait", name: "three"))
            try await bench.run(bench.tool("exec sleep 600", name: "one"))
            try await bench.supervisor.install(bench.tool("exit", name: "none"))
            try await eventually("the figures of both") {
                bench.supervisor.tools.map(\.usage?.processes) == [nil, 1, 3]
            }
            let usage = try #require(bench.supervisor.tool(named: "three")?.usage)
            #expect((usage.memoryMB ?? 0) > 0.5 && usage.threads == 3 && (usage.files ?? 0) >= 9 && usage.gpus.isEmpty)
            try await bench.supervisor.stop("three")
            #expect(bench.supervisor.tool(named: "three")?.usage == nil)
            let pid = try bench.pid("one")
            try await bench.supervisor.restart("one")
            try await eventually("the figures of the new run") {
                bench.supervisor.tool(named: "one")?.usage?.processes == 1
            }
            #expect(try bench.pid("one") != pid)
            await bench.supervisor.shutdown()
        }

        @Test("a program that no supervisor started is found with its descendants")
        func plain() async throws {
            let directory = try TemporaryDirectory()
            let process = try SpawnedProcess("/bin/sh", ["-c", "sleep 600 & echo $! > \(directory.path)/pid; wait"])
            let text = { (try? directory.text(of: "pid")) ?? "" }
            try await eventually("its child") { text().hasSuffix("\n") }
            let sampler = ToolUsageSampler(maximumAge: .zero)
            try await eventually("both processes") {
                sampler.usage(of: ["shell": .init(pid: process.pid)])["shell"]?.processes == 2
            }
            #expect(sampler.usage(of: ["none": .init(pid: Int32.max)]) == [:] && sampler.usage(of: [:]) == [:])
            let child = try #require(Int32(text().trimmingCharacters(in: .whitespacesAndNewlines)))
            TestProcess.signal(child, SIGKILL)
        }

        @Test("a sample of 200 programs costs far less than two hundredths of a processor at ten seconds")
        func cost() async throws {
            let directory = try TemporaryDirectory()
            let script = """
                i=0
                while [ $i -lt 200 ]; do sleep 600 & echo $!; i=$((i + 1)); done > \(directory.path)/some
                mv \(directory.path)/some \(directory.path)/pids
                wait
                """
            let process = try SpawnedProcess("/bin/sh", ["-c", script])
            try await eventually("200 processes") { TemporaryDirectory.exists(directory.path + "/pids") }
            let pids = try directory.text(of: "pids").split(separator: "\n").compactMap { Int32($0) }
            defer { for pid in pids { TestProcess.signal(pid, SIGKILL) } }
            #expect(pids.count == 200 && process.isRunning)
            var programs: [String: ToolUsageSampler.Program] = [:]
            for pid in pids { programs["tool \(pid)"] = .init(pid: pid) }
            let sampler = ToolUsageSampler(maximumAge: .zero)
            var costs: [Duration] = []
            for _ in 0..<10 {
                let start = Self.threadTime
                let usage = sampler.usage(of: programs)
                costs.append(Self.threadTime - start)
                #expect(usage.count == 200 && usage.values.allSatisfy { $0.processes == 1 })
            }
            let middle = costs.sorted()[5]
            print("a sample of 200 programs: \(Int(middle / .microseconds(1))) µs of processor time")
            // Without optimization it takes several times as long.
            #expect(middle < .milliseconds(200), "\(costs)")
        }

        /// What this thread has used of processors.
        private static var threadTime: Duration {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }
    }
#endif
