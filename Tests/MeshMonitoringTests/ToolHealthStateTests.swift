import MeshEvents
import MeshMonitoring
import TestSupport
import Testing

/// Whether tools work, as the mesh knows it from their events and from the lists of their nodes.
@Suite struct ToolHealthStateTests {
    private func tool(_ events: [Event], at second: Double = 20) throws -> MeshState.Tool {
        try #require(Mesh.state(events, at: second).tool("whisper", on: "pi"))
    }

    private let started = Mesh.tool("started", 2, ["ready": false, "tool": "whisper"])
    private let ready = Mesh.tool("ready", 3, ["after_s": 1, "tool": "whisper"])

    private func unhealthy(_ second: Double, _ reason: String = "no answer within 2s") -> Event {
        let data: EventData = ["failures": 3, "reason": .string(reason), "restarting": false, "tool": "whisper"]
        return Mesh.tool("unhealthy", second, data)
    }

    private func healthy(_ second: Double) -> Event {
        Mesh.tool("healthy", second, ["tool": "whisper", "unhealthy_s": 1])
    }

    private func listed(_ second: Double, _ members: [String: JSONValue], _ state: String = "running") -> Event {
        var all: [String: JSONValue] = ["name": "whisper", "state": .string(state), "restarts": 0, "version": "v1"]
        all.merge(members) { $1 }
        return Mesh.health(second, tools: [JSONValue(all)])
    }

    @Test func followsItsEvents() throws {
        var tool = try tool([started])
        #expect(tool.state == .running && !tool.isReady && tool.unhealthyReason == nil)
        #expect(tool.readiness == .notReady)
        tool = try self.tool([started, ready])
        #expect(tool.isReady && tool.since == Mesh.time(2) && tool.readiness == .ready)
        tool = try self.tool([started, ready, unhealthy(5)])
        #expect(tool.readiness == .notReady)
        #expect(tool.isReady && tool.unhealthyReason == "no answer within 2s" && tool.unhealthySince == Mesh.time(5))
        let notReady = try self.tool([started])
        #expect(Trouble(tool) == .degraded && Trouble(notReady) == .well)
        tool = try self.tool([started, ready, unhealthy(5), healthy(6)])
        #expect(tool.unhealthyReason == nil && tool.unhealthySince == nil && tool.isReady)
        // A tool whose start says nothing of it is ready.
        #expect(try self.tool([Mesh.tool("started", 2)]).isReady)
    }

    @Test func anotherRunBeginsAnew() throws {
        let crashed = Mesh.tool("crashed", 6, ["error": "unhealthy: x", "restart_count": 1, "tool": "whisper"])
        var tool = try tool([started, ready, unhealthy(5), crashed])
        #expect(tool.state == .backingOff && tool.unhealthyReason == nil && tool.isReady)
        let again = Mesh.tool("started", 7, ["ready": false, "tool": "whisper"])
        tool = try self.tool([started, ready, unhealthy(5), crashed, again])
        #expect(tool.state == .running && !tool.isReady && tool.unhealthyReason == nil)
        #expect(try self.tool([started, ready, unhealthy(5), crashed, Mesh.tool("started", 7)]).isReady)
        for ending in ["stopped", "removed"] {
            tool = try self.tool([started, unhealthy(5), Mesh.tool(ending, 6)])
            #expect(tool.isReady && tool.unhealthyReason == nil)
        }
        tool = try self.tool([started, unhealthy(5), Mesh.left(6)])
        #expect(tool.state == .stopped && tool.isReady && tool.unhealthyReason == nil && tool.readiness == .notReady)
    }

    @Test func aListSetsItRight() throws {
        let bad: [String: JSONValue] = [
            "ready": false, "health": "unhealthy", "health_reason": "refused", "status": "loading",
            "health_since": .string(Mesh.time(4).description),
        ]
        var tool = try tool([listed(10, bad)])
        #expect(!tool.isReady && tool.unhealthyReason == "refused" && tool.statusText == "loading")
        #expect(tool.unhealthySince == Mesh.time(4))
        tool = try self.tool([started, ready, listed(10, bad)])
        #expect(!tool.isReady && tool.unhealthyReason == "refused")
        tool = try self.tool([listed(10, bad), Mesh.tool("ready", 11), healthy(12)])
        #expect(tool.isReady && tool.unhealthyReason == nil && tool.statusText == "loading")
        tool = try self.tool([started, unhealthy(5), listed(10, [:])])
        #expect(tool.isReady && tool.unhealthyReason == nil && tool.statusText == nil)
        tool = try self.tool([listed(10, bad), Mesh.tool("started", 11)])
        #expect(tool.isReady && tool.unhealthyReason == nil && tool.statusText == nil)
        #expect(try self.tool([listed(10, bad, "failed")]).unhealthyReason == nil)
    }

