import MeshEvents
import MeshSupervision
import TestSupport
import Testing

/// Manifests that are taken while what an earlier one asked for goes on, with real processes.
@Suite("A manifest that changes while tools stop", .timeLimit(.minutes(3)))
struct ManifestFollowerTests {
    private let bench: ToolBench
    private let follower: ManifestFollower

    init() throws {
        bench = try ToolBench()
        follower = ManifestFollower(bench.supervisor)
    }

    /// A tool that, when it is asked to end, waits for a file before it does.
    private func slow(_ name: String, version: String = "1") -> ToolSpecification {
        let wait = "while ! [ -e go-\(name) ]; do sleep 0.05; done; exit"
        let script = "trap '\(wait)' TERM; echo > up-\(name); while :; do sleep 0.05; done"
        var tool = bench.tool(script, name: name, grace: .seconds(120))
        tool.version = version
        return tool
    }

    private func take(_ tools: ToolSpecification...) -> ManifestFollower.Change {
        follower.take(ToolManifest(tools: tools))
    }

    /// Takes a manifest with tools that are slow to end, and waits until they are up.
    private func begin(_ tools: ToolSpecification..., with others: [ToolSpecification] = []) async throws {
        #expect(await follower.take(ToolManifest(tools: tools + others)).apply().isEmpty)
        for tool in tools {
            try await eventually("\(tool.name) to be up") {
                (try? bench.directory.text(of: "up-\(tool.name)")) != nil
            }
        }
    }

    private func waitForStop(of names: String...) async throws {
        for name in names { try await eventually("\(name) to be asked to end") { state(name) == .stopping } }
    }

    private func end(_ name: String) throws { try bench.directory.file("go-\(name)", "") }

    private func state(_ name: String) -> ToolStatus.State? { bench.supervisor.tool(named: name)?.state }

    @Test("what the second one wants of other tools is done at once")
    func others() async throws {
        var other = bench.tool("exec sleep 600", name: "other")
        try await begin(slow("slow"), with: [other])
        let first = take(other)
        #expect(first.difference.removed == ["slow"])
        async let removal = first.apply()
        try await waitForStop(of: "slow")
        other.version = "2"
        let second = take(other, bench.tool("exec sleep 600", name: "new"))
        #expect(second.difference.added.map(\.name) == ["new"] && second.difference.removed.isEmpty)
        #expect(second.difference.changed.map(\.tool.name) == ["other"])
        #expect(await second.apply().isEmpty)
        #expect(state("new") == .running && state("other") == .running && state("slow") == .stopping)
        #expect(bench.supervisor.tool(named: "other")?.version == "2")
        try end("slow")
        #expect(await removal.isEmpty)
        #expect(bench.supervisor.tools.map(\.name) == ["new", "other"])
        await bench.supervisor.shutdown()
    }

    @Test("one that is put back while it stops is there again when it has stopped")
    func putBack() async throws {
        let slow = slow("slow")
        try await begin(slow)
        let pid = try bench.pid("slow")
        async let removal = take().apply()
        try await waitForStop(of: "slow")
        let back = take(slow)
        #expect(back.difference.added.map(\.name) == ["slow"])
        #expect(await back.apply().isEmpty)
        #expect(state("slow") == .stopping)
        // The same again changes nothing.
        #expect(take(slow).difference.isEmpty)
        try end("slow")
        #expect(await removal.isEmpty)
        #expect(state("slow") == .running)
        #expect(try bench.pid("slow") != pid)
        #expect(
            bench.events == ["installed 1", "started", "stopped uninstall", "removed", "installed 1", "started"]
        )
        await bench.supervisor.shutdown()
    }

    @Test("the newest one counts, in whatever order the tools stop", arguments: [["a", "b"], ["b", "a"]])
    func order(order: [String]) async throws {
        try await begin(slow("a"), slow("b"))
        async let first = take(slow("b", version: "2")).apply()
        try await waitForStop(of: "a", "b")
        #expect(await take(slow("a")).apply().isEmpty)
        for name in order {
            try end(name)
            // It does not wait for the other one.
            if name == "a" {
                try await eventually("a to run again") { state("a") == .running }
            } else {
                try await eventually("b to be gone") { state("b") == nil }
            }
            if name == order[0] { #expect(state(order[1]) == .stopping) }
        }
        #expect(await first.isEmpty)
        #expect(bench.supervisor.tools.map(\.name) == ["a"] && state("a") == .running)
        await bench.supervisor.shutdown()
    }

    @Test("of several that change a tool while it stops, the last is carried out")
    func last() async throws {
        try await begin(slow("slow"))
        async let first = take(slow("slow", version: "2")).apply()
        try await waitForStop(of: "slow")
        for version in ["3", "4", "5"] {
            let change = take(slow("slow", version: version))
            #expect(change.difference.changed.map(\.tool.version) == [version])
            #expect(await change.apply().isEmpty)
        }
        try end("slow")
        #expect(await first.isEmpty)
        #expect(state("slow") == .running && bench.supervisor.tool(named: "slow")?.version == "5")
        #expect(bench.events.filter { $0.hasPrefix("installed") } == ["installed 1", "installed 2", "installed 5"])
        await bench.supervisor.shutdown()
    }

    @Test("a change that fails leaves the tool to the next one, and is not repeated")
    func failure() async throws {
        let tool = bench.tool("exec sleep 600")
        #expect(await take(tool).apply().isEmpty)
        var broken = tool
        broken.command = ["no-such-command"]
        #expect(await take(broken).apply().map(\.code) == [.commandNotFound])
        #expect(state("tool") == .running)
        #expect(take(tool).difference.isEmpty)
        var other = tool
        other.version = "2"
        #expect(await take(other).apply().isEmpty)
        #expect(bench.supervisor.tool(named: "tool")?.version == "2" && state("tool") == .running)
        await bench.supervisor.shutdown()
    }
}
