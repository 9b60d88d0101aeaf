import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import Testing

@testable import MeshSupervision

/// The parts of the control of tools that need no server.
@Suite struct ControlPartsTests {
    // MARK: Requests that come twice

    /// A name for what becomes of a request.
    private func verdict(
        _ request: ToolRequest,
        _ recent: inout RecentRequests,
        _ time: Timestamp = .now,
        at now: ContinuousClock.Instant = .now
    ) -> String {
        switch recent.verdict(on: request, time: time, at: now) {
        case .new: "new"
        case .repeated: "repeated"
        case .conflict: "conflict"
        case .untimely: "untimely"
        case .full: "full"
        }
    }

    @Test func aRequestIsNewOnceAndRepeatedAfterwards() {
        var recent = RecentRequests()
        let request = ToolRequest(.restart, tool: "a", id: "1")
        #expect(verdict(request, &recent) == "new" && verdict(request, &recent) == "new")
        let answer = recent.add(request)
        guard case .repeated(let again) = recent.verdict(on: request) else {
            return #expect(Bool(false), "it was carried out")
        }
        #expect(answer === again)
        // Its time is corrected when clocks differ.
        #expect(verdict(ToolRequest(.restart, tool: "a", by: request.by, id: "1", time: .epoch), &recent) == "repeated")
        #expect(verdict(ToolRequest(.stop, tool: "a", id: "1"), &recent) == "conflict")
    }

    @Test func aRequestWithATimeAndNoIDIsKnownByItsContents() {
        let (time, now) = (Timestamp.now, ContinuousClock.now)
        var recent = RecentRequests(time: time, at: now)
        func request(_ action: ToolAction = .restart, _ tool: String = "a", at seconds: Int = 1) -> ToolRequest {
            ToolRequest(action, tool: tool, by: "x", id: "", time: time.adding(.seconds(seconds)))
        }
        #expect(verdict(request(), &recent, time, at: now) == "new")
        _ = recent.add(request(), at: now)
        let minutes = Duration.seconds(4 * 60)
        for passed in [.zero, minutes] {
            #expect(verdict(request(), &recent, time.adding(passed), at: now + passed) == "repeated")
        }
        // Another action, tool or time is another request.
        for other in [request(.stop), request(.restart, "b"), request(at: 2)] {
            #expect(verdict(other, &recent, time, at: now) == "new")
        }
        let late = RecentRequests.memory + .seconds(1)
        #expect(verdict(request(), &recent, time.adding(late), at: now + late) == "untimely" && recent.count == 0)
    }

    @Test func requestsWithNeitherIDNorTimeAreAlwaysNewAndTakeNoRoom() {
        var recent = RecentRequests()
        for _ in 0..<3 {
            let request = ToolRequest(.start, tool: "a", id: "", time: nil)
            #expect(verdict(request, &recent) == "new")
            _ = recent.add(request)
        }
        #expect(recent.count == 0)
    }

    @Test func anOldRequestIsNotNewHoweverManyCameAfterIt() {
        let (time, now) = (Timestamp.now, ContinuousClock.now)
        var recent = RecentRequests(time: time, at: now)
        let first = ToolRequest(.restart, tool: "a", id: "first", time: time)
        _ = recent.add(first, at: now)
        for number in 0..<5_000 { _ = recent.add(ToolRequest(.start, tool: "a", by: "", id: "\(number)"), at: now) }
        #expect(verdict(first, &recent, time, at: now) == "repeated")
        let minutes = Duration.seconds(10 * 60)
        #expect(verdict(first, &recent, time.adding(minutes), at: now + minutes) == "repeated")
        let late = RecentRequests.memory + .seconds(1)
        let present = time.adding(late)
        guard case .untimely(let told) = recent.verdict(on: first, time: present, at: now + late) else {
            return #expect(Bool(false), "it is not remembered any more, and old")
        }
        #expect(told == present && recent.count == 0)
        // An older client does not say when.
        #expect(verdict(ToolRequest(.start, tool: "a", id: "0", time: nil), &recent, present, at: now + late) == "new")
    }

