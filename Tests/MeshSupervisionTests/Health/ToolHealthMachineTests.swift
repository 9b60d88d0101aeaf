import Testing

@testable import MeshSupervision

/// When a tool counts as ready, unhealthy and healthy, by a clock that the test moves.
@Suite("Whether a tool works: the decisions")
struct ToolHealthMachineTests {
    private typealias Machine = ToolHealthMachine
    private typealias Inputs = ToolHealthMachine.Inputs

    private static let probe = ToolProbe(.tcp("127.0.0.1:1"), every: .seconds(10), failures: 3)
    private static let readyProbe = ToolProbe(.tcp("127.0.0.1:2"), every: .seconds(1))

    /// The check as it is asked until it has passed for the first time.
    private static let firstProbe = ToolProbe(probe.target, every: .seconds(1), failures: 3)

    private func machine(
        _ check: ToolProbe? = nil,
        ready: ToolHealth.Readiness? = nil,
        within: Duration = .seconds(60),
        watchdog: Duration? = nil,
        _ reaction: ToolHealth.Reaction = .restart,
        wasUnhealthy: Bool = false
    ) -> Machine {
        let health = ToolHealth(
            check: check,
            readiness: ready,
            readyWithin: within,
            watchdog: watchdog,
            onUnhealthy: reaction
        )
        return Machine(health, grace: .seconds(10), wasUnhealthy: wasUnhealthy)
    }

    private func said(_ text: String) -> Inputs {
        var inputs = Inputs()
        inputs.notice.add(Array(text.utf8))
        return inputs
    }

    /// Begins a run whose check passes at once.
    private func begin(_ machine: inout Machine) {
        #expect(machine.begin() == [.probe(Self.firstProbe)])
        #expect(machine.step(passed, at: .zero) == [.ready(after: .zero)])
    }

    private let passed = Inputs(result: .passed)
    private let failed = Inputs(result: .failed("it answered 500"))

    @Test("with nothing to watch there is nothing to do")
    func nothing() {
        var machine = machine()
        #expect(machine.begin() == [] && machine.deadline == nil)
        #expect(machine.step(said("READY=1\nWATCHDOG=1\nWATCHDOG=trigger"), at: .seconds(1)) == [])
        #expect(machine.deadline == nil)
    }

