import MeshEvents
import MeshMonitoring
import Testing

/// What a node's tools do.
@Suite struct ToolStateTests {
    private func tool(_ events: [Event], at second: Double = 20) throws -> MeshState.Tool {
        try #require(Mesh.state(events, at: second).tool("whisper", on: "pi"))
    }

    private let installed = Mesh.tool("installed", 1, ["tool": "whisper", "version": "v1.0.0"])
    private let started = Mesh.tool("started", 2)

    private func crashed(_ second: Double, _ count: Int = 1, _ error: String = "exited with code 3") -> Event {
        Mesh.tool("crashed", second, ["error": .string(error), "restart_count": JSONValue(count), "tool": "whisper"])
    }

    private func stopped(_ second: Double, _ reason: String) -> Event {
        Mesh.tool("stopped", second, ["reason": .string(reason), "tool": "whisper"])
    }

    @Test func followsItsLife() throws {
        var tool = try tool([installed])
        #expect(tool.state == .installed && tool.version == "v1.0.0" && tool.since == Mesh.time(1))
        tool = try self.tool([installed, started])
        #expect(tool.state == .running && tool.since == Mesh.time(2) && tool.restartCount == 0)
        tool = try self.tool([installed, started, crashed(3)])
        // The restart that may follow is in a crash's count.
        #expect(tool.state == .backingOff && tool.lastError == "exited with code 3" && tool.restartCount == 0)
        #expect(tool.lastCrashAt == Mesh.time(3))
        tool = try self.tool([installed, started, crashed(3), Mesh.tool("started", 4)])
        #expect(tool.state == .running && tool.restartCount == 1 && tool.lastError == "exited with code 3")
        tool = try self.tool([installed, started, stopped(5, "gave up after 5 restarts")])
        #expect(tool.state == .failed && tool.stopReason == "gave up after 5 restarts" && tool.since == Mesh.time(5))
        tool = try self.tool([installed, started, crashed(3, 6), stopped(5, "gave up after 5 restarts")])
        #expect(tool.state == .failed && tool.restartCount == 5 && tool.lastError == "exited with code 3")
        tool = try self.tool([installed, started, stopped(5, "uninstall"), Mesh.tool("removed", 6)])
        #expect(tool.state == .removed && tool.since == Mesh.time(6) && tool.stopReason == nil)
    }

    @Test func aCrashSaysWhetherTheToolIsStartedAgain() throws {
        func crashed(_ restarting: JSONValue, _ error: String = "no") -> Event {
            Mesh.tool("crashed", 3, ["error": .string(error), "restarting": restarting, "tool": "whisper"])
        }
        var tool = try tool([started, crashed(false)])
        #expect(tool.state == .failed && tool.lastError == "no" && tool.restartCount == 0)
        #expect(try self.tool([started, crashed(true)]).state == .backingOff)
        #expect(try self.tool([started, crashed(true, "gave up after 5 restarts")]).state == .backingOff)
        // What is odd says nothing.
        #expect(try self.tool([started, crashed("no")]).state == .backingOff)
        #expect(try self.tool([started, crashed(.null, "gave up after 5 restarts")]).state == .failed)
        tool = try self.tool([started, crashed(false), Mesh.tool("started", 4)])
        #expect(tool.state == .running && tool.restartCount == 0)
    }

    @Test func whatItWaitsForIsSaidByTheListUntilItIsStarted() throws {
        let listed = Mesh.listed("installed", since: 3, text: "waiting for db")
        var tool = try tool([installed, Mesh.health(5, tools: [listed])])
        #expect(tool.state == .installed && tool.statusText == "waiting for db")
        tool = try self.tool([installed, Mesh.health(5, tools: [listed]), Mesh.tool("started", 6)])
        #expect(tool.state == .running && tool.statusText == nil)
        tool = try self.tool([installed, Mesh.health(5, tools: [listed]), Mesh.tool("removed", 6)])
        #expect(tool.state == .removed && tool.statusText == nil)
        tool = try self.tool([installed, Mesh.health(5, tools: [listed]), Mesh.left(6)])
        #expect(tool.state == .installed && tool.statusText == nil)
    }

    private func finished(_ second: Double, _ more: [(String, JSONValue)] = []) -> Event {
        Mesh.tool("finished", second, EventData(JSONObject([("duration_s", 1.5), ("tool", "whisper")] + more)))
    }

