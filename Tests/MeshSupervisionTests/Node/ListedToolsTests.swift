import MeshConcurrency
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// The list of tools in a node's health.
@Suite("Tools in a node's health", .timeLimit(.minutes(1)))
struct ListedToolsTests {
    private func status(
        _ name: String,
        _ state: ToolStatus.State = .running,
        error: String? = nil,
        version: String = "1"
    ) -> ToolStatus {
        ToolStatus(
            name: name,
            version: version,
            state: state,
            since: .epoch,
            restartCount: 3,
            lastError: "not to be seen",
            publishedError: error,
            lastOutput: ["not to be seen"]
        )
    }

    private func health(_ tools: [ToolStatus]) -> NodeHealth {
        NodeHealth(status: "online", resources: nil, listing: tools)
    }

    @Test("each state has its name, and nothing is in it that tool.crashed would not say")
    func states() throws {
        let states: [(ToolStatus.State, String)] = [
            (.installed, "installed"), (.starting, "starting"), (.running, "running"), (.stopping, "running"),
            (.backingOff, "backing_off"), (.failed, "failed"), (.stopped, "stopped"),
        ]
        for (state, name) in states {
            let health = health([status("a", state, error: "no")])
            let tool = NodeHealth.Tool(
                name: "a",
                version: "1",
                state: .init(rawValue: name),
                since: .epoch,
                restarts: 3,
                error: "no"
            )
            #expect(health.tools == [tool] && health.toolsOmitted == 0)
        }
        #expect(health([status("a")]).tools?.first?.error == nil)
        #expect(try !health([status("a", .failed)]).eventData().json.contains("not to be seen"))
    }

    @Test("one that is being stopped runs since its process began, not since the stop")
    func stopping() {
        var tool = status("a", .stopping)
        (tool.since, tool.runningSince) = (.now, .epoch)
        #expect(health([tool]).tools?.first?.since == .epoch)
        tool.state = .stopped
        #expect(health([tool]).tools?.first?.since == tool.since)
    }

    @Test("whether it works is in it when there is something to say, cut, and unhealthy ones come first of many")
    func works() throws {
        var tool = status("a")
        #expect(try !health([tool]).eventData().json.contains("ready"))
        let long = String(repeating: "é", count: 5_000)
        tool.health = .init(isReady: false, unhealthyReason: long, unhealthySince: .epoch, text: long)
        let listed = try #require(health([tool]).tools?.first)
        #expect(listed.isReady == false && listed.health == "unhealthy" && listed.healthSince == .epoch)
        #expect(listed.healthReason?.utf8.count == 499 && listed.status?.utf8.count == 499)
        var tools = (0..<250).map { status("t\(1_000 + $0)") }
        tools[249].health = tool.health
        #expect(health(tools).tools?.first?.name == "t1249")
    }

    @Test("what it waits for stands where it says something of itself; its state stays one that all readers know")
    func waits() throws {
        var tool = status("a", .installed)
        tool.waitsFor = ["db", "cache"]
        let listed = try #require(health([tool]).tools?.first)
        #expect(listed.status == "waiting for db, cache" && listed.state == .installed)
        tool.waitsFor = (0..<1_000).map { "tool-\($0)" }
        #expect(health([tool]).tools?.first?.status.map { $0.utf8.count <= 500 } == true)
    }

    @Test("200 are listed by name; of more, those in trouble come first and the rest is counted")
    func many() {
        let names = (0..<200).map { "t\(1_000 + $0)" }
        var tools = names.map { status($0) }
        tools[7].state = .failed
        var listed = health(tools.shuffled())
        #expect(listed.tools?.map(\.name) == names && listed.toolsOmitted == 0)
        tools += [status("z2", .backingOff), status("z1", .failed), status("z0", .stopped)]
        listed = health(tools.shuffled())
        #expect(listed.tools?.prefix(4).map(\.name) == ["t1007", "z1", "z2", "t1000"])
        #expect(listed.tools?.count == 200 && listed.toolsOmitted == 3)
    }

    @Test("a long error is cut, and many long ones leave room for a message of any server")
    func long() throws {
        let error = String(repeating: "é", count: 5_000)
        let one = try #require(health([status("a", .failed, error: error, version: error)]).tools?.first)
        #expect(one.error?.utf8.count == 499 && one.error?.hasSuffix("é…") == true)
        #expect(one.version.utf8.count <= 200)
        #expect(health([status("a", .failed, error: "short")]).tools?.first?.error == "short")
        let combined = "a" + String(repeating: "\u{301}", count: 5_000)
        #expect(health([status("a", .failed, error: combined)]).tools?.first?.error?.utf8.count ?? 0 > 490)
        let many = health((0..<1_000).map { status("t\($0)", .failed, error: error) })
        let count = try #require(many.tools?.count)
        #expect(count > 80 && count < 200 && many.toolsOmitted == 1_000 - count)
        #expect(try many.eventData().json.utf8.count < 100_000)
    }

