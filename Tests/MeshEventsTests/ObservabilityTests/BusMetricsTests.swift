import CoreMetrics
import MeshConcurrency
import MeshEventsTesting
import MetricsTestKit
import Testing

@testable import MeshEvents

/// What buses report to swift-metrics.
struct BusMetricsTests {
    private let metrics = TestMetrics()
    private let mesh = InMemoryMesh()

    private func bus() -> EventBus {
        var configuration = EventBus.Configuration(metrics: metrics)
        // Reported by hand.
        configuration.metricsInterval = .seconds(3600)
        return EventBus(transport: InMemoryTransport(mesh), node: "n", configuration: configuration)
    }

    private func total(_ metric: EventMetric, _ label: String? = nil) -> Int64 {
        let dimensions = [("node", "n")] + (label.flatMap { value in metric.label.map { [($0, value)] } } ?? [])
        return (try? metrics.expectCounter(metric.rawValue, dimensions))?.totalValue ?? 0
    }

    private func gauge(_ metric: EventMetric, _ label: String? = nil) -> Double? {
        let dimensions = [("node", "n")] + (label.flatMap { value in metric.label.map { [($0, value)] } } ?? [])
        return (try? metrics.expectRecorder(metric.rawValue, dimensions))?.lastValue
    }

    @Test func withoutABackendNothingIsKept() {
        #expect(EventBus(transport: InMemoryTransport(), node: "n").metrics == nil)
        let off = EventBus.Configuration(metrics: NOOPMetricsHandler.instance)
        #expect(EventBus(transport: InMemoryTransport(), node: "n", configuration: off).metrics == nil)
    }

    @Test func eventsAreCountedOnTheirWay() async throws {
        let bus = bus()
        let kept = try await bus.subscribe(to: "events.user.>")
        let small = try await bus.subscribe(
            to: "events.user.*",
            buffer: EventSubscription.Buffer(maximumEvents: 2, policy: .dropNewest)
        )
        for _ in 0..<5 { try bus.emit("user.a") }
        try await bus.flush()
        bus.reportMetrics()
        #expect(total(.emitted) == 5)
        #expect(total(.received, "events.user.>") == 5)
        #expect(total(.dropped, "events.user.>") == 0)
        #expect(total(.received, "events.user.*") == 5)
        #expect(total(.dropped, "events.user.*") == 3)
        #expect(gauge(.bufferedEvents, "events.user.>") == 5)
        #expect(gauge(.subscriptions, "events.user.>") == 1)
        #expect(gauge(.outboundBytes) == 0)
        kept.cancel()
        small.cancel()
        bus.reportMetrics()
        #expect(gauge(.bufferedEvents, "events.user.>") == 0)
        #expect(gauge(.subscriptions, "events.user.>") == 0)
        #expect(total(.received, "events.user.>") == 5)
    }

    @Test func whatFailsIsCountedByItsCode() async throws {
        let bus = bus()
        let broken: EventType = "not a type"
        #expect(throws: MeshEventsError.self) { try bus.emit(broken) }
        await bus.close()
        #expect(throws: MeshEventsError.self) { try bus.emit("user.a") }
        bus.reportMetrics()
        #expect(total(.emitted) == 0)
        #expect(total(.emitErrors, "invalidEventType") == 1)
        #expect(total(.emitErrors, "closed") == 1)
    }

    @Test func strangersAndFailingHandlersAreCounted() async throws {
        let bus = bus()
        let seen = OneTimeSignal()
        try await bus.subscribe(to: "events.user.a") { event in
            if event.data["last"] != nil { seen.send() }
            throw MeshEventsError(.invalidArgument, "no")
        }
        let stranger = InMemoryTransport(mesh)
        try Array("events.user.a".utf8).withUnsafeBytes { subject in
            try Array("nonsense".utf8).withUnsafeBytes { payload in
                try stranger.publish(OutgoingMessage(subject: subject.bytes, payload: payload.bytes))
            }
        }
        try bus.emit("user.a")
        try bus.emit("user.a", ["last": true])
        try await seen.wait(until: .now + .seconds(10), for: "the last event")
        await bus.close()
        bus.reportMetrics()
        #expect(total(.malformed, "events.user.a") == 1)
        #expect(total(.handlerErrors, "events.user.a") >= 1)
    }

    @Test func whatEndsIsReportedAlthoughItIsGone() async throws {
        let bus = bus()
        for _ in 0..<3 {
            let subscription = try await bus.subscribe(to: "events.user.a")
            try bus.emit("user.a")
            try await bus.flush()
            subscription.cancel()
        }
        // Who lets go of a subscription last may be the mesh's delivery: its count comes with a later report then.
        let deadline = ContinuousClock.now + .seconds(60)
        repeat {
            bus.reportMetrics()
            await Task.yield()
        } while total(.received, "events.user.a") != 3 && .now < deadline
        #expect(total(.received, "events.user.a") == 3)
        bus.reportMetrics()
        #expect(total(.received, "events.user.a") == 3)
    }

    @Test func theLastReportComesWithTheEndOfTheBus() async throws {
        do {
            let bus = bus()
            try bus.emit("user.a")
        }
        #expect(total(.emitted) == 1)
    }

    @Test func acknowledgementsAreCountedAndTimed() async throws {
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "n",
            busConfiguration: EventBus.Configuration(metrics: metrics)
        )
        try await bus.emit("user.a")
        try await bus.emit(contentsOf: (0..<9).map { Event("user.a", data: ["seq": .init($0)]) })
        await #expect(throws: MeshEventsError.self) { try await bus.emit(Event("not a type")) }
        bus.bus.reportMetrics()
        #expect(total(.acknowledged, "MESH_EVENTS") == 10)
        #expect(total(.emitErrors, "invalidEventType") == 1)
        let timer = try metrics.expectTimer(
            EventMetric.acknowledgementDuration.rawValue,
            [("node", "n"), ("stream", "MESH_EVENTS")]
        )
        #expect(timer.values.count >= 2)
        #expect(timer.values.allSatisfy { $0 >= 0 && $0 < 60_000_000_000 })
    }

    @Test func durableSubscriptionsAreCounted() async throws {
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: "n",
            busConfiguration: EventBus.Configuration(metrics: metrics)
        )
        try await bus.emit("user.a")
        try await bus.emit("user.b")
        let durable = try await bus.subscribe(durable: "d", to: "events.user.*")
        var iterator = durable.makeAsyncIterator()
        let first = try #require(try await iterator.next())
        bus.bus.reportMetrics()
        #expect((gauge(.durableOutstanding, "d") ?? 0) >= 1)
        try await first.nack(delay: .zero)
        let second = try #require(try await iterator.next())
        try await second.ack()
        let third = try #require(try await iterator.next())
        try await third.terminate(reason: "enough")
        durable.cancel()
        bus.bus.reportMetrics()
        #expect(total(.durableAcknowledged, "d") == 1)
        #expect(total(.durableFailed, "d") == 2)
        #expect(total(.durableRedelivered, "d") == 1)
        #expect(total(.durableDeadLettered, "d") == 1)
        await bus.close()
    }

    @Test func itReportsByItself() async throws {
        var configuration = EventBus.Configuration(metrics: metrics)
        configuration.metricsInterval = .milliseconds(5)
        let bus = EventBus(transport: InMemoryTransport(mesh), node: "n", configuration: configuration)
        try bus.emit("user.a")
        let deadline = ContinuousClock.now + .seconds(10)
        while total(.emitted) == 0, .now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(total(.emitted) == 1)
    }
}
