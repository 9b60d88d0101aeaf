import MeshEvents
import MeshEventsTesting
import Testing

/// What the bus adds to a transport; what depends on the transport is in the conformance suite.
@Suite(.timeLimit(.minutes(1)))
struct EventBusTests {
    private let mesh = InMemoryMesh()

    private func bus(_ node: String = "node-a") -> EventBus {
        EventBus(transport: InMemoryTransport(mesh), node: node)
    }

    @Test func emitSetsTheTimeAndFillsAnEmptyNode() async throws {
        let bus = bus()
        var iterator = try await bus.subscribe().makeAsyncIterator()
        let old = Timestamp(nanosecondsSinceEpoch: 1)
        try bus.emit(Event("user.a", timestamp: old))
        try bus.emit(Event("user.a", node: "node-b", timestamp: old))
        let first = try #require(try await iterator.next())
        let second = try #require(try await iterator.next())
        #expect(first.node == "node-a")
        #expect(second.node == "node-b")
        #expect(first.timestamp > old && first.timestamp <= .now)
    }

    @Test func anEventTooLargeForTheStackIsSentWhole() async throws {
        let bus = bus()
        var iterator = try await bus.subscribe().makeAsyncIterator()
        for length in [900, 1000, 1024, 1100, 5000] {
            try bus.emit("user.large", ["text": .string(String(repeating: "x", count: length))])
            #expect(try await iterator.next()?.data["text"]?.string?.count == length)
        }
    }

    @MainActor @Test func aReaderOnTheMainActorStaysThere() async throws {
        let bus = bus()
        let subscription = try await bus.subscribe(to: "user.main")
        for number in 0..<2000 { try bus.emit("user.main", ["seq": .init(number)]) }
        var next = 0
        for try await event in subscription {
            MainActor.assertIsolated()
            #expect(event.data["seq"]?.int == next)
            next += 1
            if next == 2000 { break }
        }
        #expect(next == 2000)
    }

    @Test func breakingOutOfALoopLeavesTheRestToTheNext() async throws {
        let bus = bus()
        let subscription = try await bus.subscribe(to: "user.n")
        for number in 0..<10 { try bus.emit("user.n", ["seq": .init(number)]) }
        try await bus.flush()
        var seen: [Int] = []
        for try await event in subscription {
            seen.append(event.data["seq"]?.int ?? -1)
            if seen.count == 4 { break }
        }
        try await subscription.drain()
        for try await event in subscription { seen.append(event.data["seq"]?.int ?? -1) }
        #expect(seen == Array(0..<10))
    }

    @Test func lettingGoOfASubscriptionCancelsIt() async throws {
        let transport = CountingTransport(InMemoryTransport(mesh))
        let bus = EventBus(transport: transport, node: "node-a")
        var subscription: EventSubscription? = try await bus.subscribe()
        #expect(transport.active == 1)
        _ = subscription?.received
        subscription = nil
        #expect(transport.active == 0)
    }

    @Test func aSubscriptionKeepsItsBusAliveAndNoLonger() async throws {
        weak var released: EventBus?
        var subscription: EventSubscription?
        do {
            let temporary = bus("temporary")
            released = temporary
            subscription = try await temporary.subscribe(to: "user.n")
        }
        try bus().emit("user.n", ["seq": 1])
        var iterator = subscription?.makeAsyncIterator()
        #expect(try await iterator?.next()?.data["seq"]?.int == 1)
        #expect(released != nil)
        iterator = nil
        subscription = nil
        #expect(released == nil)
    }

    @Test func aDiscardedHandlerLivesUntilTheBusCloses() async throws {
        let transport = CountingTransport(InMemoryTransport(mesh))
        let bus = EventBus(transport: transport, node: "node-a")
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        try await bus.subscribe(to: "user.kept") { continuation.yield($0) }
        try bus.emit("user.kept", ["seq": 1])
        var iterator = events.makeAsyncIterator()
        #expect(await iterator.next()?.data["seq"]?.int == 1)
        #expect(transport.active == 1)
        await bus.close()
        #expect(transport.active == 0)
    }

    @Test func emittingIntoAFullBufferThrowsAndTheManyFormWaits() async throws {
        let mesh = InMemoryMesh(InMemoryMesh.Configuration(outboundBytes: 2000))
        let bus = EventBus(transport: InMemoryTransport(mesh), node: "node-a")
        let subscription = try await bus.subscribe(to: "user.n")
        mesh.pause()
        var sent = 0
        let error = #expect(throws: MeshEventsError.self) {
            while sent < 1000 {
                try bus.emit("user.n", ["seq": .init(sent)])
                sent += 1
            }
        }
        #expect(error?.code == .bufferFull)
        #expect(error?.isRetriable == true)
        #expect((5..<40).contains(sent))
        let start = sent
        let emitting = Task {
            try await bus.emit(contentsOf: (start..<500).lazy.map { Event("user.n", data: ["seq": .init($0)]) })
        }
        await Task.yield()
        mesh.resume()
        try await emitting.value
        try await bus.flush()
        try await subscription.drain()
        var numbers: [Int] = []
        for try await event in subscription { numbers.append(event.data["seq"]?.int ?? -1) }
        #expect(numbers == Array(0..<500), "a message whose call threw was not sent, and all others were")
    }

    @Test func aPayloadThatCannotBeReadIsSkippedAndCounted() async throws {
        let bus = bus()
        let subscription = try await bus.subscribe(to: Reading.self)
        try bus.emit("user.reading", ["celsius": "warm"])
        try bus.emit(Reading(celsius: 21))
        var iterator = subscription.makeAsyncIterator()
        let reading = try #require(try await iterator.next())
        #expect(reading.celsius == 21)
        #expect(reading.node == "node-a")
        #expect(subscription.malformed == 1)
        #expect(subscription.received == 2)

        let (readings, continuation) = AsyncStream.makeStream(of: Int.self)
        let handler = try await bus.subscribe(to: Reading.self) { continuation.yield($0.celsius) }
        try bus.emit("user.reading", nil)
        try bus.emit(Reading(celsius: 5))
        var handled = readings.makeAsyncIterator()
        #expect(await handled.next() == 5)
        #expect(handler.malformed == 1)
        #expect(handler.handlerErrors == 0)
    }

    @Test func aDrainThatTakesTooLongThrowsTimeout() async throws {
        let bus = bus()
        let gate = AsyncStream.makeStream(of: Void.self)
        let handler = try await bus.subscribe(to: "user.slow") { _ in
            for await _ in gate.stream { break }
        }
        try bus.emit("user.slow")
        try await bus.flush()
        let error = await #expect(throws: MeshEventsError.self) { try await handler.drain(timeout: .milliseconds(20)) }
        #expect(error?.code == .timeout)
        gate.continuation.finish()
        try await handler.drain()
    }
}

private struct Reading: EventPayload, Codable {
    static let eventType: EventType = "user.reading"
    var celsius: Int
}