    @Test func aRunOfASchedule() throws {
        let next = ("next", JSONValue.string(Mesh.time(100).description))
        var tool = try tool([installed, started, finished(3, [("code", 0), next])])
        #expect(tool.state == .stopped && tool.stopReason == "finished" && tool.since == Mesh.time(3))
        #expect(tool.nextStart == Mesh.time(100) && tool.lastError == nil && tool.lastCrashAt == nil)
        let failed: [(String, JSONValue)] = [("code", 3), ("failed", true), ("error", "exited with code 3"), next]
        tool = try self.tool([installed, started, finished(3, failed)])
        #expect(tool.state == .failed && tool.lastError == "exited with code 3" && tool.nextStart == Mesh.time(100))
        #expect(tool.lastCrashAt == Mesh.time(3))
        // The next run makes it well again.
        tool = try self.tool([installed, started, finished(3, failed), Mesh.tool("started", 4)])
        #expect(tool.state == .running && tool.nextStart == nil && tool.stopReason == nil)
        // The list says the same, and keeps saying it when the stream has forgotten the event.
        let listed = Mesh.listed("failed", since: 3, error: "exited with code 3", next: 100)
        tool = try self.tool([finished(3, failed), Mesh.health(5, tools: [listed])])
        #expect(tool.state == .failed && tool.stopReason == "finished" && tool.nextStart == Mesh.time(100))
        tool = try self.tool([Mesh.health(5, tools: [listed])])
        #expect(tool.state == .failed && tool.stopReason == nil && tool.nextStart == Mesh.time(100))
        // A node that has left starts nothing.
        tool = try self.tool([finished(3, [("code", 0), next]), Mesh.left(5)])
        #expect(tool.state == .stopped && tool.stopReason == "finished" && tool.nextStart == nil)
        tool = try self.tool([finished(3, failed), Mesh.left(5)])
        #expect(tool.state == .stopped && tool.stopReason == "the node left" && tool.nextStart == nil)
        // What is odd is read as far as it is understood.
        tool = try self.tool([finished(3, [("failed", true), ("error", 5), ("next", "soon")])])
        #expect(tool.state == .failed && tool.lastError == "failed" && tool.nextStart == nil)
        // A tool that was not started is where it was.
        let skipped = Mesh.tool("skipped", 4, ["due": "2027-01-15T08:00:00Z", "reason": "overlap", "tool": "whisper"])
        #expect(try self.tool([started, skipped]).state == .running)
    }

    @Test func aToolThatWasGivenUpHasFailed() throws {
        let reason = "gave up after 5 restarts"
        let data: EventData = ["error": "out of memory", "failed": true, "reason": "any", "tool": "whisper"]
        // The event alone has the error.
        var tool = try tool([Mesh.tool("stopped", 5, data)])
        #expect(tool.state == .failed && tool.lastError == "out of memory" && tool.stopReason == "any")
        // Nodes of version 0.1 give the reason only, those of the Go mesh an error.
        #expect(try self.tool([stopped(5, reason)]).state == .failed)
        tool = try self.tool([crashed(5, 6, reason + ": exited with code 3")])
        #expect(tool.state == .failed && tool.restartCount == 5 && tool.lastError == reason + ": exited with code 3")
        #expect(try self.tool([crashed(5, 6, reason), Mesh.tool("started", 6)]).state == .running)
        // What stops it is no failure, whatever else is said.
        let odd: EventData = ["error": "x", "failed": "yes", "reason": "nap", "tool": "whisper"]
        tool = try self.tool([Mesh.tool("stopped", 5, odd)])
        #expect(tool.state == .stopped && tool.lastError == nil)
        let summary = Mesh.state([stopped(5, reason), Mesh.tool("crashed", 6, ["tool": "b"])], at: 7).summary
        #expect(summary.failed == 1 && summary.backingOff == 1 && summary.tools == 2)
        #expect(summary.json["crashed"]?.int == 2 && summary.json["failed"]?.int == 1)
    }

