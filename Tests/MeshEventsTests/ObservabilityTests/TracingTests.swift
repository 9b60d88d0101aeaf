import InMemoryTracing
import MeshConcurrency
import MeshEventsTesting
import Testing
import Tracing

@testable import MeshEvents

/// Spans of emitting and handling, and how they are joined by what travels with the event.
struct TracingTests {
    private let tracer = RecordingTracer()
    private let mesh = InMemoryMesh()

    private func bus(_ node: String, traced: Bool = true) -> EventBus {
        EventBus(
            transport: InMemoryTransport(mesh),
            node: node,
            configuration: EventBus.Configuration(tracer: traced ? tracer : nil)
        )
    }

    private func persistent(_ node: String) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: node,
            busConfiguration: EventBus.Configuration(tracer: tracer)
        )
    }

    private func span(_ name: String) -> FinishedInMemorySpan? { tracer.spans.first { $0.operationName == name } }

    private func text(_ span: FinishedInMemorySpan?, _ name: SpanAttributeName) -> String? {
        guard case .string(let value) = span?.attributes.get(name.rawValue) else { return nil }
        return value
    }

    @Test func aHandledEventIsAChildOfItsEmitting() async throws {
        let handled = OneTimeSignal()
        let inHandler = Locked<ServiceContext?>(nil)
        let receiver = bus("b")
        let subscription = try await receiver.subscribe(to: "events.user.*") { _ in
            inHandler.withLock { $0 = ServiceContext.current }
            handled.send()
        }
        let emitter = bus("a")
        try await tracer.withSpan("request") { _ in
            try emitter.emit("user.asked")
            try await handled.wait(until: .now + .seconds(10), for: "the handler")
        }
        try await subscription.drain()
        let request = try #require(span("request"))
        let sent = try #require(span("send events.user.asked"))
        let processed = try #require(span("process events.user.asked"))
        #expect(sent.kind == .producer && processed.kind == .consumer)
        #expect(sent.spanContext.parentSpanID == request.spanContext.spanID)
        #expect(processed.spanContext.parentSpanID == sent.spanContext.spanID)
        #expect(processed.spanContext.traceID == request.spanContext.traceID)
        #expect(inHandler.withLock { $0?.inMemorySpanContext?.spanID } == processed.spanContext.spanID)
        for span in [sent, processed] {
            #expect(text(span, .system) == "nats")
            #expect(text(span, .destination) == "events.user.asked")
            #expect(text(span, .node) == "a")
        }
        #expect(text(sent, .operationType) == "send" && text(processed, .operationType) == "process")
        #expect(text(processed, .destinationTemplate) == "events.user.*")
    }

    @Test func withoutATracerNothingTravels() async throws {
        let plain = bus("a", traced: false)
        let subscription = try await bus("b").subscribe(to: "events.user.a")
        try plain.emit("user.a")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.origin == nil)
        #expect(tracer.spans.isEmpty)
    }

    @Test func whoReadsASequenceProcessesInASpan() async throws {
        let receiver = bus("b")
        let subscription = try await receiver.subscribe(to: "events.user.a")
        try bus("a").emit("user.a")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.origin?.headers["traceparent"]?.hasPrefix("00-") == true)
        #expect(event.origin?.headers["tracestate"] == "mesh=1")
        let answer = try await receiver.process(event) { 42 }
        #expect(answer == 42)
        await #expect(throws: MeshEventsError.self) {
            try await receiver.process(event) { throw MeshEventsError(.timeout, "late") }
        }
        let processed = tracer.spans.filter { $0.operationName == "process events.user.a" }
        #expect(processed.count == 2)
        #expect(processed.allSatisfy { $0.spanContext.parentSpanID == span("send events.user.a")?.spanContext.spanID })
        #expect(processed.last?.status?.code == .error)
        #expect(text(processed.last, .errorType) == "timeout")
    }

    /// Go's header type writes names in its own letter case.
    @Test func theContextIsFoundInAnyLetterCase() async throws {
        let receiver = bus("b")
        let subscription = try await receiver.subscribe(to: "events.user.a")
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        try Array("events.user.a".utf8).withUnsafeBytes { subject in
            try Array(#"{"node":"n"}"#.utf8).withUnsafeBytes { payload in
                try InMemoryTransport(mesh).publish(
                    OutgoingMessage(
                        subject: subject.bytes,
                        payload: payload.bytes,
                        headers: ["Traceparent": parent]
                    )
                )
            }
        }
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        try await receiver.process(event) {}
        #expect(span("process events.user.a")?.spanContext.parentSpanID == "b7ad6b7169203331")
        #expect(span("process events.user.a")?.spanContext.traceID == "0af7651916cd43dd8448eb211c80319c")
    }

    @Test func whatCannotBeEmittedEndsItsSpanWithTheError() {
        let bus = bus("a")
        #expect(throws: MeshEventsError.self) { try bus.emit("not a type") }
        #expect(tracer.spans.count == 1)
        #expect(text(tracer.spans.first, .errorType) == "invalidEventType")
        #expect(tracer.spans.first?.status?.code == .error)
    }

    @Test func storedEventsCarryTheirSpanToDurableHandlers() async throws {
        let bus = try await persistent("a")
        let handled = OneTimeSignal()
        let subscription = try await bus.subscribe(durable: "d", to: "events.user.a") { _ in handled.send() }
        try await bus.emit("user.a")
        try await handled.wait(until: .now + .seconds(10), for: "the handler")
        try await subscription.drain()
        let sent = try #require(span("send events.user.a"))
        let processed = try #require(span("process events.user.a"))
        #expect(processed.spanContext.parentSpanID == sent.spanContext.spanID)
        #expect(text(sent, .messageID) != nil)
        #expect(text(processed, .consumerGroup) == "d")
        #expect(processed.attributes.get(SpanAttributeName.deliveries.rawValue) == .int64(1))
        await bus.close()
    }

    @Test func everyEventOfABatchHasASpan() async throws {
        let bus = try await persistent("a")
        try await bus.emit(contentsOf: (0..<3).map { Event("user.a", data: ["seq": .init($0)]) })
        let sent = tracer.spans.filter { $0.operationName == "send events.user.a" }
        let history = try await bus.history()
        #expect(sent.count == 3)
        for (span, stored) in zip(sent, history) {
            let parent = stored.event.origin?.headers["traceparent"]
            #expect(parent == "00-\(span.spanContext.traceID)-\(span.spanContext.spanID)-01")
        }
        await bus.close()
    }

    @Test func anEventThatIsEmittedAgainBeginsAnew() async throws {
        let relay = bus("b")
        let subscription = try await relay.subscribe(to: "events.user.a")
        try bus("a").emit("user.a")
        var iterator = subscription.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        try relay.emit(event)
        let again = try #require(try await iterator.next())
        #expect(again.origin?.headers["traceparent"] != event.origin?.headers["traceparent"])
    }
}