    @Test("where the bytes do not suffice, those in trouble come first and the rest is counted")
    func limited() {
        var tools = (0..<20).map { status("t\(10 + $0)") }
        tools[15].state = .backingOff
        tools[19].state = .failed
        var health = health(tools)
        #expect(health.tools?.first?.name == "t10")
        health.limitList(to: health.listBytes)
        #expect(health.toolsOmitted == 0)
        health.limitList(to: health.listBytes / 2)
        #expect(health.tools?.map(\.name) == ["t29", "t25"] + (10..<18).map { "t\($0)" })
        #expect(health.toolsOmitted == 10)
        health.limitList(to: 1)
        #expect(health.tools == [] && health.toolsOmitted == 20 && health.listBytes == 0)
    }

    @Test("200 tools with all their figures are within the list's bytes; where they are not, figures go before tools")
    func usage() throws {
        let figures = ProcessUsage(
            cpu: 12.345678,
            memoryMB: 123_456.7,
            processes: 123,
            threads: 4_567,
            files: 8_910,
            readMB: 1_234_567.8,
            writtenMB: 987.65
        )
        let tools = (0..<200).map { number in
            var tool = status("service-number-\(1_000 + number)", version: "1.12.123")
            tool.usage = figures
            tool.usage?.memoryMB = Double(number)
            return tool
        }
        var health = health(tools)
        #expect(health.tools?.count == 200 && health.tools?.allSatisfy { $0.usage != nil } == true)
        #expect(try health.eventData().json.utf8.count < NodeHealth.maximumListBytes)
        let one = try NodeHealth(status: "", resources: nil, listing: [tools[7]]).eventData().json
        let none = try NodeHealth(
            status: "",
            resources: nil,
            listing: [status("service-number-1007", version: "1.12.123")]
        )
        .eventData().json
        #expect(one.utf8.count - none.utf8.count <= figures.approximateBytes)
        // Half of it: the tools stay, and the figures of those that use most.
        health.limitList(to: health.listBytes * 3 / 4)
        #expect(health.tools?.count == 200 && health.toolsOmitted == 0)
        let kept = health.tools?.filter { $0.usage != nil }.compactMap(\.usage?.memoryMB) ?? []
        #expect(kept == (200 - kept.count..<200).map { Double($0) } && (60..<160).contains(kept.count))
        health.limitList(to: 10_000)
        #expect((health.tools?.count ?? 0) > 50 && health.tools?.allSatisfy { $0.usage == nil } == true)
        #expect(health.toolsOmitted == 200 - (health.tools?.count ?? 0))
    }

    @Test("a tool whose removal was announced is in no later list, one that was announced as started is in it")
    func order() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        let supervisor = ToolSupervisor(
            environment: ToolEnvironment(url: "nats://127.0.0.1:1", node: "attic"),
            logger: quiet
        ) { node.emitter.emit($0) }
        node.setTools { supervisor.tools }
        let isDone = Locked(false)
        let storing = Task { await node.emitter.run() }
        let reporting = Task.detached {
            while !isDone.withLock({ $0 }) {
                node.emitHealth()
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
        for _ in 0..<15 {
            try await supervisor.install(ToolSpecification(name: "t", version: "1", command: ["sleep", "600"]))
            try await supervisor.start("t")
            try await supervisor.stop("t")
            try await supervisor.remove("t")
        }
        isDone.withLock { $0 = true }
        await reporting.value
        try await node.emitter.flush(timeout: .seconds(30))
        var known: Set<String> = ["none"]
        for event in try await mesh.events() {
            // What a list may say after each event: what the event says, or what comes next.
            switch event.type {
            case .toolInstalled: known = ["installed", "starting", "running"]
            case .toolStarted: known = ["running", "stopped"]
            case .toolStopped: known = ["stopped", "none"]
            case .toolRemoved: known = ["none", "installed", "starting"]
            default:
                let health: NodeHealth = try event.payload()
                let tools = try #require(health.tools)
                let state = tools.first?.state.rawValue ?? "none"
                #expect(known.contains(state) || state == "installed" && known == ["none"], "\(state) after \(known)")
            }
        }
        #expect(await node.emitter.drain(timeout: .seconds(30)).isEmpty)
        await storing.value
        await supervisor.shutdown()
    }
}
