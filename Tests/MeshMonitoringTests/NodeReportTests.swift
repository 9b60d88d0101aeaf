import MeshEvents
import MeshMonitoring
import TestSupport
import Testing

/// What others say of a node: a keeper, or a person.
@Suite struct NodeReportTests {
    private func fold(_ events: [Event], at second: Double) -> MeshState {
        var state = MeshState()
        for (number, event) in events.enumerated() {
            state.apply(StoredEvent(event: event, sequence: UInt64(number + 1), storedAt: event.timestamp))
        }
        state.advance(to: Mesh.time(second))
        return state
    }

    @Test func aNodeIsUnreachableWhenItIsAnnounced() throws {
        let state = fold([Mesh.health(0), Mesh.unreachable("pi", 5, lastSeen: 0)], at: 6)
        let node = try #require(state.node("pi"))
        #expect(node.status == .unreachable && node.unreachableSince == Mesh.time(5))
        #expect(node.lastSeen == Mesh.time(0))
        #expect(state.node("keeper") == nil)
    }

    @Test func aNodeThatIsHeardAfterItsAnnouncementIsThere() {
        let events = [Mesh.health(0), Mesh.unreachable("pi", 5, lastSeen: 0), Mesh.health(7)]
        #expect(fold(events, at: 8).node("pi")?.status == .online)
    }

    @Test func anAnnouncementMakesAnUnknownNodeKnown() throws {
        let state = fold([Mesh.unreachable("pi", 50, lastSeen: 10)], at: 51)
        let node = try #require(state.node("pi"))
        #expect(node.status == .unreachable && node.lastSeen == Mesh.time(10) && node.tools.isEmpty)
    }

    @Test func aNodeThatWasForgottenIsUnknownUntilItIsHeardOf() throws {
        let events = [Mesh.joined(0), Mesh.tool("started", 1), Mesh.left(2), Mesh.forgotten("pi", 3)]
        let gone = fold(events, at: 4)
        #expect(gone.isEmpty && gone.nodes.isEmpty && gone.node("pi") == nil && gone.summary.nodes == 0)
        #expect(gone.tool("whisper", on: "pi") == nil && gone.nextDeadline == nil)
        let back = fold(events + [Mesh.health(9)], at: 10)
        let node = try #require(back.node("pi"))
        #expect(node.status == .online && node.tools.isEmpty && node.joinedAt == nil && node.leftAt == nil)
    }

    @Test func aNodeWhoseClockIsAnHourBehindComesBackToo() {
        var state = MeshState()
        func apply(_ event: Event, _ sequence: UInt64, at second: Double) {
            state.apply(StoredEvent(event: event, sequence: sequence, storedAt: Mesh.time(second)))
        }
        apply(Mesh.health(0), 1, at: 3_600)
        apply(Mesh.forgotten("pi", 3_610), 2, at: 3_610)
        #expect(state.node("pi") == nil)
        apply(Mesh.health(20), 3, at: 3_620)
        state.advance(to: Mesh.time(3_621))
        #expect(state.node("pi")?.status == .online)
        // The emitter of a report may have the wrong clock as well.
        apply(Mesh.unreachable("pi", 0, lastSeen: 0), 4, at: 3_700)
        #expect(state.node("pi")?.status == .unreachable)
    }

    @Test func whatWasForgottenIsAChange() {
        var state = MeshState()
        state.apply(Mesh.health(0))
        #expect(state.apply(Mesh.forgotten("pi", 1))?.kinds == .forgotten)
        #expect(state.apply(Mesh.forgotten("pi", 2)) == nil)
        #expect(state.apply(Mesh.health(3))?.kinds.contains(.status) == true)
    }

    @Test func maintenanceLastsAsLongAsItWasSaid() throws {
        let events = [Mesh.health(0), Mesh.maintenance("pi", 10, seconds: 100, "new disk")]
        let node = try #require(fold(events, at: 50).node("pi"))
        #expect(node.maintenanceUntil == Mesh.time(110) && node.maintenanceReason == "new disk")
        #expect(node.status == .unreachable)
        #expect(fold(events, at: 110).node("pi")?.maintenanceUntil == nil)
        let ended = events + [Mesh.maintenance("pi", 20, seconds: 0, "")]
        #expect(fold(ended, at: 50).node("pi")?.maintenanceUntil == nil)
        #expect(fold([Mesh.maintenance("pi", 1, seconds: 9, "")], at: 2).isEmpty)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func orderMakesNoDifference(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let story: [Event] = [
            Mesh.maintenance("pi", 0.5, seconds: 5, "early"), Mesh.joined(1), Mesh.tool("started", 2),
            Mesh.unreachable("pi", 40, lastSeen: 2), Mesh.health(50), Mesh.recovered("pi", 51),
            Mesh.tool("crashed", 60, ["error": "x", "restart_count": 1, "tool": "old"]), Mesh.forgotten("pi", 70),
            Mesh.tool("started", 71, ["tool": "new"]), Mesh.health(72), Mesh.unreachable("pi", 110, lastSeen: 72),
            Mesh.joined(3, node: "b"), Mesh.forgotten("b", 4), Mesh.unreachable("c", 9, lastSeen: 2),
        ]
        let events = story.enumerated().map {
            StoredEvent(event: $1, sequence: UInt64($0 + 1), storedAt: $1.timestamp)
        }
        func fold(_ events: [StoredEvent]) -> MeshState {
            var state = MeshState()
            for event in events { state.apply(event) }
            state.advance(to: Mesh.time(120))
            return state
        }
        let state = fold(events.shuffled(using: &generator))
        #expect(state == fold(events))
        #expect(state.node("pi")?.tools.map(\.name) == ["new"])
        #expect(state.nodes.map(\.name) == ["c", "pi"])
    }

    @Test func nonsenseSaysNothing() {
        var state = MeshState()
        #expect(state.apply(Mesh.event(.nodeForgotten, 1, node: "", ["node": 7])) == nil)
        #expect(state.apply(Mesh.event(.nodeMaintenance, 1, ["for_s": -4, "node": "pi"])) == nil)
        #expect(state.apply(Mesh.event(.nodeMaintenance, 1, ["for_s": 1e300, "node": "pi"])) == nil)
        state.apply(Mesh.health(2))
        #expect(state.node("pi")?.maintenanceUntil == Mesh.time(1).adding(.seconds(365 * 86_400)))
        state.apply(Mesh.event(.nodeUnreachable, 3, ["last_seen": "yesterday", "node": "pi", "tools": 3]))
        #expect(state.node("pi")?.status == .unreachable)
        let long = String(repeating: "x", count: MeshState.Limits.nameBytes + 1)
        #expect(state.apply(Mesh.event(.nodeForgotten, 4, ["node": .string(long)])) == nil)
        #expect(state.leftOut.values == 1)
    }
}