    @Test func anUpdateKeepsItRunningOrStopped() throws {
        let update = Mesh.tool("installed", 6, ["tool": "whisper", "version": "v2"])
        #expect(try tool([installed, started, update]).state == .running)
        #expect(try tool([installed, started, update]).version == "v2")
        let stopped = try tool([installed, started, stopped(5, "update"), update])
        #expect(stopped.state == .stopped && stopped.version == "v2")
        #expect(
            try tool([installed, started, self.stopped(5, "update"), update, Mesh.tool("started", 7)]).state == .running
        )
    }

    @Test func installedAgainAfterItWasRemovedItBeginsAnew() throws {
        let again = try tool([installed, crashed(3), Mesh.tool("removed", 4), Mesh.tool("installed", 5)])
        #expect(again.state == .installed && again.restartCount == 0 && again.lastError == nil)
        #expect(again.since == Mesh.time(5))
        // What ends a run may trail behind the removal.
        #expect(try tool([started, Mesh.tool("removed", 4), stopped(5, "uninstall")]).state == .removed)
    }

    @Test func eventsThatAreMissingLeaveSomethingUnknown() throws {
        let crash = try tool([crashed(3, 2)])
        #expect(crash.state == .backingOff && crash.version == nil && crash.restartCount == 1)
        #expect(try tool([started]).state == .running)
        #expect(try tool([Mesh.tool("configured", 3)]).state == .installed)
        #expect(try tool([Mesh.tool("removed", 3)]).state == .removed)
        #expect(Mesh.state([crashed(3)], at: 4).node("pi")?.status == .online)
    }

    @Test func toolsOfAnUnreachableNodeAreUncertain() throws {
        let events = [Mesh.health(0), started, stopped(1, "x"), Mesh.tool("removed", 3, ["tool": "old"])]
        let state = Mesh.state(events, at: 100)
        #expect(state.node("pi")?.status == .unreachable)
        #expect(try tool(events, at: 100).state == .running)
        #expect(try tool(events, at: 100).isUncertain)
        #expect(state.tool("old", on: "pi")?.isUncertain == false)
        #expect(state.summary.uncertain == 1 && state.summary.running == 0 && state.summary.tools == 1)
        #expect(try !tool(events, at: 20).isUncertain)
    }

    @Test func toolsOfANodeThatLeftAreStopped() throws {
        for event in [started, crashed(2), stopped(2, "gave up after 5 restarts")] {
            let tool = try tool([installed, event, Mesh.left(9)])
            #expect(tool.state == .stopped && tool.stopReason == "the node left" && tool.since == Mesh.time(9))
        }
        #expect(try tool([installed, Mesh.left(9)]).state == .installed)
        #expect(try tool([installed, started, stopped(8, "shutdown"), Mesh.left(9)]).stopReason == "shutdown")
        // The node is back, the tool is not yet.
        #expect(try tool([installed, started, Mesh.left(9), Mesh.joined(10)]).state == .stopped)
        #expect(
            try tool([installed, started, Mesh.left(9), Mesh.joined(10), Mesh.tool("started", 11)]).state == .running
        )
    }

    @Test func toolsOfANodeThatWasStartedAnewAreStopped() throws {
        let first = Mesh.joined(0, ["instance": "a"])
        let second = Mesh.joined(10, ["instance": "b"])
        let tool = try tool([first, installed, started, crashed(3, 4), Mesh.tool("started", 4), second])
        #expect(tool.state == .stopped && tool.stopReason == "the node was started anew" && tool.since == Mesh.time(10))
        #expect(tool.restartCount == 0 && tool.lastError == "exited with code 3" && tool.version == "v1.0.0")
        #expect(try self.tool([first, started, second, Mesh.tool("started", 11)]).state == .running)
        // Only a reconnect.
        #expect(try self.tool([first, started, Mesh.joined(10, ["instance": "a"])]).state == .running)
        #expect(try self.tool([started, Mesh.joined(10, ["instance": "a"])]).state == .running)
        #expect(try self.tool([Mesh.joined(0), started, Mesh.joined(10)]).state == .running)
    }

    @Test func twoLiveNodesOfOneNameBreakNothing() throws {
        var events: [Event] = []
        for second in stride(from: 0.0, to: 60, by: 2) {
            events.append(Mesh.health(second, "online", ["instance": "a", "interval_s": 4]))
            events.append(Mesh.health(second + 1, "degraded", ["instance": "b", "interval_s": 4]))
        }
        events += [Mesh.joined(30.5, ["instance": "b"]), Mesh.tool("started", 31)]
        let state = Mesh.state(events, at: 60)
        #expect(state.node("pi")?.status == .degraded)
        #expect(state.tool("whisper", on: "pi")?.state == .running)
    }
}
