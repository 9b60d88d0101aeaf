import Foundation
import MeshEvents
import MeshSupervision
import TestSupport
import Testing

/// Tools that read back what they were started with.
@Suite("Priority, processors, umask, limits and user of a tool")
struct ToolProcessSettingsTests {
    /// What a program writes on standard output in one line, started with these settings.
    private func said(_ program: [String], _ settings: ToolProcessSettings) async throws -> String {
        let bench = try ToolBench()
        // A directory that every user may enter.
        let tool = ToolSpecification(name: "tool", command: program, directory: "/", process: settings)
        try await bench.run(tool)
        try await eventually("a line of \(bench.logged.lines)") {
            bench.logged.lines.contains { $0.hasPrefix("info tool stdout: ") }
                || bench.events.contains { $0.hasPrefix("crashed") }
        }
        let line = bench.logged.lines.first { $0.hasPrefix("info tool std") } ?? "\(bench.events)"
        await bench.supervisor.shutdown()
        return line.replacing("info tool stdout: ", with: "")
    }

    private func python(_ expression: String, _ settings: ToolProcessSettings) async throws -> String {
        let script = "import os, resource as r, signal, time; print(\(expression), flush=True); time.sleep(600)"
        return try await said(["/usr/bin/python3", "-c", script], settings)
    }

    @Test("nice, umask and processors are those of the specification")
    func priority() async throws {
        #expect(try await python("os.getpriority(os.PRIO_PROCESS, 0)", .init(nice: 7)) == "7")
        #expect(try await python("oct(os.umask(0))", .init(umask: 0o027)) == "0o27")
        #if os(Linux)
            #expect(try await python("sorted(os.sched_getaffinity(0))", .init(cpus: [0])) == "[0]")
        #endif
        let all = ToolProcessSettings(nice: 3, cpus: [0], umask: 0o077, limits: [.nofile: .at(99)])
        let expression = "os.getpriority(os.PRIO_PROCESS, 0), os.umask(0), r.getrlimit(r.RLIMIT_NOFILE)"
        #expect(try await python(expression, all) == "3 63 (99, 99)")
    }

