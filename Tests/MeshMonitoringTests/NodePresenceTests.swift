import MeshEvents
import MeshMonitoring
import Testing

/// How a node is: online, degraded, unreachable, left.
@Suite struct NodePresenceTests {
    private func status(_ events: [Event], at second: Double) -> MeshState.Node.Status? {
        Mesh.state(events, at: second).node("pi")?.status
    }

    @Test func aNodeThatJoinedIsOnline() throws {
        let state = Mesh.state([Mesh.joined(0, ["tools": 3, "os": "linux"])], at: 1)
        let node = try #require(state.node("pi"))
        #expect(node.status == .online)
        #expect(node.joinedAt == Mesh.time(0))
        #expect(node.lastSeen == Mesh.time(0))
        #expect(node.capabilities == ["tools": 3, "os": "linux"])
        #expect(node.reportedStatus == nil && node.leftAt == nil && node.unreachableSince == nil)
        #expect(state.node("other") == nil)
    }

    @Test func healthSaysHowItIs() throws {
        let sick = Mesh.health(10, "degraded", ["cpu": 0.5, "checks": ["disk": "free space below 1 GB"]])
        let node = try #require(Mesh.state([Mesh.joined(0), sick], at: 11).node("pi"))
        #expect(node.status == .degraded)
        #expect(node.reportedStatus == "degraded")
        #expect(node.failingChecks == ["disk": "free space below 1 GB"])
        #expect(node.resources["cpu"]?.double == 0.5)
        #expect(status([Mesh.joined(0), sick, Mesh.health(20)], at: 21) == .online)
        #expect(status([Mesh.health(0, "on fire")], at: 1) == .degraded)
        #expect(status([Mesh.health(0, "")], at: 1) == .online)
    }

