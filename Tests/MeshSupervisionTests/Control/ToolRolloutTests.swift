import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import Synchronization
import TestSupport
import Testing

/// The same on several nodes, one after the other, with real processes.
@Suite(.timeLimit(.minutes(3))) struct ToolRolloutTests {
    private let configuration = ToolRollout.Configuration(steadyFor: .milliseconds(700), timeout: .seconds(20))

    @Test(arguments: NATSServers.all)
    func aRollingRestartTakesOneNodeAfterTheOther(binary: NATSServers.Binary) async throws {
        try await withControl(binary, nodes: ["a", "b", "c"]) { nodes, client in
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client).install("tool", node.recorder())
            }
            let before = nodes.map { $0.supervisor.tool(named: "tool")?.pid }
            let steps = Mutex<[String]>([])
            let rollout = ToolRollout(
                ToolRequest(.restart, tool: "tool", by: "anna"),
                on: nodes.map(\.name),
                connection: client,
                configuration: configuration
            )
            let report = await rollout.run { step in
                guard case .done(let result) = step else { return }
                // The next node is asked only afterwards.
                let untouched = nodes.indices.filter { nodes[$0].supervisor.tool(named: "tool")?.pid == before[$0] }
                steps.withLock { $0.append("\(result.node) \(untouched.count)") }
            }
            #expect(steps.withLock { $0 } == ["a 2", "b 1", "c 0"])
            #expect(report.isComplete && report.done.map(\.node) == ["a", "b", "c"])
            #expect(report.done.allSatisfy { $0.state == .running && $0.readiness == .unknown })
            for node in nodes {
                #expect(node.controlled.last?.by == "anna" && node.controlled.last?.action == "restart")
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func itEndsAtTheFirstNodeThatFailsAndLeavesTheRestAlone(binary: NATSServers.Binary) async throws {
        try await withControl(binary, nodes: ["a", "b", "c"]) { nodes, client in
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client).install("tool", node.recorder())
            }
            // On b the next start runs for a moment and fails, again and again.
            let broken: EventData = [
                "name": "tool", "version": "2", "command": ["sh", "-c", "sleep 0.3; exit 3"], "autostart": false,
            ]
            let b = RemoteTools(node: "b", connection: client)
            try await b.upgrade("tool", to: broken)
            let last = nodes[2].supervisor.tool(named: "tool")?.pid
            let report = await ToolRollout(
                .restart("tool"),
                on: ["a", "b", "c"],
                connection: client,
                configuration: .init(steadyFor: .seconds(2), timeout: .seconds(8))
            ).run()
            #expect(report.done.map(\.node) == ["a"] && report.untouched == ["c"] && !report.isComplete)
            #expect(report.failures.map(\.node) == ["b"])
            let message = report.failures.first?.error.message ?? ""
            #expect(message.contains("node b") && message.contains("exited with code 3"), "\(message)")
            #expect(report.failures.first?.result?.version == "2", "how it is there at the end")
            #expect(nodes[2].supervisor.tool(named: "tool")?.pid == last)
        }
    }

    @Test(arguments: NATSServers.all)
    func aVersionThatFailsItsHealthCheckAloneStaysOnTheFirstNode(binary: NATSServers.Binary) async throws {
        try await withControl(binary, nodes: ["a", "b"]) { nodes, client in
            // Nothing but the check tells the two versions apart, and `ready` is not given.
            func version(_ name: String, creates file: String) -> EventData {
                [
                    "name": "tool", "version": .string(name),
                    "command": ["sh", "-c", .string("touch \(file); exec sleep 600")],
                    "health": ["exec": ["test", "-e", .string("works-\(name)")], "timeout": "30s"],
                ]
            }
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client)
                    .install("tool", version("1", creates: "works-1"))
            }
            let good = await ToolRollout(
                .restart("tool"),
                on: ["a", "b"],
                connection: client,
                configuration: configuration
            ).run()
            #expect(good.isComplete && good.done.allSatisfy { $0.readiness == .ready }, "\(good.failures)")
            let bad = await ToolRollout(
                .upgrade("tool", to: version("2", creates: "nothing")),
                on: ["a", "b"],
                connection: client,
                configuration: .init(steadyFor: .milliseconds(700), timeout: .seconds(8))
            ).run()
            #expect(bad.failures.map(\.node) == ["a"] && bad.untouched == ["b"] && bad.done.isEmpty)
            #expect(bad.failures.first?.error.message.contains("is not ready within") == true)
            #expect(nodes.map { $0.supervisor.tool(named: "tool")?.version } == ["2", "1"])
            #expect(nodes.map { $0.supervisor.tool(named: "tool")?.readiness } == [.notReady, .ready])
        }
    }

    @Test func aNodeThatIsDeadAtTheBeginningIsSkippedAndOneAloneFails() async throws {
        try await withControl { nodes, client in
            try await RemoteTools(node: "bench", connection: client).install("tool", nodes[0].recorder())
            // It takes requests, and answers none.
            let requests = try await nodes[0].connection.subscribe(to: "mesh.control.tool.silent")
            defer { requests.cancel() }
            let steps = Mutex<[String]>([])
            let report = await ToolRollout(
                .restart("tool"),
                on: ["absent", "silent", "bench"],
                connection: client,
                configuration: configuration
            ).run { step in
                if case .skipped(let node, _) = step { steps.withLock { $0.append(node) } }
            }
            #expect(steps.withLock { $0 } == ["absent", "silent"])
            #expect(report.skipped.map(\.error.code) == [.noResponders, .timeout])
            #expect(report.done.map(\.node) == ["bench"] && report.failures.isEmpty && report.untouched.isEmpty)
            #expect(!report.isComplete)
            let alone = await RemoteTools.rollingRestart(
                of: "tool",
                on: ["absent"],
                connection: client,
                configuration: configuration
            )
            #expect(alone.failures.first?.error.code == .noResponders && alone.skipped.isEmpty)
        }
    }

    @Test func aNodeThatDiesMeanwhileEndsIt() async throws {
        try await withControl(nodes: ["a", "b", "c"]) { nodes, client in
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client).install("tool", node.recorder())
            }
            let pid = nodes[2].supervisor.tool(named: "tool")?.pid
            let rollout = ToolRollout(
                .restart("tool"),
                on: ["a", "b", "c"],
                connection: client,
                configuration: configuration
            )
            let report = await rollout.run { step in
                if case .done(let result) = step, result.node == "a" { await nodes[1].close() }
            }
            #expect(report.done.map(\.node) == ["a"] && report.failures.map(\.node) == ["b"])
            #expect(report.untouched == ["c"] && report.skipped.isEmpty)
            #expect(report.failures.first?.result == nil, "a dead node does not say it")
            #expect(nodes[2].supervisor.tool(named: "tool")?.pid == pid)
        }
    }

    @Test func allAtOnceAsksEachNodeWhateverComesOfIt() async throws {
        try await withControl(nodes: ["a", "b"]) { nodes, client in
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client).install("tool", node.recorder())
            }
            let report = await ToolRollout(
                .stop("tool"),
                on: ["a", "absent", "b"],
                connection: client,
                configuration: .init(maximumAtOnce: 8, stopsAtFailure: false)
            ).run()
            #expect(Set(report.done.map(\.node)) == ["a", "b"] && report.done.allSatisfy { $0.state == .stopped })
            #expect(report.failures.map(\.node) == ["absent"] && report.untouched.isEmpty)
        }
    }

    @Test func aCancelledRolloutAsksNoOtherNode() async throws {
        try await withControl(nodes: ["a", "b"]) { nodes, client in
            for node in nodes {
                try await RemoteTools(node: node.name, connection: client).install("tool", node.recorder())
            }
            let pid = nodes[1].supervisor.tool(named: "tool")?.pid
            let rollout = ToolRollout(
                .restart("tool"),
                on: ["a", "b"],
                connection: client,
                configuration: .init(steadyFor: .seconds(60), timeout: .seconds(120))
            )
            let running = Task { await rollout.run() }
            try await eventually("the first node to be asked") {
                nodes[0].controlled.contains { $0.action == "restart" }
            }
            running.cancel()
            let report = await running.value
            #expect(report.failures.map(\.node) == ["a"] && report.untouched == ["b"])
            #expect(nodes[1].supervisor.tool(named: "tool")?.pid == pid)
        }
    }
}
