import Foundation
import MeshEvents
import MeshEventsTesting
import MeshSupervision
import TestSupport
import Testing

/// Which tools a manifest starts, when it is applied and when it has changed.
@Suite("Starts by a manifest")
struct ManifestStartTests {
    private let long: Duration = .seconds(600)

    private func apply(
        _ bench: ToolBench,
        _ tools: [ToolSpecification],
        before: [ToolSpecification] = []
    ) async -> [ToolError] {
        await bench.supervisor.apply(ToolManifest(tools: before).difference(to: ToolManifest(tools: tools)))
    }

    private func state(_ bench: ToolBench, _ name: String = "tool") -> ToolStatus.State? {
        bench.supervisor.tool(named: name)?.state
    }

    private func changed(
        _ tool: ToolSpecification,
        _ change: (inout ToolSpecification) -> Void
    ) -> ToolSpecification {
        var tool = tool
        change(&tool)
        return tool
    }

    // MARK: Waiting

    @Test("all tools are listed before one is started, and a change that mends one is applied while others wait for it")
    func changeWhileWaiting() async throws {
        let bench = try ToolBench()
        let db = bench.tool("exit 3", name: "db")
        var app = bench.tool("exec sleep 600", name: "app")
        app.after = ToolDependencies(["db"], within: long)
        var ready = db
        ready.command = ["sleep", "600"]
        ready.health.readiness = .notified
        #expect(await apply(bench, [app, ready]).isEmpty)
        #expect(bench.events == ["installed 1.0.0", "installed 1.0.0", "started, not ready"])
        #expect(bench.supervisor.tool(named: "app")?.waitsFor == ["db"])
        // It is no longer asked whether it is ready.
        let mended = changed(ready) { ($0.version, $0.health.readiness) = ("2", nil) }
        #expect(await apply(bench, [app, mended], before: [app, ready]).isEmpty)
        try await eventually("the other to run") { state(bench, "app") == .running }
        await bench.supervisor.shutdown()
    }

    @Test("a change of one that waits replaces its waiting", arguments: ["update", "supervision", "removal"])
    func changeOfOneThatWaits(_ way: String) async throws {
        let bench = try ToolBench()
        let db = changed(bench.tool("exec sleep 600", name: "db")) { $0.autostart = false }
        let app = changed(bench.tool("exec sleep 600", name: "app")) {
            $0.after = ToolDependencies(["db"], within: long)
        }
        #expect(await apply(bench, [db, app]).isEmpty)
        #expect(bench.supervisor.tool(named: "app")?.waitsFor == ["db"])
        let free = changed(app) {
            $0.after = []
            if way == "update" { $0.version = "2" }
        }
        let after = way == "removal" ? [db] : [db, free]
        #expect(await apply(bench, after, before: [db, app]).isEmpty)
        if way == "removal" {
            try await bench.supervisor.start("db")
            #expect(bench.events.suffix(2) == ["removed", "started"])
        } else {
            #expect(state(bench, "app") == .running)
        }
        await bench.supervisor.shutdown()
    }

    @Test("one that is changed and has to wait keeps neither the change nor requests from anything")
    func changedAndWaiting() async throws {
        let bench = try ToolBench()
        let db = changed(bench.tool("exec sleep 600", name: "db")) { $0.autostart = false }
        let app = bench.tool("exec sleep 600", name: "app")
        #expect(await apply(bench, [db, app]).isEmpty)
        let waiting = changed(app) { ($0.version, $0.after) = ("2", ToolDependencies(["db"], within: long)) }
        #expect(await apply(bench, [db, waiting], before: [db, app]).isEmpty)
        let status = try #require(bench.supervisor.tool(named: "app"))
        #expect(status.state == .stopped && status.waitsFor == ["db"] && status.version == "2")
        try await bench.supervisor.start("app")
        #expect(state(bench, "app") == .running)
        await bench.supervisor.shutdown()
    }

    @Test("one that runs and ends is ready for others when it has ended with success", arguments: [true, false])
    func job(_ succeeds: Bool) async throws {
        let bench = try ToolBench()
        let code = succeeds ? 0 : 3
        let script = "while [ ! -e go ]; do sleep 0.02; done; exit \(code)"
        let migration = bench.tool(script, name: "migration", restart: .never)
        var app = bench.tool("exec sleep 600", name: "app")
        app.after = ToolDependencies(["migration"], within: long)
        #expect(await apply(bench, [app, migration]).isEmpty)
        #expect(state(bench, "migration") == .running && bench.supervisor.tool(named: "app")?.waitsFor == ["migration"])
        try bench.directory.file("go", "")
        if succeeds {
            try await eventually("the other to run") { state(bench, "app") == .running }
        } else {
            try await eventually("its failure") { state(bench, "migration") == .failed }
            #expect(bench.supervisor.tool(named: "app")?.waitsFor == ["migration"])
        }
        // What comes later finds it so.
        let later = changed(app) { $0.name = "later" }
        #expect(await apply(bench, [app, migration, later], before: [app, migration]).isEmpty)
        #expect(state(bench, "later") == (succeeds ? .running : .installed))
        await bench.supervisor.shutdown()
    }