    @Test func aNodeThatLeftSaysWhy() throws {
        let node = try #require(
            Mesh.state([Mesh.joined(0), Mesh.health(5), Mesh.left(9, "update")], at: 900).node("pi")
        )
        #expect(node.status == .left)
        #expect(node.leftAt == Mesh.time(9))
        #expect(node.leaveReason == "update")
    }

    @Test func joiningAgainAndHealthBringANodeBack() {
        #expect(status([Mesh.left(0), Mesh.joined(1)], at: 2) == .online)
        #expect(status([Mesh.left(0), Mesh.health(1)], at: 2) == .online)
        // Its node.joined is missing.
        #expect(status([Mesh.left(0), Mesh.tool("started", 1)], at: 2) == .online)
        // What ends something may trail behind.
        #expect(status([Mesh.left(0), Mesh.tool("stopped", 1), Mesh.tool("crashed", 2)], at: 3) == .left)
    }

    @Test func whatItSaidBeforeItLeftDoesNotCountAfter() {
        #expect(status([Mesh.health(0, "degraded"), Mesh.left(1), Mesh.joined(2)], at: 3) == .online)
    }

    @Test func threeMissedIntervalsMakeANodeUnreachable() throws {
        let events = [Mesh.joined(0), Mesh.health(10)]
        #expect(status(events, at: 39.999) == .online)
        #expect(status(events, at: 40) == .unreachable)
        #expect(try #require(Mesh.state(events, at: 99).node("pi")).unreachableSince == Mesh.time(40))
        #expect(status(events + [Mesh.health(41)], at: 41) == .online)
        #expect(status([Mesh.health(10, "degraded")], at: 40) == .unreachable)
        #expect(status(events + [Mesh.left(11)], at: 1_000) == .left)
    }

    @Test func everySignOfLifeCounts() {
        #expect(status([Mesh.health(10), Mesh.tool("crashed", 35)], at: 50) == .online)
    }

    @Test func aNodeThatNeverSendsHealthIsSilentAfterFiveMinutes() throws {
        let events = [Mesh.joined(0), Mesh.tool("started", 1)]
        #expect(status(events, at: 300.9) == .online)
        let state = Mesh.state(events, at: 86_400)
        let node = try #require(state.node("pi"))
        #expect(node.status == .silent && node.lastSeen == Mesh.time(1) && node.unreachableSince == nil)
        #expect(!node.sendsHealth)
        #expect(state.summary.silent == 1 && state.summary.online == 0)
        // What its tools do is as unknown as before.
        #expect(node.tools.map(\.state) == [.running] && !node.tools[0].isUncertain && state.summary.running == 1)
        #expect(status(events + [Mesh.tool("crashed", 86_399)], at: 86_400) == .online)
        #expect(status(events + [Mesh.left(11)], at: 86_400) == .left)
    }

    @Test func becomingSilentIsAChange() {
        var state = Mesh.state([Mesh.joined(0), Mesh.tool("started", 1)], at: 2)
        #expect(state.nextDeadline == Mesh.time(301))
        #expect(state.advance(to: Mesh.time(301)).map(\.kinds) == [.status])
        let change = state.apply(Mesh.tool("stopped", 400), receivedAt: Mesh.time(400))
        #expect(change?.kinds.contains(.status) == true)
        state.advance(to: Mesh.time(2_000))
        state.forget(olderThan: Mesh.time(1_000))
        #expect(state.isEmpty)
    }

    @Test func aNodeThatPromisesHealthIsMissedBeforeTheFirst() {
        #expect(status([Mesh.joined(0, ["interval_s": 2])], at: 6) == .unreachable)
    }

    @Test func theIntervalIsWhatTheNodeSaysElseObservedElseTenSeconds() {
        func interval(_ events: [Event]) -> Duration? { Mesh.state(events, at: 0).node("pi")?.healthInterval }
        #expect(interval([Mesh.health(0, "online", ["interval_s": 2.5])]) == .seconds(2.5))
        #expect(interval([Mesh.joined(0, ["interval_s": 4])]) == .seconds(4))
        #expect(interval([Mesh.joined(5, ["interval_s": 4]), Mesh.health(0, "", ["interval_s": 9])]) == .seconds(4))
        #expect(interval([Mesh.health(0, "", [:])]) == .seconds(10))
        #expect(interval([Mesh.health(0, "", [:]), Mesh.health(60, "", [:])]) == .seconds(60))
        #expect(
            interval([Mesh.health(60, "", [:]), Mesh.health(0, "", [:]), Mesh.health(20, "", [:])]) == .seconds(40)
        )
        #expect(interval([Mesh.health(0, "", [:]), Mesh.health(0.1, "", [:])]) == .seconds(10))
        #expect(interval([Mesh.health(0, "", [:]), Mesh.health(1e6, "", [:])]) == .seconds(3_600))
        for nonsense: JSONValue in [0, -1, 1e99, "10", nil, [:]] {
            #expect(interval([Mesh.health(0, "", ["interval_s": nonsense])]) == .seconds(10))
        }
    }

    @Test func freshnessIsCountedByTheTimeOfArrival() {
        for skew in [-7_200.0, 7_200] {
            var state = MeshState()
            for second in stride(from: 0.0, through: 100, by: 10) {
                state.apply(Mesh.health(second + skew), receivedAt: Mesh.time(second))
            }
            state.advance(to: Mesh.time(105))
            #expect(state.node("pi")?.status == .online)
            #expect(state.node("pi")?.lastSeen == Mesh.time(100))
            state.advance(to: Mesh.time(130))
            #expect(state.node("pi")?.status == .unreachable)
        }
    }

    @Test func aClockThatWasAheadAndIsSetRightDoesNoHarm() {
        var state = MeshState()
        state.apply(Mesh.health(7_200, "degraded"), receivedAt: Mesh.time(0))
        state.apply(Mesh.health(10, "online"), receivedAt: Mesh.time(10))
        #expect(state.node("pi")?.status == .online)
    }

    @Test func aReconnectOfTheGoMeshErasesNothing() throws {
        let reconnect = Mesh.event(.nodeJoined, 50)
        let node = try #require(Mesh.state([Mesh.joined(0, ["tools": 3]), reconnect], at: 60).node("pi"))
        #expect(node.capabilities == ["tools": 3])
        #expect(node.joinedAt == Mesh.time(50))
        let unknown = Mesh.event(.nodeJoined, 50, ["capabilities": nil])
        #expect(Mesh.state([unknown], at: 60).node("pi")?.capabilities == EventData.null)
    }

    @Test func timeDoesNotGoBackwards() {
        var state = Mesh.state([Mesh.health(0)], at: 100)
        #expect(state.advance(to: Mesh.time(5)).isEmpty)
        #expect(state.now == Mesh.time(100))
        #expect(state.node("pi")?.status == .unreachable)
    }
}