    @Test("each limit is set, soft and hard", arguments: ToolProcessSettings.Resource.allCases)
    func limits(_ resource: ToolProcessSettings.Resource) async throws {
        let name = "r.RLIMIT_\(resource.rawValue.uppercased())"
        let own = try #require(
            try await UInt64(python("r.getrlimit(\(name))[1] & 0x7fffffffffffffff", .init(umask: 0)))
        )
        // No higher than that of this process.
        let value = min(own, resource.isSize ? 4 << 30 : 512)
        let settings = ToolProcessSettings(limits: [resource: .at(value)])
        #expect(try await python("r.getrlimit(\(name))", settings) == "(\(value), \(value))")
        let none = try await python("r.getrlimit(r.RLIMIT_CORE)", .init(limits: [.core: .at(0)]))
        #expect(none == "(0, 0)")
    }

    @Test("no limit is no limit")
    func unlimited() async throws {
        let settings = ToolProcessSettings(limits: [.fsize: .unlimited])
        #expect(try await python("r.getrlimit(r.RLIMIT_FSIZE)", settings) == "(-1, -1)")
    }

    @Test("another user: its number, group and groups, its HOME, and no way back", .enabled(if: getuid() == 0))
    func user() async throws {
        let expression = """
            os.getresuid(), os.getresgid(), os.getgroups(), os.environ['HOME'], os.environ['USER'], \
            os.environ['LOGNAME'], os.environ['JB_TOOL_NAME']
            """
        let entry = try #require(getpwnam("nobody")?.pointee)
        let (uid, gid, home) = (entry.pw_uid, entry.pw_gid, String(cString: entry.pw_dir))
        let expected = """
            (\(uid), \(uid), \(uid)) (\(gid), \(gid), \(gid)) [\(gid)] \(home) nobody nobody tool
            """
        #expect(try await python(expression, .init(user: "nobody")) == expected)
        #expect(try await python(expression, .init(user: "\(uid)")) == expected)
        // What needs root is done before: a lower nice value.
        let raised = ToolProcessSettings(nice: -5, limits: [.nofile: .at(77)], user: "nobody")
        let all = "os.getuid(), os.getpriority(os.PRIO_PROCESS, 0), r.getrlimit(r.RLIMIT_NOFILE)[1]"
        #expect(try await python(all, raised) == "\(uid) -5 77")
        #expect(
            try await said(["sh", "-c", "kill -0 1 2>/dev/null && echo root || echo harmless"], .init(user: "nobody"))
                == "harmless"
        )
    }

    @Test("a tool of another user may say that it is ready", .enabled(if: getuid() == 0))
    func ready() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let script = """
            import os, socket, time
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
            time.sleep(600)
            """
        var tool = ToolSpecification(
            name: "tool",
            command: ["/usr/bin/python3", "-c", script],
            directory: "/",
            process: .init(user: "nobody")
        )
        tool.health.readiness = .notified
        try await bench.run(tool)
        try await eventually("it to be ready; there are \(bench.events) and \(bench.logged.lines)") {
            bench.supervisor.tool(named: "tool")?.health.isReady == true
        }
        await bench.supervisor.shutdown()
    }

    @Test("the variables of a specification win over those of its user", .enabled(if: getuid() == 0))
    func variables() async throws {
        let bench = try ToolBench()
        let tool = ToolSpecification(
            name: "tool",
            command: ["sh", "-c", "echo $HOME $USER; exec sleep 600"],
            environment: ["HOME": "/srv"],
            directory: "/",
            process: .init(user: "nobody")
        )
        try await bench.run(tool)
        try await eventually("a line") { bench.logged.lines.contains("info tool stdout: /srv nobody") }
        // Its group is the node's guard's, so that it ends with it all the same.
        let pid = try bench.pid()
        try await bench.supervisor.stop("tool")
        #expect(!TestProcess.exists(pid) && bench.events.last == "stopped stopped")
    }

    @Test("a program with settings inherits no descriptor and ignores no signal")
    func clean() async throws {
        let before = signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, before) }
        let settings = ToolProcessSettings(umask: 0o022)
        #if os(Linux)
            #expect(
                try await python(
                    "sorted(map(int, os.listdir('/proc/self/fd')))[:3], len(os.listdir('/proc/self/fd'))",
                    settings
                ) == "[0, 1, 2] 4"
            )
            let status = """
                [hex(int(l.split()[1], 16) & ~(3 << 31)) for l in open('/proc/self/status') if l[:6] in ('SigBlk', 'SigIgn')]
                """
            // Python ignores SIGPIPE and SIGXFSZ itself. The signals 32 and 33 are the C library's own.
            let masks = try await python(status, settings)
            #expect(masks == "['0x0', '0x1001000']")
        #endif
        #expect(try await python("os.path.realpath('.'), os.read(0, 1)", settings) == "/ b''")
    }

    @Test("what cannot be set is said, with what to do, and nothing is announced as started")
    func refused() async throws {
        let bench = try ToolBench()
        let locked = bench.directory.path + "/locked"
        try FileManager.default.createDirectory(
            atPath: locked,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        var cases: [(settings: ToolProcessSettings, directory: String, code: ToolError.Code, words: String)] = [
            (
                .init(user: "no-such-user"), "/", .invalidSpecification,
                "there is no user 'no-such-user' on this machine"
            ),
            (.init(cpus: [1_023]), "/", .launchFailed, "it cannot run on these processors only"),
            (.init(nice: 20), "/", .invalidSpecification, "has a nice value of 20; it goes from -20 to 19"),
            (.init(umask: 0o1000), "/", .invalidSpecification, "has a umask that is not from 0 to 0777"),
        ]
        if getuid() == 0 {
            cases.append(
                (
                    .init(user: "nobody"), locked, .launchFailed,
                    "its working directory \(locked) cannot be entered as user nobody: Permission denied"
                )
            )
            // More than the system allows anyone.
            cases.append(
                (
                    .init(limits: [.nofile: .at(1 << 30)]), "/", .launchFailed,
                    "its limit nofile cannot be set to 1073741824: Operation not permitted; only root"
                )
            )
        } else {
            cases.append((.init(user: "root"), "/", .invalidSpecification, "only a node that runs as root"))
        }
        for (index, test) in cases.enumerated() {
            let tool = ToolSpecification(
                name: "tool\(index)",
                command: ["sleep", "600"],
                directory: test.directory,
                process: test.settings
            )
            let before = bench.events.count
            let error = await error { try await bench.run(tool) }
            #expect(error?.code == test.code, "\(String(describing: error))")
            #expect(error?.message.contains(test.words) == true, "\(error?.message ?? "")")
            #expect(!bench.events[before...].contains("started"))
        }
        await bench.supervisor.shutdown()
    }

    @Test("a script whose interpreter is missing is named as without settings")
    func interpreter() async throws {
        let bench = try ToolBench()
        let script = try bench.directory.script("lost", "true")
        try bench.directory.file("lost", "#!/no/such/interpreter\n")
        let tool = ToolSpecification(name: "tool", command: [script], process: .init(nice: 1))
        let error = await error { try await bench.run(tool) }
        #expect(error?.code == .launchFailed && error?.message.contains("the interpreter in its first line") == true)
    }

    @Test("a hundred starts and ends leave no process, descriptor or zombie behind")
    func repeated() async throws {
        #if os(Linux)
            let bench = try ToolBench()
            try await bench.supervisor.install(
                ToolSpecification(
                    name: "tool",
                    command: ["true"],
                    directory: "/",
                    restart: .init(mode: .never),
                    process: .init(nice: 1)
                )
            )
            try await bench.supervisor.start("tool")
            _ = try await bench.events(3)
            let descriptors = ToolProcesses.descriptors
            for count in 1...100 {
                try await bench.supervisor.start("tool")
                _ = try await bench.events(3 + 2 * count)
            }
            #expect(bench.events.allSatisfy { !$0.hasPrefix("crashed") })
            try await eventually("descriptors and children as before") {
                ToolProcesses.descriptors <= descriptors + 4
            }
            await bench.supervisor.shutdown()
        #endif
    }

    private func error(_ body: () async throws -> Void) async -> ToolError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ToolError
        }
    }
}
