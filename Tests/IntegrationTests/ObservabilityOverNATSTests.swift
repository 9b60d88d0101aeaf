import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MetricsTestKit
import TestSupport
import Testing

/// What is reported of a real connection.
@Suite("observation over NATS", .timeLimit(.minutes(2)))
struct ObservabilityOverNATSTests {
    @Test(
        "reconnects, what was on its way, and acknowledgements are counted over a killed server",
        arguments: NATSServers.all
    )
    func reconnects(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let metrics = TestMetrics()
            let transport = try await NATSTransport.connect(to: server.url)
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: "n",
                busConfiguration: EventBus.Configuration(metrics: metrics)
            )
            func total(_ metric: EventMetric, _ label: String? = nil) -> Int64 {
                let dimensions = [("node", "n")] + (label.flatMap { value in metric.label.map { [($0, value)] } } ?? [])
                return (try? metrics.expectCounter(metric.rawValue, dimensions))?.totalValue ?? 0
            }
            try await bus.emit("user.a")
            await server.kill()
            try await eventually("the loss to be noticed") {
                try? bus.bus.emit("user.b")
                return transport.statistics.outboundBytes > 0
            }
            try await server.restart()
            try await bus.emit("user.a")
            bus.bus.reportMetrics()
            #expect(total(.reconnects) == 1)
            #expect(total(.acknowledged, "MESH_EVENTS") == 2)
            #expect(total(.emitted) >= 1)
            #expect(total(.unconfirmed) == Int64(transport.statistics.unconfirmed))
            await bus.close()
            await transport.close()
        }
    }
}
