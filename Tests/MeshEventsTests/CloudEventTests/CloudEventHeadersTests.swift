import InMemoryTracing
import MeshConcurrency
import MeshEvents
import MeshEventsInterop
import MeshEventsSigning
import MeshEventsTesting
import Testing

/// The attributes beside the messages of a bus: binary mode of CloudEvents' NATS protocol binding.
struct CloudEventHeadersTests {
    private let mesh = InMemoryMesh()
    private let key = NodeSigningKey.generate()
    private let tracer = RecordingTracer()

    private func configuration(_ cloudEvents: Bool, _ signs: Bool = false, _ traces: Bool = false)
        -> EventBus.Configuration
    {
        EventBus.Configuration(
            tracer: traces ? tracer : nil,
            signer: signs ? key : nil,
            headerSources: cloudEvents ? [CloudEventAttributes()] : []
        )
    }

    private func bus(_ node: String, cloudEvents: Bool, signs: Bool = false, traces: Bool = false) -> EventBus {
        EventBus(
            transport: InMemoryTransport(mesh),
            node: node,
            configuration: configuration(cloudEvents, signs, traces)
        )
    }

    /// What one event brings along.
    private func received(_ emitter: EventBus, _ event: Event) async throws -> Event {
        let receiver = bus("r", cloudEvents: false)
        let subscription = try await receiver.subscribe(to: "events.>")
        try emitter.emit(event)
        var iterator = subscription.makeAsyncIterator()
        return try #require(try await iterator.next())
    }

