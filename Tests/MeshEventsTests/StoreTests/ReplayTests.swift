import MeshEventsTesting
import Testing

@testable import MeshEvents

/// What a replay does by itself, without a server.
struct ReplayTests {
    @Test func onePatternCoversSeveral() throws {
        func covering(_ patterns: EventPattern...) -> String { EventPattern.covering(patterns).subject }
        #expect(covering("events.tool.*") == "events.tool.*")
        #expect(covering("events.tool.a", "events.tool.b.c") == "events.tool.>")
        #expect(covering("events.tool.*", "events.node.x") == "events.>")
        #expect(covering("events.user.a.b.c", "events.user.a.b") == "events.user.a.>")
        #expect(covering("events.user.a", "events.user.a.>") == "events.user.>")
        #expect(covering("events.*.a", "events.*.b") == "events.*.>")
    }

    @Test func patternsThatOthersCoverAreLeftOut() throws {
        func distinct(_ patterns: EventPattern...) throws -> [EventPattern] { try EventPattern.distinct(patterns) }
        #expect(try distinct("events.tool.a", "events.tool.a") == ["events.tool.a"])
        #expect(try distinct("events.tool.a", "events.tool.*", "events.node.>") == ["events.tool.*", "events.node.>"])
        #expect(try distinct("events.>", "events.tool.*") == [.all])
        #expect(try distinct("events.*.a", "events.tool.*") == ["events.*.a", "events.tool.*"])
        #expect(!EventPattern("events.*").covers("events.>"))
        #expect(!EventPattern("events.tool.*").covers("events.tool.a.b"))
        #expect(!EventPattern("events.tool.>").covers("events.tool"))
    }

    @Test func expiredEventsAreAGapForWhoExpectedThem() async throws {
        let clock = ManualClock()
        let mesh = InMemoryMesh(InMemoryMesh.Configuration(now: { clock.timestamp }))
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "n",
            configuration: PersistentEventBus.Configuration(maximumAge: .seconds(60))
        )
        for _ in 0..<3 { try await bus.emit("user.n") }
        let replay = try await bus.replay(from: .sequence(1))
        clock.advance(by: .seconds(60))
        try await bus.emit("user.n")
        var elements: [ReplayElement] = []
        for try await element in replay {
            elements.append(element)
            if element.event != nil { break }
        }
        #expect(elements.first == .gap(ReplayGap(sequences: 1...3)))
        #expect(elements.last?.event?.sequence == 4)
    }

    @MainActor
    @Test func readingOnAnActorKeepsTheOrder() async throws {
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let bus = try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "n")
        for number in 0..<2_000 { try await bus.emit("user.n", ["seq": .init(number)]) }
        var next: UInt64 = 1
        for try await element in try await bus.replay() {
            guard let event = element.event else { break }
            #expect(event.sequence == next)
            next += 1
        }
        #expect(next == 2_001)
    }
}