    @Test("three failures in a row end it, and one success among them begins the count anew")
    func failures() {
        var machine = machine(Self.probe)
        begin(&machine)
        #expect(machine.deadline == .seconds(10))
        #expect(machine.step(.init(), at: .seconds(9)) == [])
        var now = Duration.seconds(10)
        for result in [failed, failed, passed, failed, failed] {
            #expect(machine.step(.init(), at: now) == [.probe(Self.probe)])
            // One at a time: nothing is due while it is under way.
            #expect(machine.deadline == nil && machine.step(.init(), at: now + .milliseconds(1)) == [])
            #expect(machine.step(result, at: now + .seconds(1)) == [])
            #expect(machine.deadline == now + .seconds(10))
            now += .seconds(10)
        }
        #expect(machine.step(.init(), at: now) == [.probe(Self.probe)])
        #expect(
            machine.step(failed, at: now + .seconds(1)) == [
                .unhealthy(reason: "it answered 500", failures: 3),
                .end(error: "unhealthy: it answered 500", .terminate),
            ]
        )
        #expect(machine.deadline == nil && machine.step(passed, at: .seconds(1_000)) == [])
    }

    @Test("without another sign the first pass of the check shows that it is ready; what failed before does not count")
    func readyByCheck() {
        var machine = machine(Self.probe)
        #expect(machine.begin() == [.probe(Self.firstProbe)])
        for second in 0..<40 {
            // It is asked every second until then, whatever its rhythm.
            #expect(machine.step(failed, at: .seconds(second)) == [])
            #expect(machine.deadline == .seconds(second + 1))
            #expect(machine.step(.init(), at: .seconds(second + 1)) == [.probe(Self.firstProbe)])
        }
        #expect(machine.step(passed, at: .seconds(41)) == [.ready(after: .seconds(41))])
        // From now on its rhythm counts, and failures do.
        var now = Duration.seconds(50)
        for _ in 0..<2 {
            #expect(machine.deadline == now && machine.step(.init(), at: now) == [.probe(Self.probe)])
            #expect(machine.step(failed, at: now) == [])
            now += .seconds(10)
        }
        #expect(machine.step(.init(), at: now) == [.probe(Self.probe)])
        #expect(machine.step(failed, at: now).first == .unhealthy(reason: "it answered 500", failures: 3))
    }

    @Test("a check that is asked more often than every second keeps its rhythm, and begins the watchdog when it passes")
    func quickCheck() {
        let quick = ToolProbe(.tcp("127.0.0.1:1"), every: .milliseconds(200))
        var machine = machine(quick, watchdog: .seconds(30))
        #expect(machine.begin() == [.probe(quick)])
        #expect(machine.step(failed, at: .milliseconds(10)) == [] && machine.deadline == .milliseconds(200))
        #expect(machine.step(.init(), at: .milliseconds(200)) == [.probe(quick)])
        #expect(machine.deadline == .seconds(60))
        #expect(machine.step(passed, at: .milliseconds(300)) == [.ready(after: .milliseconds(300))])
        #expect(machine.deadline == .milliseconds(400))
        #expect(machine.step(.init(), at: .milliseconds(400)) == [.probe(quick)])
        #expect(machine.deadline == .milliseconds(30_300))
    }

    @Test("one whose check never passes is not ready in time; on nothing it is asked on, and is healthy when it passes")
    func neverReadyByCheck() {
        let reason = "not ready within 2s: it answered 500"
        for reaction in ToolHealth.Reaction.allCases {
            var machine = machine(Self.probe, within: .seconds(2), reaction)
            #expect(machine.begin() == [.probe(Self.firstProbe)])
            #expect(machine.step(failed, at: .zero) == [])
            #expect(machine.step(.init(), at: .seconds(1)) == [.probe(Self.firstProbe)])
            let actions = machine.step(failed, at: .seconds(2))
            #expect(actions.first == .unhealthy(reason: reason, failures: 1))
            guard reaction == .nothing else {
                #expect(actions.dropFirst() == [.end(error: reason, .terminate)] && machine.deadline == nil)
                continue
            }
            #expect(actions.dropFirst() == [.probe(Self.firstProbe)])
            #expect(machine.step(failed, at: .seconds(3)) == [.probe(Self.firstProbe)])
            #expect(machine.step(passed, at: .seconds(4)) == [.ready(after: .seconds(4)), .healthy])
        }
    }

    @Test("a probe that takes longer than the time between two is followed at once by the next, never joined by it")
    func slow() {
        var machine = machine(Self.probe)
        begin(&machine)
        #expect(machine.step(.init(), at: .seconds(10)) == [.probe(Self.probe)])
        #expect(machine.step(.init(), at: .seconds(25)) == [])
        #expect(machine.step(passed, at: .seconds(25)) == [.probe(Self.probe)])
    }

    @Test("on nothing it is said once that it is unhealthy, and once that it is healthy again")
    func saidOnly() {
        var machine = machine(Self.probe, .nothing)
        begin(&machine)
        var now = Duration.seconds(10)
        var actions: [Machine.Action] = []
        for result in [failed, failed, failed, failed, failed, passed, passed, failed] {
            #expect(machine.step(.init(), at: now) == [.probe(Self.probe)])
            actions += machine.step(result, at: now)
            now += .seconds(10)
        }
        #expect(actions == [.unhealthy(reason: "it answered 500", failures: 3), .healthy])
    }

    @Test("readiness by a probe: asked at once and each second; its checks begin soon after it is ready")
    func readyByProbe() {
        var machine = machine(Self.probe, ready: .probed(Self.readyProbe))
        #expect(machine.begin() == [.probe(Self.readyProbe)])
        // What the tool says does not count for one that is asked.
        #expect(machine.step(said("READY=1"), at: .milliseconds(100)) == [])
        #expect(machine.step(Inputs(result: .failed("connection refused")), at: .milliseconds(200)) == [])
        #expect(machine.deadline == .seconds(1))
        #expect(machine.step(.init(), at: .seconds(1)) == [.probe(Self.readyProbe)])
        #expect(machine.step(passed, at: .milliseconds(1_300)) == [.ready(after: .milliseconds(1_300))])
        #expect(machine.deadline == .milliseconds(2_300))
        #expect(machine.step(.init(), at: .milliseconds(2_300)) == [.probe(Self.probe)])
        #expect(machine.step(failed, at: .milliseconds(2_400)) == [] && machine.deadline == .milliseconds(12_300))
    }

    @Test("a probe that its node could not run says nothing of the tool, which gets the time")
    func notAsked() {
        let few = Inputs(result: .notAsked("few descriptors"))
        var machine = machine(ready: .probed(Self.readyProbe), within: .seconds(5))
        _ = machine.begin()
        for second in 1...20 {
            #expect(machine.step(few, at: .seconds(second - 1)) == [])
            #expect(machine.step(.init(), at: .seconds(second)) == [.probe(Self.readyProbe)])
        }
        #expect(machine.step(passed, at: .seconds(20)) == [.ready(after: .seconds(20))])
        machine = self.machine(Self.probe)
        begin(&machine)
        for number in 1...9 {
            let now = Duration.seconds(10 * number)
            #expect(machine.step(.init(), at: now) == [.probe(Self.probe)])
            #expect(machine.step(few, at: now) == [])
        }
    }

    @Test("one that is not ready in time is unhealthy, with what was wrong last; more time counts when it asks for it")
    func notReady() {
        var machine = machine(ready: .probed(Self.readyProbe), within: .seconds(5))
        _ = machine.begin()
        for second in 1...4 {
            #expect(machine.step(Inputs(result: .failed("connection refused")), at: .seconds(second - 1)) == [])
            #expect(machine.step(.init(), at: .seconds(second)) == [.probe(Self.readyProbe)])
        }
        let reason = "not ready within 5s: connection refused"
        #expect(
            machine.step(.init(), at: .seconds(5)) == [
                .unhealthy(reason: reason, failures: 1), .end(error: reason, .terminate),
            ]
        )
        machine = self.machine(ready: .notified, within: .seconds(5))
        #expect(machine.begin() == [] && machine.deadline == .seconds(5))
        #expect(machine.step(said("EXTEND_TIMEOUT_USEC=10000000"), at: .seconds(4)) == [])
        #expect(machine.deadline == .seconds(14))
        #expect(machine.step(said("EXTEND_TIMEOUT_USEC=1"), at: .seconds(5)) == [])
        #expect(
            machine.step(said("READY=1\nSTATUS=up"), at: .seconds(14)) == [.says("up"), .ready(after: .seconds(14))]
        )
        #expect(machine.deadline == nil)
        #expect(machine.step(said("READY=1\nSTATUS=up"), at: .seconds(15)) == [])
    }

    @Test("one that is ready late is said to be ready, and healthy again")
    func readyLate() {
        var machine = machine(ready: .notified, within: .seconds(5), .nothing)
        _ = machine.begin()
        #expect(machine.step(.init(), at: .seconds(5)) == [.unhealthy(reason: "not ready within 5s", failures: 1)])
        #expect(machine.deadline == nil)
        #expect(machine.step(said("READY=1"), at: .seconds(9)) == [.ready(after: .seconds(9)), .healthy])
    }

    @Test("the watchdog counts from when it is ready; without a sign of life it is aborted")
    func watchdog() {
        var machine = machine(ready: .notified, watchdog: .seconds(30))
        _ = machine.begin()
        #expect(machine.deadline == .seconds(60))
        #expect(machine.step(said("WATCHDOG=1"), at: .seconds(1)) == [] && machine.deadline == .seconds(60))
        #expect(machine.step(said("READY=1"), at: .seconds(40)) == [.ready(after: .seconds(40))])
        #expect(machine.deadline == .seconds(70))
        #expect(machine.step(said("WATCHDOG=1"), at: .seconds(60)) == [] && machine.deadline == .seconds(90))
        let reason = "watchdog: no sign of life for 30s"
        #expect(
            machine.step(.init(), at: .seconds(90)) == [
                .unhealthy(reason: reason, failures: 1), .end(error: reason, .abort),
            ]
        )
    }

    @Test("the tool may change its watchdog's time, switch it off, and trigger it")
    func watchdogAsAsked() {
        var machine = machine(watchdog: .seconds(30))
        _ = machine.begin()
        #expect(machine.deadline == .seconds(30))
        _ = machine.step(said("WATCHDOG_USEC=5000000"), at: .seconds(1))
        #expect(machine.deadline == .seconds(6))
        _ = machine.step(said("WATCHDOG_USEC=0"), at: .seconds(2))
        #expect(machine.deadline == nil)
        _ = machine.step(said("WATCHDOG_USEC=1"), at: .seconds(3))
        #expect(machine.deadline == .milliseconds(3_100))
        let reason = "watchdog: it has found that it does not work"
        #expect(
            machine.step(said("WATCHDOG=trigger"), at: .milliseconds(3_050)) == [
                .unhealthy(reason: reason, failures: 1), .end(error: reason, .abort),
            ]
        )
    }

    @Test("several causes are one trouble: it is healthy when the last of them is over")
    func causes() {
        var machine = machine(Self.probe, watchdog: .seconds(25), .nothing)
        begin(&machine)
        var actions: [Machine.Action] = []
        for second in [10, 20] {
            actions += machine.step(.init(), at: .seconds(second))
            actions += machine.step(failed, at: .seconds(second))
        }
        actions += machine.step(.init(), at: .seconds(25))
        actions += machine.step(.init(), at: .seconds(30))
        actions += machine.step(failed, at: .seconds(30))
        actions.removeAll { $0 == .probe(Self.probe) }
        #expect(actions == [.unhealthy(reason: "watchdog: no sign of life for 25s", failures: 1)])
        #expect(machine.step(said("WATCHDOG=1"), at: .seconds(31)) == [])
        _ = machine.step(.init(), at: .seconds(40))
        #expect(machine.step(passed, at: .seconds(40)) == [.healthy])
    }

    @Test("after an unhealthy run, the first sign that it works says that it is healthy", arguments: [0, 1, 2, 3])
    func nextRun(kind: Int) {
        var machine: Machine
        switch kind {
        case 0:
            machine = self.machine(Self.probe, ready: .notified, wasUnhealthy: true)
            _ = machine.begin()
            #expect(machine.step(said("READY=1"), at: .seconds(1)) == [.ready(after: .seconds(1))])
            #expect(machine.step(.init(), at: .seconds(2)) == [.probe(Self.probe)])
            #expect(machine.step(failed, at: .seconds(2)) == [])
            #expect(machine.step(.init(), at: .seconds(12)) == [.probe(Self.probe)])
            #expect(machine.step(passed, at: .seconds(12)) == [.healthy])
        case 1:
            machine = self.machine(ready: .notified, wasUnhealthy: true)
            _ = machine.begin()
            #expect(machine.step(said("READY=1"), at: .seconds(1)) == [.ready(after: .seconds(1)), .healthy])
        case 2:
            machine = self.machine(watchdog: .seconds(30), wasUnhealthy: true)
            _ = machine.begin()
            #expect(machine.step(said("WATCHDOG=1"), at: .seconds(1)) == [.healthy])
        default:
            machine = self.machine(Self.probe, wasUnhealthy: true)
            #expect(machine.begin() == [.probe(Self.firstProbe)])
            #expect(machine.step(passed, at: .seconds(1)) == [.ready(after: .seconds(1)), .healthy])
        }
    }

    @Test("other settings begin anew: what is known of readiness stays, and with nothing to watch it is healthy")
    func otherSettings() {
        var machine = machine(Self.probe, ready: .probed(Self.readyProbe), wasUnhealthy: true)
        #expect(machine.begin(at: .seconds(500), isReady: true) == [])
        #expect(machine.deadline == .seconds(501))
        machine = self.machine(ready: .probed(Self.readyProbe))
        #expect(machine.begin(at: .seconds(500), isReady: false) == [.probe(Self.readyProbe)])
        #expect(machine.step(passed, at: .seconds(501)) == [.ready(after: .seconds(501))])
        machine = self.machine(Self.probe)
        #expect(machine.begin(at: .seconds(500), isReady: false) == [.probe(Self.firstProbe)])
        #expect(machine.step(passed, at: .seconds(501)) == [.ready(after: .seconds(501))])
        machine = self.machine(watchdog: .seconds(30))
        #expect(machine.begin(at: .seconds(500), isReady: false) == [.ready(after: .seconds(500))])
        machine = self.machine(wasUnhealthy: true)
        #expect(machine.begin(at: .seconds(500), isReady: true) == [.healthy] && machine.deadline == nil)
        machine = self.machine(wasUnhealthy: true)
        #expect(machine.begin() == [])
    }

    @Test("one that says it ends is asked nothing more, and has its grace time, or the time it asks for")
    func stopping() {
        var machine = machine(Self.probe, ready: .notified, watchdog: .seconds(30))
        _ = machine.begin()
        _ = machine.step(said("READY=1"), at: .seconds(1))
        #expect(machine.step(said("STOPPING=1\nSTATUS=flushing"), at: .seconds(20)) == [.says("flushing")])
        #expect(machine.deadline == .seconds(30))
        #expect(machine.step(said("EXTEND_TIMEOUT_USEC=20000000"), at: .seconds(29)) == [])
        #expect(machine.deadline == .seconds(49))
        let reason = "it said that it ends, and has not within 10s"
        #expect(
            machine.step(.init(), at: .seconds(49)) == [
                .unhealthy(reason: reason, failures: 1), .end(error: reason, .terminate),
            ]
        )
    }

    @Test("once it was asked to end, nothing follows")
    func over() {
        var machine = machine(Self.probe, ready: .notified, watchdog: .seconds(30))
        _ = machine.begin()
        #expect(machine.step(Inputs(isOver: true), at: .seconds(1)) == [] && machine.deadline == nil)
        #expect(machine.step(said("READY=1\nWATCHDOG=trigger"), at: .seconds(99)) == [])
    }

    @Test("time in which this process did not run is the tool's: a machine that slept ends no tools")
    func lateSteps() {
        var machine = machine(ready: .notified, within: .seconds(60), watchdog: .seconds(30))
        _ = machine.begin()
        #expect(machine.step(.init(), at: .seconds(20)) == [])
        #expect(machine.step(.init(), at: .seconds(3_600)) == [] && machine.deadline == .seconds(3_640))
        machine = self.machine(watchdog: .seconds(30))
        _ = machine.begin()
        // A little late is no pause.
        var other = machine
        #expect(other.step(.init(), at: .seconds(31)).count == 2)
        // The sign of life that waited counts, and so does a whole new time.
        #expect(machine.step(said("WATCHDOG=1"), at: .seconds(8_000)) == [])
        #expect(machine.deadline == .seconds(8_030))
    }

    @Test("durations are written as in a manifest")
    func durations() {
        let cases: [(Duration, String)] = [
            (.seconds(30), "30s"), (.milliseconds(1_500), "1.5s"), (.milliseconds(250), "250ms"), (.zero, "0ms"),
            (.seconds(86_400), "86400s"),
        ]
        for (duration, text) in cases { #expect(ToolHealth.text(duration) == text) }
    }
}

