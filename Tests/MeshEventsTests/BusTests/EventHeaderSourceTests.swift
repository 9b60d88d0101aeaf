import InMemoryTracing
import MeshConcurrency
import MeshEventsInterop
import MeshEventsSigning
import MeshEventsTesting
import Testing

@testable import MeshEvents

/// What sources add to the messages of a bus.
struct EventHeaderSourceTests {
    private let mesh = InMemoryMesh()

    private func bus(_ configuration: EventBus.Configuration) -> EventBus {
        EventBus(transport: InMemoryTransport(mesh), node: "a", configuration: configuration)
    }

    private func persistent(_ sources: [any EventHeaderSource]) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "a",
            busConfiguration: .init(headerSources: sources)
        )
    }

    @Test func spansComeFirstThenTheSourcesInOrderThenTheSignature() async throws {
        let emitter = bus(
            .init(
                tracer: RecordingTracer(),
                signer: NodeSigningKey.generate(),
                headerSources: [Fixed("first", "1"), CloudEventAttributes(), Fixed("last", "2")]
            )
        )
        let subscription = try await bus(.init()).subscribe(to: "events.user.x")
        try emitter.emit("user.x")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        let fields = try #require(event.origin?.headers.fields)
        #expect(
            fields.map(\.name) == [
                "traceparent", "tracestate", "first", "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time",
                "ce-datacontenttype", "last", SignatureVerification.header,
            ]
        )
        #expect(event.origin?.headers["last"] == "2")
    }

    @Test func aSourceIsGivenTheEventAsItIsSent() async throws {
        let source = Recording()
        let emitter = bus(.init(headerSources: [source]))
        try emitter.emit(ToolStarted(tool: "whisper"))
        try emitter.emit(Event("user.x", node: "b", data: ["n": 1]))
        #expect(source.messages.map(\.messageID) == [nil, nil])
        #expect(source.messages.map(\.event.node) == ["a", "b"])
        #expect(source.messages.map(\.subject) == ["events.tool.started", "events.user.x"])
        for message in source.messages {
            #expect(message.event.timestamp != .epoch && message.event.origin == nil)
            #expect(try EventEncoder().encode(message.event) == message.payload)
        }
    }

    @Test func aStoredEventHasItsMessageID() async throws {
        let source = Recording()
        let emitter = try await persistent([source, CloudEventAttributes()])
        try await emitter.emit("user.x")
        try await emitter.emit(contentsOf: [Event("user.x")])
        let ids = try await emitter.history().map { $0.event.origin?.headers["ce-id"] }
        #expect(ids == source.messages.map(\.messageID) && !ids.contains(nil))
    }

    @Test func anErrorOfASourceKeepsTheEventBack() async throws {
        let failing = Failing()
        let source = Recording()
        let subscription = try await bus(.init()).subscribe(to: "events.user.x")
        #expect(throws: MeshEventsError.self) { try bus(.init(headerSources: [failing, source])).emit("user.x") }
        await #expect(throws: MeshEventsError.self) { try await persistent([failing, source]).emit("user.x") }
        #expect(source.messages.isEmpty)
        try await subscription.drain()
        var iterator = subscription.makeAsyncIterator()
        #expect(try await iterator.next() == nil)
        #expect(try await persistent([]).history().isEmpty)
    }

    @Test(arguments: [("a b", "1"), ("", "1"), ("a", "1\r\nb: 2"), ("a", "\u{0}"), ("Nats-Msg-Id", "1")])
    func invalidFieldsAreNotSent(name: String, value: String) async throws {
        let source = Fixed(name, value)
        let error = #expect(throws: MeshEventsError.self) { try bus(.init(headerSources: [source])).emit("user.x") }
        #expect(error?.code == .invalidArgument)
        await #expect(throws: MeshEventsError.self) { try await persistent([source]).emit("user.x") }
    }

    @Test func aBusIsPlainWithoutMetricsSpansAndSources() {
        #expect(bus(.init()).isPlain)
        #expect(!bus(.init(tracer: RecordingTracer())).isPlain)
        #expect(!bus(.init(signer: NodeSigningKey.generate())).isPlain)
        #expect(!bus(.init(headerSources: [CloudEventAttributes()])).isPlain)
    }

    @Test func cloudEventsAreOneSourceOfAConfiguration() {
        var configuration = EventBus.Configuration(headerSources: [Fixed("first", "1")])
        #expect(!configuration.cloudEvents)
        configuration.cloudEvents = true
        configuration.cloudEvents = true
        #expect(configuration.cloudEvents && configuration.headerSources.count == 2)
        configuration.cloudEvents = false
        #expect(!configuration.cloudEvents && configuration.headerSources.count == 1)
    }
}

/// Adds the same field to every message.
private struct Fixed: EventHeaderSource {
    let name: String
    let value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) { headers.append(name, value) }
}

/// Adds nothing; keeps the messages.
private final class Recording: EventHeaderSource {
    private let found = Locked<[EncodedEvent]>([])

    var messages: [EncodedEvent] { found.withLock { $0 } }

    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) {
        found.withLock { $0.append(message) }
    }
}

private struct Failing: EventHeaderSource {
    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) throws(MeshEventsError) {
        throw MeshEventsError(.invalidArgument, "no field today")
    }
}
