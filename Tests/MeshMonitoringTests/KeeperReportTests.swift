import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// Who keeps the state is told by the lease, and how far behind it is by the checkpoint.
@Suite struct KeeperReportTests {
    private static let begin = ContinuousClock.now

    private func reading(
        revision: UInt64?,
        stored: Double = 0,
        sequence: UInt64? = 5,
        last: UInt64 = 9
    ) -> KeeperReading {
        KeeperReading(
            lease: revision.map { LeaseReading(node: "lab", revision: $0, storedAt: Mesh.time(stored)) },
            checkpoint: sequence.map {
                Checkpoint(
                    position: SavedPosition(stream: "S", created: nil, sequence: $0),
                    at: Mesh.time(stored),
                    keeper: "former",
                    keys: KeySet(["node.lab"]),
                    entries: KeySet([])
                )
            },
            lastSequence: last
        )
    }

    private func take(
        _ reading: KeeperReading,
        _ sightings: inout KeeperSightings,
        at second: Double,
        clock: Double? = nil
    ) -> KeeperReport? {
        sightings.take(reading, time: Mesh.time(clock ?? second), now: Self.begin + .seconds(second))
    }

    @Test func aLeaseThatIsRenewedNamesTheKeeper() {
        var sightings = KeeperSightings()
        let first = take(reading(revision: 1), &sightings, at: 1)
        #expect(first == KeeperReport(keeper: "lab", savedUntil: Mesh.time(0), sequence: 5, behind: 4))
        #expect(take(reading(revision: 2), &sightings, at: 11)?.keeper == "lab")
        #expect(take(reading(revision: 2), &sightings, at: 21)?.keeper == "lab")
        // Killed: the lease stays, and is not renewed.
        let late = take(reading(revision: 2), &sightings, at: 31)
        #expect(late == KeeperReport(keeper: nil, savedUntil: Mesh.time(0), sequence: 5, behind: 4))
        #expect(take(reading(revision: 3), &sightings, at: 41)?.keeper == "lab")
        #expect(take(reading(revision: nil), &sightings, at: 51)?.keeper == .some(nil))
    }

    @Test func anOldLeaseCountsOnceItIsSeenToChange() {
        // The server's clock is an hour behind this machine's, or the keeper was killed an hour ago.
        var sightings = KeeperSightings()
        #expect(take(reading(revision: 1), &sightings, at: 0, clock: 3_600) == nil)
        #expect(take(reading(revision: 1), &sightings, at: 3, clock: 3_603) == nil)
        var other = sightings
        #expect(take(reading(revision: 2), &sightings, at: 6, clock: 3_606)?.keeper == "lab")
        #expect(take(reading(revision: 1), &other, at: 21, clock: 3_621)?.keeper == .some(nil))
    }

    @Test func withoutACheckpointNothingIsSaid() {
        var sightings = KeeperSightings()
        #expect(
            take(reading(revision: 1, sequence: nil), &sightings, at: 0)
                == KeeperReport(keeper: "lab", savedUntil: nil, sequence: nil, behind: nil)
        )
    }

    @Test func theReportFollowsFromTheTable() async throws {
        let mesh = InMemoryMesh()
        let store = InMemoryStore(mesh)
        let table = InMemoryStateStore()
        await #expect(throws: MeshEventsError.self) { _ = try await KeeperReading(from: table, of: store) }
        let bus = try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: store, node: "lab")
        for _ in 0..<3 { try await bus.emit(Event("user.hello")) }
        func report() async throws -> KeeperReport? {
            var sightings = KeeperSightings()
            return sightings.take(try await KeeperReading(from: table, of: store))
        }
        // No table, then one without entries.
        #expect(try await report() == KeeperReport())
        try await table.create()
        #expect(try await report() == KeeperReport())
        let state = try await store.state()
        let at = Timestamp.now
        var checkpoint = Checkpoint(
            position: SavedPosition(stream: state.name, created: state.created, sequence: 2),
            at: at,
            keeper: "lab",
            keys: KeySet(["node.lab"]),
            entries: KeySet([])
        )
        let holder = Lease.Holder(node: "lab", instance: "1")
        _ = try await table.write(holder.json, to: StateKey.keeper, expected: nil)
        let revision = try await table.write(checkpoint.json, to: StateKey.checkpoint, expected: nil)
        #expect(try await report() == KeeperReport(keeper: "lab", savedUntil: at, sequence: 2, behind: 1))
        // What was saved of another stream says nothing about this one.
        checkpoint.position.stream = "ANOTHER"
        _ = try await table.write(checkpoint.json, to: StateKey.checkpoint, expected: revision)
        #expect(try await report() == KeeperReport(keeper: "lab"))
    }
}
