import MeshAlerts
import MeshEvents
import MeshEventsTesting
import MeshMonitoring
import Testing

@testable import mesh_events

/// Whether a process watches the alerts is said beside what fires.
@Suite struct AlertsAtMomentTests {
    private let mesh = InMemoryMesh()
    private let table = InMemoryStateStore()

    /// What fires after these events, with a process that holds the lease or none.
    private func overview(_ events: [any EventPayload] = [], watchedBy node: String?) async throws -> AlertOverview {
        let store = InMemoryStore(mesh)
        let bus = try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "pi")
        for event in events { try await bus.emit(event) }
        try await table.create()
        if let node {
            let lease = Lease(
                table,
                key: "alert.lease",
                for: "watches",
                holder: .init(node: node),
                duration: .seconds(15)
            )
            _ = try await lease.acquire { _ in }
        }
        return try await AlertOverview.load(from: table, store: store)
    }

    private let fired = AlertFired(
        alert: AlertDescription(
            id: "a-1",
            rule: "down",
            group: ["node": "pi"],
            severity: "warning",
            since: .now,
            count: 1,
            sequences: [1],
            reason: ""
        )
    )

    private func unwatched(_ overview: AlertOverview, _ sighting: LeaseSightings.Sighting) -> String? {
        AlertsAtMoment(overview, sighting).unwatched(LocalTime(), now: .now)
    }

    @Test func aProcessThatShowsNoSignOfLifeIsNamed() async throws {
        let overview = try await overview(watchedBy: "lab\u{1B}[2J")
        #expect(unwatched(overview, .held) == nil)
        for sighting in [LeaseSightings.Sighting.lost, .undecided] {
            let text = try #require(unwatched(overview, sighting))
            #expect(
                text.hasPrefix("no process watches the alerts: that of node ") && text.contains("no sign of life since")
            )
            #expect(!text.contains("\u{1B}"))
        }
    }

    @Test func whatTheLastProcessLeftIsSaidToBeThat() async throws {
        #expect(unwatched(try await overview(watchedBy: nil), .free) == nil)
        let text = unwatched(try await overview([fired], watchedBy: nil), .free)
        #expect(text == "no process watches the alerts: what fires is as the last one left it")
    }

    @Test func theTablesOfTheStatusSayIt() async throws {
        let alerts = AlertsAtMoment(try await overview([fired], watchedBy: "lab"), .lost)
        var state = MeshState()
        state.advance(to: .now)
        let lines = StatusFormatter(isColored: false, width: nil).lines(state, alerts: alerts)
        #expect(lines.first == "1 alert fires")
        #expect(lines.contains { $0.hasPrefix("no process watches the alerts: that of node lab") })
    }
}
