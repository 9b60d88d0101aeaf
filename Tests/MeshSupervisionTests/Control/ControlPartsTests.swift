import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import Testing

@testable import MeshSupervision

/// The parts of the control of tools that need no server.
@Suite struct ControlPartsTests {
    // MARK: Requests that come twice

    @Test func aRequestIsNewOnceAndRepeatedAfterwards() {
        var recent = RecentRequests()
        let request = ToolRequest(.restart, tool: "a", id: "1")
        guard case .new(let answer) = recent.take(request), case .repeated(let again) = recent.take(request) else {
            return #expect(Bool(false), "the second is not new")
        }
        #expect(answer === again)
        guard case .conflict = recent.take(ToolRequest(.stop, tool: "a", id: "1")) else {
            return #expect(Bool(false), "another request with the same id is no repetition")
        }
        recent.forget(request)
        guard case .new = recent.take(request) else { return #expect(Bool(false), "a forgotten one is new") }
    }

    @Test func requestsWithoutAnIdentityAreAlwaysNewAndTakeNoRoom() {
        var recent = RecentRequests()
        for _ in 0..<3 {
            guard case .new = recent.take(ToolRequest(.start, tool: "a", id: "")) else {
                return #expect(Bool(false), "it has no identity")
            }
        }
        #expect(recent.count == 0)
    }

    @Test func onlySoManyRequestsAreRememberedAndOnlySoLong() {
        var recent = RecentRequests()
        let now = ContinuousClock.now
        for number in 0..<(RecentRequests.maximum * 3) {
            _ = recent.take(ToolRequest(.start, tool: "a", id: "\(number)"), at: now)
            #expect(recent.count <= RecentRequests.maximum)
        }
        #expect(recent.count == RecentRequests.maximum)
        _ = recent.take(ToolRequest(.start, tool: "a", id: "last"), at: now + RecentRequests.memory + .seconds(1))
        #expect(recent.count == 1)
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
        #expect(request == ToolRequest(.stop, tool: "a", by: "", id: "") && timeout == nil)
    }

    @Test(arguments: [
        ("", "invalidRequest"), ("[]", "invalidRequest"), ("null", "invalidRequest"), ("{}", "invalidRequest"),
        (#"{"action":"explode","tool":"a"}"#, "invalidRequest"), (#"{"action":1,"tool":"a"}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"a","by":[]}"#, "invalidRequest"),
        (#"{"action":"stop","tool":"a","id":"\#(String(repeating: "x", count: 129))"}"#, "invalidRequest"),
        (#"{"action":"install","tool":"a","specification":"x"}"#, "invalidRequest"),
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
