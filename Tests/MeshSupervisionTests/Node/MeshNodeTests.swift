import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import ServiceLifecycle
import TestSupport
import Testing

@testable import MeshSupervision

@Suite("A node", .timeLimit(.minutes(1)))
struct MeshNodeTests {
    private func types(_ mesh: MemoryMesh) async throws -> [String] {
        try await mesh.events("events.node.>").map(\.type.rawValue)
    }

    private func health(_ mesh: MemoryMesh) async throws -> [NodeHealth] {
        try await mesh.events("events.node.health").map { try $0.payload() }
    }

    @Test("it joins with its capabilities, says how it is at each interval, and leaves with a reason")
    func life() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node(.init(jitter: 0, version: "1.2.0", extras: ["room": "attic", "host": "forged"]))
        let since = try Timestamp(rfc3339: "2026-11-24T09:04:34Z")
        let tools = [("a", ToolStatus.State.running), ("b", .stopping), ("c", .running)].map { name, state in
            ToolStatus(name: name, version: "1", state: state, since: since, restartCount: 0, lastOutput: ["secret"])
        }
        node.setTools { tools }
        let running = Task { try await node.run() }
        for count in 1...3 {
            try await eventually("\(count) health events") { try await health(mesh).count == count }
            try await mesh.advance(by: .seconds(10))
        }
        try await eventually("the last") { try await health(mesh).count == 4 }
        node.leave(reason: "maintenance")
        node.leave(reason: "too late")
        try await running.value
        #expect(
            try await types(mesh)
                == ["node.joined"] + Array(repeating: "node.health", count: 4) + ["node.left"]
        )
        let events = try await mesh.events("events.node.>")
        #expect(events.allSatisfy { $0.node == "attic" })

        let joined: NodeJoined = try events[0].payload()
        let capabilities = joined.capabilities
        #expect(capabilities["version"]?.string == "1.2.0")
        #expect(capabilities["room"]?.string == "attic")
        #expect(capabilities["host"]?.string != "forged")
        #expect(capabilities["tools"]?.int == 3)
        #expect(capabilities["instance"]?.string == node.instance)
        #expect(capabilities["interval_s"]?.double == 10)
        #expect((capabilities["cpus"]?.int ?? 0) > 0)
        #expect((capabilities["mem_mb"]?.int ?? 0) > 0)
        #expect(capabilities["os"]?.string != nil && capabilities["arch"]?.string != nil)

        let last: NodeHealth = try events[4].payload()
        #expect(last.status == "online")
        #expect(last.resources["uptime_s"]?.double == 30)
        #expect(last.resources["open_tools"]?.int == 2)
        #expect(last.resources["tools"]?.int == 3)
        #expect(last.resources["instance"]?.string == node.instance)
        #expect(last.resources["interval_s"]?.double == 10)
        #expect((last.resources["mem_total_mb"]?.int ?? 0) > 0)
        #expect(last.resources["load"]?.array?.count == 3)
        #expect(last.resources["disk_free_mb"]?.int != nil)
        #expect(last.resources["checks"] == nil)
        #expect(
            last.tools
                == ["a", "b", "c"].map { NodeHealth.Tool(name: $0, version: "1", state: .running, since: since) }
        )
        #expect(last.toolsOmitted == 0)
        let left: NodeLeft = try events[5].payload()
        #expect(left.reason == "maintenance")
    }

    @Test("a node without a supervisor lists no tools, nor does one whose tools are not known yet")
    func noList() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        let running = Task { try await node.run() }
        func keys() async throws -> [String]? { try await mesh.events("events.node.health").last?.data.keys }
        try await eventually("health") { try await keys() == ["resources", "status"] }
        node.setTools { nil }
        try await mesh.advance(by: .seconds(10))
        try await eventually("health") { try await health(mesh).count == 2 }
        #expect(try await keys() == ["resources", "status"])
        let tool = ToolStatus(name: "a", version: "1", state: .running, since: .now, restartCount: 0, lastOutput: [])
        node.setToolReport { MeshNode.Tools([tool], planned: 7) }
        try await mesh.advance(by: .seconds(10))
        try await eventually("health") { try await health(mesh).count == 3 }
        let last = try #require(try await health(mesh).last)
        #expect(last.tools == nil && last.resources["tools"]?.int == 7 && last.resources["open_tools"]?.int == 1)
        node.setTools { [] }
        try await mesh.advance(by: .seconds(10))
        try await eventually("an empty list") { try await health(mesh).last?.tools == [] }
        node.leave(reason: "done")
        try await running.value
    }

    @Test("a graceful shutdown stores node.left with reason shutdown, after what other services said")
    func gracefulShutdown() async throws {
        struct Other: Service {
            let node: MeshNode
            func run() async throws {
                try? await ServiceLifecycle.gracefulShutdown()
                node.emitter.emit(ToolStopped(tool: "whisper", reason: "shutdown"))
            }
        }
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        let group = ServiceGroup(services: [node, Other(node: node)], logger: quiet)
        let running = Task { try await group.run() }
        try await eventually("the node") { try await types(mesh).contains("node.health") }
        await group.triggerGracefulShutdown()
        try await running.value
        let events = try await mesh.events()
        #expect(events.suffix(2).map(\.type) == [.toolStopped, .nodeLeft])
        #expect(events.last?.data["reason"]?.string == "shutdown")
    }

    @Test("a cancelled node says so")
    func cancelled() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        let running = Task { try await node.run() }
        try await eventually("the node") { try await types(mesh).contains("node.joined") }
        running.cancel()
        try await running.value
        #expect(try await mesh.events().last?.data["reason"]?.string == "cancelled")
    }

    @Test("a failing check makes it degraded at once, named in the event, and online again after")
    func degraded() async throws {
        let mesh = try await MemoryMesh()
        let isFull = Locked(true)
        let node = mesh.node()
        node.register(
            HealthCheck(name: "disk") {
                if isFull.withLock({ $0 }) { throw HealthCheck.Failure("free space below 1 GB") }
            }
        )
        let running = Task { try await node.run() }
        try await eventually("degraded") { try await health(mesh).last?.status == "degraded" }
        #expect(
            try await health(mesh).last?.resources["checks"]?.json == #"{"disk":"free space below 1 GB"}"#
        )
        isFull.withLock { $0 = false }
        try await eventually("online") {
            mesh.clock.advance(by: .seconds(1))
            return try await health(mesh).last?.status == "online"
        }
        #expect(try await health(mesh).last?.resources["checks"] == nil)
        node.leave(reason: "done")
        try await running.value
    }

    @Test("a check that hangs does not hold up the health events, nor the node when it leaves")
    func hangingCheck() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        let release = OneTimeSignal()
        node.register(
            HealthCheck(name: "database", timeout: .seconds(2)) {
                await Task.detached { try? await release.wait(until: .now + .seconds(60), for: "the test") }.value
            }
        )
        let running = Task { try await node.run() }
        try await eventually("five health events, degraded") {
            mesh.clock.advance(by: .seconds(1))
            let health = try await health(mesh)
            return health.count > 5 && health.last?.status == "degraded"
        }
        #expect(
            try await health(mesh).last?.resources["checks"]?["database"]?.string == "no answer within 2.0 seconds"
        )
        node.leave(reason: "done")
        try await running.value
        release.send()
    }

    @Test("after a reconnect it joins again, as the same instance")
    func reconnect() async throws {
        let mesh = try await MemoryMesh()
        let (reconnections, reconnect) = AsyncStream.makeStream(of: Void.self)
        let node = mesh.node(reconnections: reconnections)
        let running = Task { try await node.run() }
        try await eventually("the node") { try await types(mesh) == ["node.joined", "node.health"] }
        reconnect.yield()
        try await eventually("the node again") {
            try await types(mesh) == ["node.joined", "node.health", "node.joined", "node.health"]
        }
        let instances = try await mesh.events("events.node.joined").map { $0.data["capabilities"]?["instance"]?.string }
        #expect(instances == [node.instance, node.instance])
        node.leave(reason: "done")
        try await running.value
    }

    @Test("two live nodes of one name notice each other, and say so until one leaves")
    func conflict() async throws {
        let mesh = try await MemoryMesh()
        let noticed = Locked<[NameConflict]>([])
        let first = mesh.node(.init(jitter: 0) { conflict in noticed.withLock { $0.append(conflict) } })
        let second = mesh.node(.init(jitter: 0), bus: try await mesh.another())
        let firstRun = Task { try await first.run() }
        try await eventually("the first node") { try await types(mesh).count == 2 }
        mesh.clock.advance(by: .seconds(1))
        let secondRun = Task { try await second.run() }
        try await eventually("the first to notice") { first.nameConflict != nil }
        #expect(noticed.withLock { $0.map(\.otherInstance) } == [second.instance])
        #expect(first.nameConflict?.host == first.nameConflict?.otherHost)
        try await eventually("the second to notice") {
            // Slowly, so that events arrive well before anybody counts as silent.
            mesh.clock.advance(by: .milliseconds(100))
            return second.nameConflict?.otherInstance == first.instance
        }
        for node in [first, second] {
            try await eventually("degraded") {
                let own = try await health(mesh).last { $0.resources["instance"]?.string == node.instance }
                return own?.status == "degraded" && own?.resources["checks"]?["name"]?.string != nil
            }
        }
        second.leave(reason: "renamed")
        try await secondRun.value
        try await eventually("the end of the conflict") { first.nameConflict == nil }
        try await eventually("online") { try await health(mesh).last?.status == "online" }
        first.leave(reason: "done")
        try await firstRun.value
    }

    @Test("a node that cannot store its leave says so, in time")
    func notStored() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node(.init(jitter: 0, leaveTimeout: .milliseconds(100)))
        let running = Task { () async -> MeshEventsError? in
            do {
                try await node.run()
                return nil
            } catch {
                return error as? MeshEventsError
            }
        }
        try await eventually("the node") { try await types(mesh).count == 2 }
        mesh.store.fail(with: MeshEventsError(.storageFull, "no room"))
        node.leave(reason: "done")
        let error = await running.value
        #expect(error?.code == .timeout)
        #expect(error?.message.contains("node.left") == true)
        #expect(error?.message.contains("no room") == true)
    }

    @Test("a node that gets no answer at the end says within which time")
    func notAnswered() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node(.init(jitter: 0, leaveTimeout: .milliseconds(100)))
        let running = Task { try await node.run() }
        try await eventually("the node") { try await types(mesh).count == 2 }
        mesh.store.hang()
        node.leave(reason: "done")
        let error = await #expect(throws: MeshEventsError.self) { try await running.value }
        #expect(error?.code == .timeout)
        #expect(error?.message.hasSuffix("(node.left): not stored within \(Duration.milliseconds(100))") == true)
    }

    @Test("a health event that is too large comes with fewer tools, those in trouble first, and so do the next ones")
    func tooLarge() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node()
        var tools = (0..<100).map { number in
            ToolStatus(
                name: "t\(100 + number)",
                version: "1",
                state: .running,
                since: .epoch,
                restartCount: 0,
                lastOutput: []
            )
        }
        tools[99].state = .failed
        node.setTools { [tools] in tools }
        mesh.store.limit(bytes: 6_000)
        let running = Task { try await node.run() }
        try await eventually("health") { try await health(mesh).count == 1 }
        let first = try #require(try await health(mesh).last)
        let count = try #require(first.tools?.count)
        #expect(count > 10 && count < 60 && first.toolsOmitted == 100 - count)
        #expect(first.tools?.prefix(2).map(\.name) == ["t199", "t100"])
        #expect(first.resources["tools"]?.int == 100)
        let attempts = mesh.store.attempts
        try await mesh.advance(by: .seconds(10))
        try await eventually("health") { try await health(mesh).count == 2 }
        #expect(mesh.store.attempts == attempts + 1)
        #expect(try await health(mesh).last?.tools == first.tools)
        // Room for a few tools only.
        mesh.store.limit(bytes: 1_000)
        try await mesh.advance(by: .seconds(10))
        try await eventually("health") { try await health(mesh).count == 3 }
        let last = try #require(try await health(mesh).last)
        #expect((last.tools?.count ?? 9) < 9 && last.toolsOmitted == 100 - (last.tools?.count ?? 0))
        mesh.store.limit(bytes: 10)
        try await mesh.advance(by: .seconds(10))
        try await eventually("the refusal") { node.emitter.statistics.refused == 1 }
        mesh.store.limit(bytes: .max)
        try await mesh.advance(by: .seconds(10))
        try await eventually("health") { try await health(mesh).count == 4 }
        #expect(try await health(mesh).last?.tools == [])
        #expect(try await health(mesh).last?.toolsOmitted == 100)
        node.leave(reason: "done")
        try await running.value
    }

    @Test("waiting for the node to join ends when node.joined is stored, or says why not")
    func waitUntilJoined() async throws {
        let mesh = try await MemoryMesh()
        let node = mesh.node(.init(jitter: 0, leaveTimeout: .milliseconds(10)))
        let early = await thrownError { () async throws(MeshEventsError) in
            try await node.waitUntilJoined(timeout: .milliseconds(20))
        }
        #expect(early?.code == .timeout)
        mesh.store.fail(with: MeshEventsError(.permissionDenied, "publishing is forbidden"))
        let running = Task { try await node.run() }
        try await eventually("an attempt") { mesh.store.attempts > 0 }
        let refused = await thrownError { () async throws(MeshEventsError) in
            try await node.waitUntilJoined(timeout: .milliseconds(200))
        }
        #expect(refused?.message.contains("publishing is forbidden") == true)
        mesh.store.fail(with: nil)
        try await eventually("the node") {
            mesh.clock.advance(by: .seconds(1))
            return try await types(mesh).first == "node.joined"
        }
        try await node.waitUntilJoined()
        node.leave(reason: "done")
        _ = try? await running.value
    }

    @Test("a configuration out of range is refused, and a node runs once")
    func refused() async throws {
        let mesh = try await MemoryMesh()
        let bad: [MeshNode.Configuration] = [
            .init(interval: .zero), .init(interval: .seconds(100_000)), .init(jitter: 1), .init(jitter: .nan),
            .init(extras: ["x": JSONValue(Double.infinity)]),
        ]
        for configuration in bad {
            let node = mesh.node(configuration)
            let error = await #expect(throws: MeshEventsError.self) { try await node.run() }
            #expect(error?.code == .invalidArgument)
        }
        let node = mesh.node()
        node.leave(reason: "at once")
        try await node.run()
        let error = await #expect(throws: MeshEventsError.self) { try await node.run() }
        #expect(error?.code == .invalidArgument)
        #expect(try await mesh.events().map(\.type).last == .nodeLeft)
    }
}