    @Test func theyAreThereWhenTheBusIsToldSo() async throws {
        let sent = Event.toolStarted(tool: "whisper & söhne")
        let event = try await received(bus("node a", cloudEvents: true), sent)
        let headers = try #require(event.origin?.headers)
        #expect(
            headers.fields.map(\.name) == [
                "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-datacontenttype",
            ]
        )
        #expect(headers["ce-specversion"] == "1.0")
        #expect(headers["ce-source"] == "/mesh/nodes/node%2520a")
        #expect(headers["ce-type"] == "tool.started")
        #expect(headers["ce-subject"] == "whisper%20&%20s%C3%B6hne")
        #expect(headers["ce-time"] == event.timestamp.description)
        #expect(headers["ce-datacontenttype"] == CloudEvent.wholeEventContentType)
        let plain = try await received(bus("node a", cloudEvents: false), sent)
        #expect(plain.origin == nil)
    }

    @Test func thePayloadStaysAsItIs() async throws {
        let payloads = Payloads()
        let transport = InMemoryTransport(mesh)
        let subscription = try await transport.subscribe(to: "events.>", queueGroup: nil, receiver: payloads)
        for cloudEvents in [false, true] {
            try bus("a", cloudEvents: cloudEvents).emit("user.x", ["n": 1, "text": "é"])
            try await transport.flush(timeout: .seconds(10))
        }
        try await subscription.drain(timeout: .seconds(10))
        let texts = payloads.texts.map { $0.replacing(#/"timestamp":"[^"]+"/#, with: #""timestamp":"""#) }
        #expect(
            texts
                == Array(repeating: #"{"type":"user.x","node":"a","timestamp":"","data":{"n":1,"text":"é"}}"#, count: 2)
        )
    }

    @Test func everyIdIsAnother() async throws {
        let emitter = bus("a", cloudEvents: true)
        let subscription = try await bus("r", cloudEvents: false).subscribe(to: "events.user.x")
        for _ in 0..<100 { try emitter.emit("user.x") }
        try bus("a", cloudEvents: true).emit("user.x")
        var ids: Set<String> = []
        var iterator = subscription.makeAsyncIterator()
        for _ in 0..<101 {
            let event = try #require(try await iterator.next())
            ids.insert(try #require(event.origin?.headers["ce-id"]))
        }
        #expect(ids.count == 101)
    }

    @Test(arguments: ["x\r\nNats-Msg-Id: 1", "\r\n\r\n{}", "a\u{0}b\u{85}\u{2028}c", "%0D%0A", "\u{7F}\"\\"])
    func nothingEndsALine(hostile: String) async throws {
        let emitter = bus(hostile, cloudEvents: true)
        let event = try await received(emitter, .toolStarted(tool: hostile))
        let headers = try #require(event.origin?.headers)
        #expect(headers.fields.count == 6 || headers.fields.count == 7)
        try headers.validate()
        for field in headers.fields {
            #expect(field.name.hasPrefix("ce-"))
            #expect(field.value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "\(field)")
        }
        #expect(event.node == hostile)
        #expect(try CloudEvent(event).node == hostile)
        // Attributes that somebody made up cannot either.
        let made = CloudEvent(
            id: hostile,
            source: hostile,
            type: hostile,
            subject: hostile,
            extensions: ["x": .string(hostile)]
        )
        try made.headers.validate()
        #expect(made.headers.fields.count == 7)
        #expect(CloudEvent(id: "1", source: "s", type: "t", extensions: ["a\r\nb": "c"]).headers.fields.count == 5)
    }

    @Test func theIdTravelsToWhoeverReadsTheEvent() async throws {
        let event = try await received(bus("a", cloudEvents: true), Event("user.x"))
        let id = try #require(event.origin?.headers["ce-id"])
        #expect(try CloudEvent(event).id == id)
        // Whatever the stream adds, the id stays.
        #expect(try CloudEvent(StoredEvent(event: event, sequence: 7, storedAt: .now)).id == id)
    }

    @Test func nobodySpeaksForAnotherNode() async throws {
        let transport = InMemoryTransport(mesh)
        let receiver = bus("r", cloudEvents: false)
        let subscription = try await receiver.subscribe(to: "events.user.x")
        var iterator = subscription.makeAsyncIterator()
        for (source, expected) in [
            ("/mesh/nodes/b", "/mesh/nodes/a"), ("/mesh/nodes/a", "/mesh/nodes/a"), ("https://x", "/mesh/nodes/a"),
            ("a", "a"), ("%C0%A0", "/mesh/nodes/a"),
        ] {
            let payload = Array(#"{"type":"user.x","node":"a","timestamp":"2026-01-01T00:00:00Z","data":{}}"#.utf8)
            try Array("events.user.x".utf8).withUnsafeBytes { subject in
                try payload.withUnsafeBytes { payload in
                    // As Go's header type writes names.
                    let headers: MessageHeaders = ["Ce-Source": source, "Ce-Id": ""]
                    try transport.publish(
                        OutgoingMessage(subject: subject.bytes, payload: payload.bytes, headers: headers)
                    )
                }
            }
            let event = try #require(try await iterator.next())
            let cloudEvent = try CloudEvent(event)
            #expect(cloudEvent.source == expected)
            #expect(!cloudEvent.id.isEmpty)
        }
    }

    @Test func signaturesAndSpansGoWithThem() async throws {
        var trust = TrustList()
        try trust.trust("a", key: key.publicKey)
        let receiver = EventBus(
            transport: InMemoryTransport(mesh),
            node: "r",
            configuration: EventBus.Configuration(verification: SignatureVerification(trust))
        )
        let subscription = try await receiver.subscribe(to: "events.user.x")
        try bus("a", cloudEvents: true, signs: true, traces: true).emit("user.x")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.signature == .signed(by: "a"))
        let names = try #require(event.origin?.headers.fields.map(\.name))
        #expect(names.contains("ce-id") && names.contains(SignatureVerification.header))
        #expect(names.first?.hasPrefix("ce-") == false, "the span's fields are lost: \(names)")
    }

    @Test func storedEventsHaveTheIdOfTheirMessage() async throws {
        let persistent = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "a",
            busConfiguration: configuration(true)
        )
        try await persistent.emit("user.x", ["n": 1])
        try await persistent.emit(contentsOf: [Event("user.x"), Event("user.x")])
        let stored = try await persistent.history()
        let ids = stored.compactMap { $0.event.origin?.headers["ce-id"] }
        #expect(Set(ids).count == 3)
        #expect(try stored.map { try CloudEvent($0).id } == ids)
        #expect(stored.allSatisfy { $0.event.origin?.headers["ce-time"] == $0.event.timestamp.description })
    }
}

/// Keeps the payloads it is handed.
private final class Payloads: MessageReceiver {
    private let found = Locked<[String]>([])

    var texts: [String] { found.withLock { $0 } }

    func receive(_ message: IncomingMessage) {
        let text = message.payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        found.withLock { $0.append(text) }
    }

    func receiveBatchEnd() {}

    func receiveEnd(_ error: MeshEventsError?) {}
}
