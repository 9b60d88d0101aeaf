import Foundation
import MeshEvents
import ProcessGuard
import TestSupport
import Testing

@testable import MeshSupervision

/// Tools that hang, refuse, fail and are silent, as real processes under a real supervisor.
@Suite("Whether a tool works", .timeLimit(.minutes(3)))
struct ToolHealthTests {
    /// A web server whose answers are in files: `status`, and `stop` to end with that code. `listens` says that it does.
    static let web = #"""
        import http.server, os, sys
        here = os.path.dirname(os.path.abspath(__file__))
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, _, text = open(here + "/status").read().strip().partition(" ")
                self.send_response(int(status))
                self.end_headers()
                self.wfile.write(text.encode())
            def log_message(self, *arguments): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
        open(here + "/listens", "w").close()
        server.serve_forever()
        """#

    /// A tool that does what the lines of its script say, and has `notify`.
    static func speaker(_ script: String) -> String {
        """
        import os, socket, sys, time, subprocess, signal
        here = os.path.dirname(os.path.abspath(__file__))
        def notify(text):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
        def wait(name):
            while not os.path.exists(here + "/" + name): time.sleep(0.01)

        """ + script
    }

    private func bench() throws -> ToolBench { try ToolBench(clock: ContinuousClock()) }

    private func web(_ bench: ToolBench, _ port: Int, _ status: String = "200") throws -> ToolSpecification {
        try bench.directory.file("status", status)
        let script = try bench.directory.file("web.py", Self.web)
        var tool = bench.tool("")
        tool.command = ["/usr/bin/python3", script, "\(port)"]
        tool.restart.initialDelay = .milliseconds(10)
        return tool
    }

    private func speaker(_ bench: ToolBench, _ script: String) throws -> ToolSpecification {
        var tool = bench.tool("")
        tool.command = ["/usr/bin/python3", try bench.directory.file("speaker.py", Self.speaker(script))]
        tool.restart.initialDelay = .milliseconds(10)
        return tool
    }

    private func probe(
        _ port: Int,
        every: Duration = .milliseconds(100),
        timeout: Duration = .seconds(10),
        failures: Int = 2
    ) -> ToolProbe {
        ToolProbe(.http("http://127.0.0.1:\(port)/"), every: every, timeout: timeout, failures: failures)
    }

    private func wait(for event: String, _ bench: ToolBench, count: Int = 1) async throws {
        try await eventually("\(count) of \(event) in \(bench.events)") {
            bench.events.count { $0.hasPrefix(event) } >= count
        }
    }

    @Test("ready when its probe passes; unhealthy and healthy again as it answers, and it runs on")
    func http() async throws {
        let bench = try bench()
        let port = try freePorts(1)[0]
        var tool = try web(bench, port)
        tool.health = ToolHealth(
            check: probe(port),
            readiness: .probed(probe(port)),
            onUnhealthy: .nothing
        )
        try await bench.run(tool)
        try await wait(for: "ready", bench)
        let pid = try bench.pid()
        #expect(bench.supervisor.tool(named: "tool")?.health == ToolStatus.Health(isReady: true))
        try bench.directory.file("status", "500 the model is gone, password=hunter2hunter2")
        try await wait(for: "unhealthy", bench)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        let health = status.health
        #expect(health.unhealthyReason == "it answered 500: the model is gone, password=[redacted]")
        #expect(health.unhealthySince != nil && health.isReady == true && status.readiness == .notReady)
        try bench.directory.file("status", "302")
        try await wait(for: "healthy", bench)
        #expect(bench.supervisor.tool(named: "tool")?.readiness == .ready)
        #expect(try bench.pid() == pid)
        await bench.supervisor.shutdown()
        #expect(
            bench.events == [
                "installed 1.0.0", "started, not ready", "ready",
                "unhealthy it answered 500: the model is gone, password=[redacted] 2", "healthy", "stopped shutdown",
            ]
        )
    }

    @Test("one that hangs (SIGSTOP) is found by its check, ended and started again, and is healthy then")
    func stopped() async throws {
        let bench = try bench()
        let port = try freePorts(1)[0]
        var tool = try web(bench, port)
        tool.health = ToolHealth(
            check: probe(port, timeout: .milliseconds(500)),
            readiness: .probed(probe(port))
        )
        try await bench.run(tool)
        try await wait(for: "ready", bench)
        kill(try bench.pid(), SIGSTOP)
        try await wait(for: "healthy", bench)
        await bench.supervisor.shutdown()
        #expect(
            bench.events == [
                "installed 1.0.0", "started, not ready", "ready",
                "unhealthy no answer within 500ms 2, restarting", "crashed unhealthy: no answer within 500ms 1",
                "started, not ready", "ready", "healthy", "stopped shutdown",
            ]
        )
    }

    @Test("one that stays unhealthy is given up after as many restarts as any that crashes")
    func givenUp() async throws {
        let bench = try bench()
        let port = try freePorts(1)[0]
        var tool = try web(bench, port, "503")
        tool.restart.maximumRestarts = 1
        tool.health = ToolHealth(check: probe(port, failures: 1), readyWithin: .milliseconds(500))
        // Before it listens the check fails, too: the reason may be either.
        try await bench.run(tool)
        try await wait(for: "stopped", bench)
        #expect(bench.events.count { $0.hasPrefix("unhealthy") } == 2)
        let end = "stopped gave up after 1 restarts (failed: not ready within 500ms"
        #expect(bench.events.last?.hasPrefix(end) == true)
        #expect(bench.supervisor.tool(named: "tool")?.health == ToolStatus.Health())
    }

    @Test("one that starts slowly and has a check alone is not ended for that: the first pass says that it is ready")
    func slowStart() async throws {
        let bench = try bench()
        var tool = bench.tool("exec sleep 600")
        let command = ToolProbe.Target.command(["sh", "-c", "echo asked >> asked; test -e works"])
        tool.health = ToolHealth(
            check: ToolProbe(command, every: .milliseconds(100), timeout: .seconds(30), failures: 1),
            readyWithin: .seconds(600)
        )
        try await bench.run(tool)
        try await eventually("five probes that fail") {
            (try? bench.directory.text(of: "asked"))?.split(separator: "\n").count ?? 0 >= 5
        }
        #expect(bench.events == ["installed 1.0.0", "started, not ready"])
        #expect(bench.supervisor.tool(named: "tool")?.readiness == .notReady)
        try bench.directory.file("works", "")
        try await wait(for: "ready", bench)
        #expect(bench.supervisor.tool(named: "tool")?.readiness == .ready)
        try FileManager.default.removeItem(atPath: bench.directory.path + "/works")
        try await wait(for: "unhealthy exited with code 1 1, restarting", bench)
        await bench.supervisor.shutdown()
    }

    @Test("by a program and by a port; one that was stopped on request is asked no more")
    func programAndPort() async throws {
        let bench = try bench()
        let port = try freePorts(1)[0]
        var tool = bench.tool("touch works; exec sleep 600")
        let command = ToolProbe.Target.command([
            "sh", "-c", "echo asked >> asked; test -e works || { echo broken; exit 1; }",
        ])
        tool.health = ToolHealth(
            check: ToolProbe(command, every: .milliseconds(100), timeout: .seconds(30), failures: 1),
            onUnhealthy: .nothing
        )
        try await bench.run(tool)
        try await wait(for: "ready", bench)
        try FileManager.default.removeItem(atPath: bench.directory.path + "/works")
        try await wait(for: "unhealthy exited with code 1: broken 1", bench)
        try await bench.supervisor.stop("tool")
        let asked = try bench.directory.text(of: "asked")
        var other = try web(bench, port)
        other.name = "web"
        let refusing = try freePorts(1)[0]
        other.health = ToolHealth(
            check: ToolProbe(.tcp("127.0.0.1:\(refusing)"), every: .milliseconds(100), failures: 1),
            readiness: .probed(ToolProbe(.tcp("127.0.0.1:\(port)"), every: .milliseconds(100))),
            onUnhealthy: .nothing
        )
        try await bench.run(other)
        try await wait(for: "unhealthy connection refused 1", bench)
        #expect(bench.events.suffix(3) == ["started, not ready", "ready", "unhealthy connection refused 1"])
        // Meanwhile many probes would have run.
        #expect(try bench.directory.text(of: "asked") == asked)
        await bench.supervisor.shutdown()
    }

    @Test("one that says that it is ready, what it does, and that it ends")
    func speaks() async throws {
        let bench = try bench()
        var tool = try speaker(
            bench,
            """
            wait("go")
            notify("STATUS=loading the model with token=abcdefgh12345678\\nMAINPID=1")
            wait("on")
            notify("READY=1")
            signal.signal(signal.SIGTERM, lambda *_: (notify("STOPPING=1"), sys.exit(0)))
            time.sleep(600)
            """
        )
        tool.health = ToolHealth(readiness: .notified)
        try await bench.run(tool)
        #expect(bench.supervisor.tool(named: "tool")?.health.isReady == false)
        try bench.directory.file("go", "")
        try await eventually("the status") { bench.supervisor.tool(named: "tool")?.health.text != nil }
        #expect(bench.supervisor.tool(named: "tool")?.health.text == "loading the model with token=[redacted]")
        #expect(bench.events.last == "started, not ready")
        try bench.directory.file("on", "")
        try await wait(for: "ready", bench)
        #expect(bench.supervisor.tool(named: "tool")?.health.isReady == true)
        try await bench.supervisor.stop("tool")
        #expect(bench.events.suffix(3) == ["started, not ready", "ready", "stopped stopped"])
        #expect(bench.supervisor.tool(named: "tool")?.health == ToolStatus.Health())
    }

    @Test("one that is not ready in time is ended, and the error that it reports is told when it ends itself")
    func notReady() async throws {
        let bench = try bench()
        var tool = try speaker(bench, "time.sleep(600)")
        tool.restart.mode = .never
        tool.health = ToolHealth(readiness: .notified, readyWithin: .milliseconds(300))
        try await bench.run(tool)
        try await wait(for: "crashed", bench)
        #expect(
            bench.events == [
                "installed 1.0.0", "started, not ready", "unhealthy not ready within 300ms 1",
                "crashed not ready within 300ms 1",
            ]
        )
        var other = try speaker(bench, #"notify("ERRNO=13"); wait("end"); sys.exit(4)"#)
        other.name = "other"
        other.restart.mode = .never
        other.health = ToolHealth(readiness: .notified)
        try await bench.run(other)
        try await Task.sleep(for: .milliseconds(300))
        try bench.directory.file("end", "")
        try await wait(for: "crashed", bench, count: 2)
        #expect(bench.events.last == "crashed exited with code 4 (it reported: Permission denied) 1")
    }

    @Test("the watchdog: one that is silent is aborted, and so is one that is stopped (SIGSTOP)")
    func watchdog() async throws {
        let bench = try bench()
        var tool = try speaker(
            bench,
            """
            assert os.environ["WATCHDOG_USEC"] == "1500000" and "WATCHDOG_PID" not in os.environ
            notify("READY=1")
            while not os.path.exists(here + "/quiet"):
                notify("WATCHDOG=1")
                time.sleep(0.1)
            os.remove(here + "/quiet")
            time.sleep(600)
            """
        )
        tool.health = ToolHealth(readiness: .notified, watchdog: .milliseconds(1_500))
        try await bench.run(tool)
        try await wait(for: "ready", bench)
        try await Task.sleep(for: .seconds(2))
        #expect(bench.events.last == "ready")
        try bench.directory.file("quiet", "")
        let expected = [
            "unhealthy watchdog: no sign of life for 1.5s 1, restarting",
            "crashed watchdog: no sign of life for 1.5s 1", "started, not ready", "ready", "healthy",
        ]
        try await wait(for: "healthy", bench)
        #expect(bench.events.suffix(5) == expected)
        let pid = try bench.pid()
        kill(pid, SIGSTOP)
        try await wait(for: "healthy", bench, count: 2)
        #expect(bench.events.suffix(5).map { $0.replacing("s 2", with: "s 1") } == expected)
        #expect(!TestProcess.exists(pid))
        await bench.supervisor.shutdown()
    }

    @Test("the watchdog kills one that ignores SIGABRT after its grace time, and all it has started")
    func abortIgnored() async throws {
        let bench = try bench()
        var tool = try speaker(
            bench,
            """
            signal.signal(signal.SIGABRT, lambda *_: None)
            child = subprocess.Popen(["setsid", "sleep", "600"])
            open(here + "/child", "w").write("%d\\n" % child.pid)
            notify("WATCHDOG=trigger")
            while True: time.sleep(1)
            """
        )
        tool.gracePeriod = .milliseconds(200)
        tool.restart.mode = .never
        tool.health = ToolHealth(watchdog: .seconds(60))
        try await bench.run(tool)
        try await wait(for: "crashed", bench)
        #expect(
            bench.events.suffix(2) == [
                "unhealthy watchdog: it has found that it does not work 1",
                "crashed watchdog: it has found that it does not work 1",
            ]
        )
        try await ToolProcesses.end(of: bench.pid(inFile: "child"))
    }

    #if os(Linux)
        @Test("its descendants may speak for it, also from a session of their own; processes of others may not")
        func whoSpeaks() async throws {
            let bench = try bench()
            var tool = try speaker(
                bench,
                """
                open(here + "/socket", "w").write(os.environ["NOTIFY_SOCKET"])
                wait("go")
                code = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); " \\
                    "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); import time; time.sleep(5)"
                subprocess.Popen(["setsid", sys.executable, "-c", code])
                time.sleep(600)
                """
            )
            tool.health = ToolHealth(readiness: .notified)
            try await bench.run(tool)
            let path = try await { () async throws -> String in
                try await eventually("the socket's path") {
                    (try? bench.directory.text(of: "socket"))?.isEmpty == false
                }
                return try bench.directory.text(of: "socket")
            }()
            let forged = """
                import socket
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.sendto(b"READY=1", \(path.debugDescription))
                """
            _ = try await Python.run(forged, environment: [:], "/usr/bin/python3")
            try await eventually("the warning") {
                bench.logged.lines.contains { $0.contains("a notification is ignored") }
            }
            #expect(bench.events.last == "started, not ready")
            try bench.directory.file("go", "")
            try await wait(for: "ready", bench)
            await bench.supervisor.shutdown()
            #expect(!TemporaryDirectory.exists(path))
        }

        @Test(
            "a tool of another user: it reaches its socket, others do not, and its probes run as that user",
            .enabled(if: getuid() == 0)
        )
        func anotherUser() async throws {
            let bench = try bench()
            var tool = try speaker(
                bench,
                """
                notify("READY=1\\nSTATUS=" + os.path.dirname(os.environ["NOTIFY_SOCKET"]))
                time.sleep(600)
                """
            )
            tool.process = ToolProcessSettings(umask: 0o027, user: "nobody")
            tool.directory = "/"
            let probe = ToolProbe.Target.command(["sh", "-c", "echo it is $(id -un) $HOME $(umask); exit 3"])
            tool.health = ToolHealth(
                check: ToolProbe(probe, every: .milliseconds(100), timeout: .seconds(30), failures: 1),
                readiness: .notified,
                onUnhealthy: .nothing
            )
            try await bench.run(tool)
            try await wait(for: "unhealthy", bench)
            let home = try #require(ProcessUser("nobody")?.home)
            #expect(
                bench.events.suffix(2) == [
                    "ready", "unhealthy exited with code 3: it is nobody \(home) 0027 1",
                ]
            )
            let directory = try #require(bench.supervisor.tool(named: "tool")?.health.text)
            let folder = try FileManager.default.attributesOfItem(atPath: directory)
            let socket = try FileManager.default.attributesOfItem(atPath: directory + "/notify")
            #expect((folder[.posixPermissions] as? NSNumber)?.intValue == 0o711)
            #expect((folder[.ownerAccountID] as? NSNumber)?.uint32Value == getuid())
            #expect((socket[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            #expect((socket[.ownerAccountID] as? NSNumber)?.uint32Value == ProcessUser("nobody")?.id)
            await bench.supervisor.shutdown()
            #expect(!TemporaryDirectory.exists(directory))
        }

        @Test("starts and stops of watched tools leave neither descriptors, processes nor directories")
        func leavesNothing() async throws {
            let bench = try bench()
            let port = try freePorts(1)[0]
            var tool = try web(bench, port)
            tool.environment = ["TMPDIR": bench.directory.path]
            tool.health = ToolHealth(
                check: ToolProbe(.command(["sleep", "600"]), every: .milliseconds(100), timeout: .seconds(600)),
                readiness: .probed(probe(port)),
                watchdog: .seconds(600)
            )
            try await bench.supervisor.install(tool)
            func sockets() -> Int {
                let place = FileManager.default.temporaryDirectory.path
                let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
                return names.count {
                    $0.hasPrefix("mesh-events-") && TemporaryDirectory.exists("\(place)/\($0)/notify")
                }
            }
            let directories = sockets()
            var before = 0
            for round in 0..<8 {
                try await bench.supervisor.start("tool")
                #expect(sockets() == directories + 1)
                try await wait(for: "ready", bench, count: round + 1)
                // A probe is under way.
                try await Task.sleep(for: .milliseconds(300))
                try await bench.supervisor.stop("tool")
                if round == 1 { before = ToolProcesses.descriptors }
            }
            try await eventually("the descriptors to be closed") { ToolProcesses.descriptors <= before + 2 }
            #expect(sockets() == directories)
            let start = ContinuousClock.now
            await bench.supervisor.shutdown()
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    #endif

    @Test("one that comes after another is started when that has shown that it is ready, not when it runs")
    func after() async throws {
        let bench = try bench()
        var base = try speaker(bench, #"wait("go"); notify("READY=1"); time.sleep(600)"#)
        base.name = "base"
        base.health = ToolHealth(readiness: .notified)
        var user = bench.tool("exec sleep 600", name: "user")
        user.after = ["base"]
        let supervisor = bench.supervisor
        let difference = ToolManifest().difference(to: ToolManifest(tools: [user, base]))
        #expect(await supervisor.apply(difference) == [])
        try await wait(for: "started, not ready", bench)
        try await Task.sleep(for: .milliseconds(300))
        #expect(supervisor.tool(named: "user")?.pid == nil)
        try bench.directory.file("go", "")
        try await eventually("the other to run") { supervisor.tool(named: "user")?.state == .running }
        let runs = bench.events.filter { !$0.hasPrefix("installed") }
        #expect(runs == ["started, not ready", "ready", "started"])
        await supervisor.shutdown()
    }

    @Test("other settings of a manifest count for the process that runs")
    func otherSettings() async throws {
        let bench = try bench()
        let port = try freePorts(1)[0]
        let plain = try web(bench, port)
        await bench.supervisor.apply(ToolManifest().difference(to: ToolManifest(tools: [plain])))
        // Before that each check of it fails, whatever the check before has shown.
        try await eventually("it to listen") { TemporaryDirectory.exists(bench.directory.path + "/listens") }
        let pid = try bench.pid()
        func change(from old: ToolSpecification, _ health: ToolHealth) async throws -> ToolSpecification {
            var new = old
            new.health = health
            let difference = ToolManifest(tools: [old]).difference(to: ToolManifest(tools: [new]))
            #expect(difference.changed.map(\.kind) == [.supervision])
            let errors = await bench.supervisor.apply(difference)
            #expect(errors == [])
            return new
        }
        let refusing = ToolProbe(
            .tcp("127.0.0.1:\(try freePorts(1)[0])"),
            every: .milliseconds(100),
            failures: 1
        )
        let broken = try await change(from: plain, ToolHealth(check: refusing, onUnhealthy: .nothing))
        try await wait(for: "unhealthy connection refused 1", bench)
        let good = try await change(from: broken, ToolHealth(check: probe(port), onUnhealthy: .nothing))
        try await wait(for: "healthy", bench)
        let again = try await change(from: good, broken.health)
        try await wait(for: "unhealthy connection refused 1", bench, count: 2)
        // It was not started with a socket: what it would have to say does not count before its next start.
        let speaking = ToolHealth(readiness: .notified, readyWithin: .milliseconds(100), watchdog: .milliseconds(100))
        _ = try await change(from: again, speaking)
        try await wait(for: "healthy", bench, count: 2)
        try await Task.sleep(for: .milliseconds(500))
        #expect(try bench.pid() == pid)
        #expect(bench.events.count == 6, "\(bench.events)")
        #expect(bench.supervisor.tool(named: "tool")?.health == ToolStatus.Health())
        await bench.supervisor.shutdown()
    }

    @Test("settings that make no sense are refused")
    func refused() async throws {
        let bench = try bench()
        let settings: [(ToolHealth, String)] = [
            (ToolHealth(check: ToolProbe(.http("https://a/"))), "has a health check that asks an address"),
            (ToolHealth(check: ToolProbe(.tcp(":1"))), "has a health check that asks a port"),
            (ToolHealth(check: ToolProbe(.tcp("a:70000"))), "has a health check that asks a port"),
            (ToolHealth(check: ToolProbe(.command([]))), "has a health check that names no program"),
            (ToolHealth(check: ToolProbe(.command(["a\0"]))), "zero byte"),
            (ToolHealth(check: ToolProbe(.tcp("a:1"), every: .zero)), "runs every"),
            (ToolHealth(check: ToolProbe(.tcp("a:1"), timeout: .zero)), "may take"),
            (ToolHealth(check: ToolProbe(.tcp("a:1"), failures: 0)), "may fail 0 times"),
            (ToolHealth(readiness: .probed(ToolProbe(.http("x")))), "has a readiness check that asks an address"),
            (ToolHealth(readyWithin: .zero), "to be ready"), (ToolHealth(watchdog: .zero), "has a watchdog of"),
        ]
        for (health, words) in settings {
            var tool = bench.tool("true")
            tool.health = health
            let error = await thrownError { () async throws(ToolError) in try await bench.supervisor.install(tool) }
            #expect(
                error?.code == .invalidSpecification && error?.message.contains(words) == true,
                "\(words): \(error as Any)"
            )
        }
    }
}