    @Test("one that is never restarted, and is asked whether it works, is a service")
    func neverRestarted() async throws {
        let bench = try ToolBench()
        var db = bench.tool("exec sleep 600", name: "db", restart: .never)
        db.health.check = ToolProbe(.command(["true"]))
        let app = changed(bench.tool("exec sleep 600", name: "app")) {
            $0.after = ToolDependencies(["db"], within: long)
        }
        #expect(await apply(bench, [app, db]).isEmpty)
        try await eventually("the other to run") { state(bench, "app") == .running }
        await bench.supervisor.shutdown()
    }

    // MARK: What is down

    @Test("one that failed is started when its entry is mended, and its error is forgotten")
    func mended() async throws {
        let bench = try ToolBench()
        let broken = changed(bench.tool("", restart: .never)) { $0.command = ["no-such-command"] }
        #expect(await apply(bench, [broken]).map(\.code) == [.commandNotFound])
        #expect(state(bench) == .failed)
        let mended = changed(broken) { $0.command = ["sleep", "600"] }
        #expect(await apply(bench, [mended], before: [broken]).isEmpty)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .running && status.lastError == nil && status.publishedError == nil)
        await bench.supervisor.shutdown()
    }

    @Test("one that was given up is started by a changed configuration or policy, and counts anew")
    func givenUp() async throws {
        let bench = try ToolBench()
        let script = "test -e good || exit 3; exec sleep 600"
        let tool = changed(bench.tool(script)) { $0.restart.maximumRestarts = 0 }
        #expect(await apply(bench, [tool]).isEmpty)
        try await eventually("its end") { bench.events.count == 4 }
        #expect(bench.events.last == "stopped gave up after 0 restarts (failed: exited with code 3)")
        let configured = changed(tool) { $0.configuration = ["a": 1] }
        #expect(await apply(bench, [configured], before: [tool]).isEmpty)
        try await eventually("its end again") { bench.events.count == 8 }
        #expect(bench.events.suffix(3).first == "started" && state(bench) == .failed)
        try bench.directory.file("good", "")
        let supervised = changed(configured) { $0.gracePeriod = .seconds(5) }
        #expect(await apply(bench, [supervised], before: [configured]).isEmpty)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .running && status.lastError == nil && status.restartCount == 0)
        await bench.supervisor.shutdown()
    }

    @Test("a failed upgrade that is put back runs again")
    func failedUpgrade() async throws {
        let bench = try ToolBench()
        let good = bench.tool("exec sleep 600")
        #expect(await apply(bench, [good]).isEmpty)
        let script = try bench.directory.script("lost", "true")
        try bench.directory.file("lost", "#!/no/such/interpreter\n")
        let bad = changed(good) { $0.command = [script] }
        await #expect(throws: ToolError.self) { try await bench.supervisor.update(bad) }
        #expect(state(bench) == .failed)
        let difference = bench.supervisor.difference(to: ToolManifest(tools: [good]))
        #expect(await bench.supervisor.apply(difference).isEmpty)
        #expect(state(bench) == .running)
        // And by a request, too.
        await #expect(throws: ToolError.self) { try await bench.supervisor.update(bad) }
        try await bench.supervisor.update(good)
        #expect(state(bench) == .running)
        await bench.supervisor.shutdown()
    }

    @Test("what was stopped on request stays so, whatever changes; a start on request ends that")
    func stoppedOnRequest() async throws {
        let bench = try ToolBench()
        let tool = bench.tool("exec sleep 600")
        #expect(await apply(bench, [tool]).isEmpty)
        try await bench.supervisor.stop("tool")
        let other = changed(tool) { $0.version = "2" }
        let third = changed(other) { $0.configuration = ["a": 1] }
        let fourth = changed(third) { $0.restart.mode = .always }
        #expect(await apply(bench, [other], before: [tool]).isEmpty)
        #expect(await apply(bench, [third], before: [other]).isEmpty)
        #expect(await apply(bench, [fourth], before: [third]).isEmpty)
        #expect(state(bench) == .stopped)
        try await bench.supervisor.start("tool")
        #expect(await apply(bench, [tool], before: [fourth]).isEmpty)
        #expect(state(bench) == .running)
        await bench.supervisor.shutdown()
    }