    @Test func aRequestOfAnotherTimeThanTheNodesIsNotNew() {
        let (time, now) = (Timestamp.now, ContinuousClock.now)
        var recent = RecentRequests(time: time, at: now)
        func at(_ seconds: Int) -> ToolRequest { ToolRequest(.start, tool: "a", time: time.adding(.seconds(seconds))) }
        // Others may have been carried out by the process before.
        #expect(
            verdict(at(-1), &recent, time, at: now) == "untimely" && verdict(at(0), &recent, time, at: now) == "new"
        )
        let hour = Duration.seconds(3_600)
        for (seconds, expected) in [(3_299, "untimely"), (3_301, "new"), (3_604, "new"), (3_606, "untimely")] {
            #expect(verdict(at(seconds), &recent, time.adding(hour), at: now + hour) == expected, "\(seconds)")
        }
    }

    @Test func aClockThatIsSetForwardIsFollowedAndOneThatIsSetBackIsNot() {
        let (time, now) = (Timestamp.now, ContinuousClock.now)
        var recent = RecentRequests(time: time, at: now)
        func at(_ seconds: Int) -> ToolRequest { ToolRequest(.start, tool: "a", time: time.adding(.seconds(seconds))) }
        let forward = time.adding(.seconds(3_610))
        #expect(verdict(at(3_605), &recent, forward, at: now + .seconds(10)) == "new")
        #expect(verdict(at(10), &recent, forward, at: now + .seconds(10)) == "untimely")
        let back = time.adding(.seconds(20))
        #expect(verdict(at(3_615), &recent, back, at: now + .seconds(20)) == "new")
        #expect(verdict(at(20), &recent, back, at: now + .seconds(20)) == "untimely")
    }

    @Test func onlySoManyRequestsAreRemembered() {
        var recent = RecentRequests()
        for number in 0..<RecentRequests.maximum {
            _ = recent.add(ToolRequest(.start, tool: "a", by: "", id: "\(number)", time: nil))
        }
        #expect(verdict(ToolRequest(.start, tool: "a"), &recent) == "full")
        #expect(verdict(ToolRequest(.start, tool: "a", id: ""), &recent) == "full")
        #expect(verdict(ToolRequest(.start, tool: "a", id: "", time: nil), &recent) == "new")
        let later = ContinuousClock.now + RecentRequests.memory + .seconds(1)
        #expect(verdict(ToolRequest(.start, tool: "a", time: nil), &recent, at: later) == "new" && recent.count == 0)
    }

    @Test func aBudgetIsSpentAndFillsAgain() {
        var budget = ControlBudget(3, perSecond: 2)
        let now = ContinuousClock.now
        #expect((0..<5).map { _ in budget.take(at: now) } == [true, true, true, false, false])
        #expect(budget.take(at: now + .milliseconds(500)) && !budget.take(at: now + .milliseconds(500)))
        let later = now + .seconds(3_600)
        #expect((0..<4).map { _ in budget.take(at: later) } == [true, true, true, false])
    }

    // MARK: The wire

    @Test func aRequestComesBackAsItWasSent() throws {
        let specification: EventData = ["name": "a", "config": ["n": 1.50, "t": "\u{1F680}\u{0}"]]
        let request = ToolRequest(.install, tool: "a", signal: "HUP", specification: specification, by: "é", id: "x")
        let (back, timeout) = try ToolRequest.read(Array(request.json(timeout: .milliseconds(2_500)).utf8))
        #expect(back == request && timeout == .milliseconds(2_500))
    }

    @Test func anOldClientsRequestIsUnderstood() throws {
        let (request, timeout) = try ToolRequest.read(Array(#"{"tool":"a","action":"stop"}"#.utf8))
        #expect(request == ToolRequest(.stop, tool: "a", by: "", id: "", time: nil) && timeout == nil)
    }

    @Test(arguments: [
        ("", "invalidRequest"), ("[]", "invalidRequest"), ("null", "invalidRequest"), ("{}", "invalidRequest"),
        (#"{"action":"explode","tool":"a"}"#, "invalidRequest"), (#"{"action":1,"tool":"a"}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"a","by":[]}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"a","id":"\#(String(repeating: "x", count: 129))"}"#, "invalidRequest"),
        (#"{"action":"install","tool":"a","specification":"x"}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"a","time":"today"}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"\#(String(repeating: "x", count: 70_000))"}"#, "tooLarge"),
    ]) func aWrongRequestIsRefusedWithWhatToDo(text: String, code: String) {
        let refusal = #expect(throws: ToolRefusal.self) { try ToolRequest.read(Array(text.utf8)) }
        #expect(refusal?.code.rawValue == code && refusal?.message.isEmpty == false)
        #expect((refusal?.message.utf8.count ?? 0) < 500, "a stranger's text is cut")
    }

    @Test(arguments: [#"{"timeout_s":-1}"#, #"{"timeout_s":1e300}"#, #"{"timeout_s":"x"}"#, #"{"timeout_s":0}"#])
    func anAbsurdTimeoutCountsAsNone(more: String) throws {
        let text = #"{"action":"stop","tool":"a","# + more.dropFirst()
        #expect(try ToolRequest.read(Array(text.utf8)).timeout == nil)
    }

    @Test func answersOfOldAndNewNodesAreRead() throws {
        let old = try #require(ToolControlAnswer(Array(#"{"state":"running"}"#.utf8)))
        #expect(old == ToolControlAnswer(state: .running) && old.isReady == nil)
        let refused = try #require(ToolControlAnswer(Array(#"{"error":{"code":"busy","message":"no"}}"#.utf8)))
        #expect(refused.refusal == ToolRefusal(.busy, "no"))
        let full = ToolControlAnswer(state: .running, version: "1", pid: 7, isReady: false, lastError: "x")
        #expect(ToolControlAnswer(Array(full.json.utf8)) == full)
        let untimely = ToolControlAnswer(refusal: ToolRefusal(.untimely, "no"), time: .now)
        #expect(ToolControlAnswer(Array(untimely.json.utf8)) == untimely)
        for wrong in ["", "[]", "x", #"{"error":{}}"#, #"{"error":3}"#] {
            #expect(ToolControlAnswer(Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test func theCallerIsAUserAndAHost() {
        let parts = ToolRequest.caller.split(separator: "@", omittingEmptySubsequences: false)
        #expect(parts.count == 2 && parts.allSatisfy { !$0.isEmpty })
    }

    // MARK: Signals

    @Test func signalsAreKnownByTheirNamesInAnySpelling() {
        for name in ["HUP", "hup", "SIGHUP", "sighup"] { #expect(ToolSignal(name) == .hangup) }
        #expect(ToolSignal("SIGSIGHUP") == nil && ToolSignal("") == nil && ToolSignal("1") == nil)
        #expect(ToolSignal.names.allSatisfy { ToolSignal($0)?.name == $0 } && ToolSignal.names.count >= 30)
    }
}