    @Test func theListAfterAnEventIsNoChange() throws {
        var state = MeshState()
        for event in [started, ready, unhealthy(5)] { #expect(state.apply(event)?.kinds.contains(.tool) == true) }
        let members: [String: JSONValue] = [
            "health": "unhealthy", "health_reason": "no answer within 2s",
            "health_since": .string(Mesh.time(4.99).description), "since": .string(Mesh.time(2).description),
        ]
        state.apply(listed(10, members))
        #expect(state.apply(listed(20, members))?.kinds == .resources)
        #expect(state.apply(healthy(21))?.tool == "whisper")
    }

    @Test func oddMembersSayNothing() throws {
        let odd: [String: JSONValue] = [
            "ready": "no", "health": 5, "health_reason": [], "health_since": "soon", "status": ["a": 1],
        ]
        var tool = try tool([listed(10, odd)])
        #expect(tool.isReady && tool.unhealthyReason == nil && tool.statusText == nil)
        tool = try self.tool([listed(10, ["health": "unhealthy", "health_since": 7])])
        #expect(tool.unhealthyReason == "" && tool.unhealthySince == nil && Trouble(tool) == .degraded)
        tool = try self.tool([Mesh.tool("started", 1, ["ready": 0, "tool": "whisper"])])
        #expect(tool.isReady)
        tool = try self.tool([Mesh.tool("started", 1), Mesh.tool("unhealthy", 2)])
        #expect(tool.unhealthyReason == "")
        #expect(tool.json["unhealthy"]?.string == "" && tool.json["ready"]?.bool == true)
    }

    @Test func textsAreCut() throws {
        let long = String(repeating: "é", count: 5_000)
        var tool = try tool([Mesh.tool("started", 1), unhealthy(2, long)])
        #expect(tool.unhealthyReason?.utf8.count ?? 0 <= 2_048)
        tool = try self.tool([
            listed(3, ["health": "unhealthy", "health_reason": .string(long), "status": .string(long)])
        ])
        #expect(tool.unhealthyReason?.utf8.count ?? 0 <= 2_048 && tool.statusText?.utf8.count ?? 0 <= 2_048)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func orderMakesNoDifference(seed: UInt64) {
        let names = ["started", "ready", "unhealthy", "healthy", "crashed", "stopped", "removed", "installed"]
        var generator = SeededGenerator(seed: seed)
        var events: [StoredEvent] = []
        for number in 1...20 {
            let second = Double(number)
            let event: Event
            if Int.random(in: 0..<4, using: &generator) == 0 {
                var members: [String: JSONValue] = [:]
                if Bool.random(using: &generator) { members["ready"] = false }
                if Bool.random(using: &generator) { members["health"] = "unhealthy" }
                event = listed(second, members, Bool.random(using: &generator) ? "running" : "backing_off")
            } else {
                let ready: JSONValue = .bool(Bool.random(using: &generator))
                let name = names.randomElement(using: &generator) ?? ""
                event = Mesh.tool(name, second, ["ready": ready, "reason": "r", "tool": "whisper"])
            }
            events.append(StoredEvent(event: event, sequence: UInt64(number), storedAt: event.timestamp))
        }
        func fold(_ events: [StoredEvent]) -> MeshState {
            var state = MeshState()
            for event in events { state.apply(event) }
            state.advance(to: Mesh.time(30))
            return state
        }
        let expected = fold(events)
        #expect(fold((events + events.prefix(5)).shuffled(using: &generator)) == expected)
        // The events after a snapshot in the middle come to the same.
        let tool = expected.tool("whisper", on: "pi")
        if tool?.state != .running { #expect(tool?.isReady != false && tool?.unhealthyReason == nil) }
    }
}