    @Test("what has done its work is started again by a policy that wants it up; what was never to run, by autostart")
    func ended() async throws {
        let bench = try ToolBench()
        let done = bench.tool("test -e stay || exit 0; exec sleep 600")
        let idle = changed(bench.tool("exec sleep 600", name: "idle")) { $0.autostart = false }
        #expect(await apply(bench, [done, idle]).isEmpty)
        try await eventually("its end") { state(bench) == .stopped }
        let same = [changed(done) { $0.version = "2" }, changed(idle) { $0.version = "2" }]
        #expect(await apply(bench, same, before: [done, idle]).isEmpty)
        #expect(state(bench) == .stopped && state(bench, "idle") == .installed)
        try bench.directory.file("stay", "")
        let wanted = [changed(same[0]) { $0.restart.mode = .always }, changed(same[1]) { $0.autostart = true }]
        #expect(await apply(bench, wanted, before: same).isEmpty)
        #expect(state(bench) == .running && state(bench, "idle") == .running)
        await bench.supervisor.shutdown()
    }

    // MARK: What cannot be started

    @Test("a first start that fails is repeated as the policy says; one on request is not")
    func firstStart() async throws {
        let bench = try ToolBench()
        let script = bench.directory.path + "/late"
        let tool = ToolSpecification(name: "tool", version: "1.0.0", command: [script])
        #expect(await apply(bench, [tool]).map(\.code) == [.commandNotFound])
        #expect(state(bench) == .backingOff)
        _ = try bench.directory.script("late", "exec sleep 600")
        try await bench.pass(.seconds(1))
        try await eventually("it to run") { state(bench) == .running }
        try await bench.supervisor.stop("tool")
        try FileManager.default.removeItem(atPath: script)
        await #expect(throws: ToolError.self) { try await bench.supervisor.start("tool") }
        #expect(state(bench) == .failed && bench.clock.sleepers == 0)
    }

    @Test("tool.crashed says whether the tool is started again")
    func restarting() async throws {
        let bench = try ToolBench()
        let tools = [
            bench.tool("exit 3", name: "never", restart: .never),
            changed(bench.tool("exit 3", name: "once")) { $0.restart.maximumRestarts = 1 },
        ]
        #expect(await apply(bench, tools).isEmpty)
        try await bench.pass(.seconds(1))
        try await eventually("three crashes") { bench.crashes.count == 3 }
        #expect(bench.crashes.filter { $0.tool == "never" }.map(\.isRestarting) == [false])
        #expect(bench.crashes.filter { $0.tool == "once" }.map(\.isRestarting) == [true, false])
        await bench.supervisor.shutdown()
    }

    @Test("a schedule counts without autostart")
    func scheduled() async throws {
        let bench = try ToolBench()
        let tool = changed(bench.tool("true")) { ($0.autostart, $0.schedule) = (false, .every(.seconds(600))) }
        #expect(await apply(bench, [tool]).isEmpty)
        #expect(bench.supervisor.tool(named: "tool")?.next?.description == "2026-11-30T15:10:00Z")
        // A pause outlasts a change of what is no part of the schedule.
        try await bench.supervisor.stop("tool")
        let limited = changed(tool) { $0.memory = ToolMemoryLimit(maximum: 1 << 30) }
        #expect(await apply(bench, [limited], before: [tool]).isEmpty)
        #expect(bench.supervisor.tool(named: "tool")?.next == nil)
        await bench.supervisor.shutdown()
    }

    @Test("the error about a tool that has instances names them")
    func instances() async throws {
        let bench = try ToolBench()
        let tools = ToolSpecification(name: "worker", command: ["sleep", "600"], autostart: false).instances(11)
        #expect(await apply(bench, tools + [bench.tool("true", name: "worker-x")]).isEmpty)
        let errors = [
            await error { try await bench.supervisor.start("worker") },
            await error { try await bench.supervisor.reload("worker") },
        ]
        for error in errors {
            #expect(error?.code == .notInstalled)
            #expect(error?.message == "is not one tool, but several: worker-1 to worker-11")
        }
        #expect(ToolSpecification.instances(of: "w", among: ["w-2", "w-1"]) == "w-1 and w-2")
        #expect(ToolSpecification.instances(of: "w", among: ["w-3"]) == "w-3")
        #expect(ToolSpecification.instances(of: "w", among: ["w-x", "w-01", "w--1", "w", "worker-1"]) == nil)
        await bench.supervisor.shutdown()
    }

    private func error(_ body: () async throws -> Void) async -> ToolError? {
        do { try await body() } catch { return error as? ToolError }
        return nil
    }
}