@Suite("What tools say by sd_notify")
struct ToolNoticeTests {
    private func notice(_ messages: String...) -> ToolNotice {
        var notice = ToolNotice()
        for message in messages { notice.add(Array(message.utf8)) }
        return notice
    }

    @Test("the lines that count are taken, others say nothing")
    func lines() {
        var expected = ToolNotice()
        expected.isReady = true
        expected.status = "Ready to accept connections"
        expected.errorNumber = 2
        #expect(notice("READY=1\nSTATUS=Ready to accept connections\nMAINPID=17\nERRNO=2\n") == expected)
        for nothing in [
            "", "\n\n", "READY", "READY=", "READY=0", "READY=2", "ready=1", "READY=1 ", " READY=1", "=1", "X=1",
            "RELOADING=1", "WATCHDOG=", "WATCHDOG=2", "ERRNO=0", "ERRNO=-1", "ERRNO=5000", "ERRNO=x", "STOPPING=0",
            "WATCHDOG_USEC=-1", "WATCHDOG_USEC=", "WATCHDOG_USEC=1e6", "EXTEND_TIMEOUT_USEC=+5", "FDSTORE=1",
            "BARRIER=1",
        ] {
            #expect(notice(nothing).isEmpty, "\(nothing)")
        }
    }

    @Test("numbers are bounded, and what is no UTF-8 spoils only its line")
    func bounds() {
        #expect(notice("WATCHDOG_USEC=99999999999999999999999999").watchdog == .seconds(86_400))
        #expect(notice("EXTEND_TIMEOUT_USEC=18446744073709551615").moreTime == .seconds(86_400))
        var broken = ToolNotice()
        broken.add(Array("STATUS=a".utf8) + [0xFF, 0x0A] + Array("READY=1".utf8) + [0])
        #expect(broken.isEmpty)
        broken.add([0xFF, 0x3D, 0x31, 0x0A] + Array("READY=1".utf8))
        #expect(broken.isReady && broken.status == nil)
    }

    @Test("later messages add to earlier ones")
    func merged() {
        var first = notice("READY=1\nSTATUS=a\nWATCHDOG_USEC=5")
        first.add(notice("STATUS=\nWATCHDOG=1"))
        #expect(first.isReady && first.isAlive && first.status == "" && first.watchdog == .microseconds(5))
    }

    @Test("whatever bytes come, nothing breaks and nothing grows", arguments: 0..<200 as Range<UInt64>)
    func random(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let words = ["READY=1", "STATUS=", "WATCHDOG=1", "\n", "=", "ERRNO=", "WATCHDOG_USEC=", "\0", "9", "🚀"]
        var bytes: [UInt8] = []
        for _ in 0..<400 {
            if next() % 3 == 0 {
                bytes += Array(words[Int(next() % 10)].utf8)
            } else {
                bytes.append(UInt8(truncatingIfNeeded: next()))
            }
        }
        var notice = ToolNotice()
        notice.add(bytes)
        #expect(notice.status?.utf8.count ?? 0 <= bytes.count)
        #expect(notice.watchdog ?? .zero <= .seconds(86_400) && notice.moreTime ?? .zero <= .seconds(86_400))
    }
}
