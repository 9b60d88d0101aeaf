import Logging
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// A monitor on an in-memory mesh, with a clock that the test moves.
@Suite(.timeLimit(.minutes(1))) struct MeshMonitorTests {
    private struct Fixture {
        let clock = ManualClock()
        let mesh: InMemoryMesh
        let bus: PersistentEventBus
        let transport: InMemoryTransport

        init() async throws {
            mesh = InMemoryMesh(.init(clock: clock))
            transport = InMemoryTransport(mesh)
            bus = try await PersistentEventBus.open(transport: transport, store: InMemoryStore(mesh), node: "pi")
        }

        func monitor(_ configuration: MeshMonitor.Configuration = .init()) async throws -> MeshMonitor {
            let clock = clock
            return try await MeshMonitor.start(
                store: InMemoryStore(mesh),
                configuration: configuration,
                clock: clock,
                now: { clock.timestamp }
            )
        }

        func emit(_ payload: some EventPayload, node: String = "pi") async throws {
            try await bus.emit(try Event(payload, node: node))
        }

        func health(_ node: String = "pi", _ status: String = "online") async throws {
            try await emit(NodeHealth(status: status, resources: ["interval_s": 10]), node: node)
        }
    }

    @Test func beginsWithWhatWasStored() async throws {
        let fixture = try await Fixture()
        try await fixture.emit(NodeJoined(capabilities: ["tools": 1]))
        try await fixture.emit(ToolInstalled(tool: "whisper", version: "v1"))
        try await fixture.bus.emit("user.noise", ["a": 1])
        try await fixture.emit(ToolStarted(tool: "whisper"))
        let state = try await fixture.monitor().state
        #expect(state.node("pi")?.capabilities == ["tools": 1])
        #expect(state.tool("whisper", on: "pi")?.version == "v1")
        #expect(state.tool("whisper", on: "pi")?.state == .running)
    }

    @Test func anEmptyMeshIsCaughtUpWithAtOnce() async throws {
        let monitor = try await Fixture().monitor()
        #expect(monitor.state.isEmpty)
    }

    @Test func tellsWhatComesWithTheEventThatCausedIt() async throws {
        let fixture = try await Fixture()
        let updates = try await fixture.monitor().updates()
        try await fixture.emit(NodeJoined(capabilities: ["tools": 1]))
        try await fixture.bus.emit("user.noise", ["a": 1])
        try await fixture.emit(NodeLeft(reason: "shutdown"))
        try await withDeadline(.seconds(20), "two updates") {
            var iterator = updates.makeAsyncIterator()
            let first = try #require(try await iterator.next())
            #expect(first.change.kinds == [.joined, .capabilities, .status] && first.node.status == .online)
            #expect(first.cause?.event.type == .nodeJoined && first.cause?.sequence == 1)
            let second = try #require(try await iterator.next())
            #expect(second.node.status == .left && second.cause?.sequence == 3)
        }
        #expect(updates.missed == 0)
    }

    @Test func tellsWhenANodeBecomesUnreachableAndComesBack() async throws {
        let fixture = try await Fixture()
        try await fixture.health("a")
        let monitor = try await fixture.monitor()
        let updates = monitor.updates()
        try await eventually("the timer") { fixture.clock.sleepers == 1 }
        // Another node, with a shorter interval, sets the timer anew.
        try await fixture.emit(NodeJoined(capabilities: ["interval_s": 1]), node: "b")
        var iterator = updates.makeAsyncIterator()
        #expect(try await iterator.next()?.node.name == "b")
        fixture.clock.advance(by: .seconds(3))
        let silent = try await iterator.next()
        #expect(silent?.node.name == "b" && silent?.node.status == .unreachable && silent?.cause == nil)
        #expect(monitor.state.node("a")?.status == .online)
        try await eventually("the timer") { fixture.clock.sleepers == 1 }
        fixture.clock.advance(by: .seconds(27))
        #expect(try await iterator.next()?.change == .init(node: "a", kinds: .status))
        #expect(monitor.state.summary.unreachable == 2)
        try await fixture.health("a")
        let back = try await iterator.next()
        #expect(back?.change.kinds == [.status, .resources] && back?.node.status == .online)
    }

    @Test func forgetsWhatIsLongGone() async throws {
        let fixture = try await Fixture()
        try await fixture.emit(NodeJoined(capabilities: nil), node: "old")
        try await fixture.emit(NodeLeft(reason: "shutdown"), node: "old")
        let monitor = try await fixture.monitor(.init(retention: .seconds(7_200)))
        #expect(monitor.state.nodes.map(\.name) == ["old"])
        for _ in 0..<3 {
            try await eventually("the timer") { fixture.clock.sleepers == 1 }
            fixture.clock.advance(by: .seconds(3_600))
        }
        try await eventually("the old node to be forgotten") { monitor.state.isEmpty }
    }

    @Test func aSlowReaderLosesTheOldestAndCountsThem() async throws {
        let fixture = try await Fixture()
        let monitor = try await fixture.monitor(.init(bufferedUpdates: 2))
        let updates = monitor.updates()
        for number in 0..<5 { try await fixture.emit(NodeJoined(capabilities: nil), node: "n\(number)") }
        try await eventually("five nodes") { monitor.state.nodes.count == 5 }
        #expect(updates.missed == 3)
        var iterator = updates.makeAsyncIterator()
        #expect(try await iterator.next()?.node.name == "n3")
    }

    @Test func closingEndsTheUpdates() async throws {
        let fixture = try await Fixture()
        try await fixture.health()
        let monitor = try await fixture.monitor()
        let updates = monitor.updates()
        monitor.close()
        var iterator = updates.makeAsyncIterator()
        #expect(try await iterator.next() == nil)
        #expect(monitor.failure == nil)
        #expect(monitor.state.node("pi")?.status == .online)
        var late = monitor.updates().makeAsyncIterator()
        #expect(try await late.next() == nil)
        try await eventually("the timer to end") { fixture.clock.sleepers == 0 }
    }

    @Test func withoutAStreamItSaysSo() async throws {
        let mesh = InMemoryMesh()
        func failure() async -> MeshEventsError? {
            do {
                _ = try await MeshMonitor.start(store: InMemoryStore(mesh))
                return nil
            } catch {
                return error
            }
        }
        #expect(await failure()?.code == .streamNotFound)
    }
}

@Suite struct ServerTimeTests {
    @Test func liveEventsTellTheDifferenceOfTheClocks() {
        var time = ServerTime()
        // From history nothing follows but that the server's clock is at least there.
        time.observe(Mesh.time(-500), local: Mesh.time(0), isLive: false)
        #expect(time.now(Mesh.time(1)) == Mesh.time(1))
        time.observe(Mesh.time(30), local: Mesh.time(1), isLive: false)
        #expect(time.now(Mesh.time(1)) == Mesh.time(30))
        // Slow ways make it look late; the fastest is the truth.
        time.observe(Mesh.time(95), local: Mesh.time(10), isLive: true)
        time.observe(Mesh.time(70), local: Mesh.time(11), isLive: true)
        #expect(time.now(Mesh.time(20)) == Mesh.time(105))
    }

    @Test func aClockHereThatIsAheadIsCorrected() {
        var time = ServerTime()
        #expect(time.observe(Mesh.time(0), local: Mesh.time(3_600), isLive: true) == .seconds(-3_600))
        #expect(time.now(Mesh.time(3_610)) == Mesh.time(10))
    }
}
