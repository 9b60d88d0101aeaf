import MeshEvents
import MeshSupervision
import TestSupport
import Testing

@Suite("A changed manifest")
struct ManifestApplicationTests {
    private func manifest(_ bench: ToolBench, _ tools: String) throws -> ToolManifest {
        try ToolManifest.parse("tools:\n" + tools, file: bench.directory.path + "/mesh.yaml")
    }

    @Test("applies what differs, says so, and leaves the others alone")
    func applies() async throws {
        let bench = try ToolBench()
        let first = try manifest(
            bench,
            """
              - {name: same, version: v1, command: [sleep, 600]}
              - {name: gone, version: v1, command: [sleep, 600]}
              - {name: configured, version: v1, command: [sleep, 600], config: {a: 1}}
              - {name: updated, version: v1, command: [sleep, 600]}
              - {name: kept, version: v1, command: [sleep, 600]}
              - {name: idle, version: v1, command: [sleep, 600], autostart: false}
            """
        )
        #expect(await bench.supervisor.apply(ToolManifest().difference(to: first)).isEmpty)
        #expect(bench.supervisor.tools.filter { $0.state == .running }.count == 5)
        #expect(bench.supervisor.tool(named: "idle")?.state == .installed)
        let pids = (same: try bench.pid("same"), kept: try bench.pid("kept"), other: try bench.pid("configured"))
        let before = bench.events.count
        let second = try manifest(
            bench,
            """
              - {name: same, version: v1, command: [sleep, 600]}
              - {name: configured, version: v1, command: [sleep, 600], config: {a: 2}}
              - {name: updated, version: v2, command: [sleep, 601]}
              - {name: kept, version: v1, command: [sleep, 600], grace: 1s}
              - {name: idle, version: v1, command: [sleep, 601], autostart: false}
              - {name: broken, version: v1, command: no-such-command}
              - {name: new, version: v1, command: [sleep, 600]}
            """
        )
        let errors = await bench.supervisor.apply(first.difference(to: second))
        #expect(errors.map(\.code) == [.commandNotFound] && errors.map(\.tool) == ["broken"])
        #expect(
            bench.events[before...].sorted() == [
                #"configured {"a":2}"#,
                "crashed command not found: no-such-command is in no directory of PATH; install it, or give its path 1",
                "installed v1", "installed v1", "installed v1", "installed v2", "removed",
                "started", "started", "started", "stopped configure", "stopped uninstall", "stopped update",
            ]
        )
        #expect(try bench.pid("same") == pids.same)
        #expect(try bench.pid("kept") == pids.kept)
        #expect(try bench.pid("configured") != pids.other)
        #expect(bench.supervisor.specification(of: "kept")?.gracePeriod == .seconds(1))
        #expect(bench.supervisor.tool(named: "idle")?.state == .installed)
        #expect(
            bench.supervisor.tools.map(\.name) == [
                "broken", "configured", "idle", "kept", "new", "same", "updated",
            ]
        )
        await bench.supervisor.shutdown()
    }
}
