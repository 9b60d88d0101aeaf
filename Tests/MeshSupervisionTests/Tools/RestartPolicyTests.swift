import Testing

@testable import MeshSupervision

@Suite("When a tool is started again")
struct RestartPolicyTests {
    @Test("1 s, doubled up to 60 s, for ever when the limit allows")
    func delays() {
        var history = RestartHistory()
        let policy = RestartPolicy(maximumRestarts: 100)
        let delays = (0..<9).map { _ in history.ended(isFailure: true, uptime: .seconds(59), policy: policy) }
        #expect(delays == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .restart(after: .seconds($0)) })
    }

    @Test("the sixth failure in a row is one too many")
    func givesUp() {
        var history = RestartHistory()
        let policy = RestartPolicy()
        let decisions = (0..<6).map { _ in history.ended(isFailure: true, uptime: .zero, policy: policy) }
        #expect(decisions.dropLast().allSatisfy { $0 != .giveUp })
        #expect(decisions.last == .giveUp)
    }

    @Test("a stable minute starts from the beginning")
    func stable() {
        var history = RestartHistory()
        let policy = RestartPolicy()
        for _ in 0..<5 { _ = history.ended(isFailure: true, uptime: .zero, policy: policy) }
        #expect(history.ended(isFailure: true, uptime: .seconds(60), policy: policy) == .restart(after: .seconds(1)))
        #expect(history.failures == 1)
    }

    @Test("a clean exit ends a row of failures, not the growth of delays")
    func cleanExit() {
        var history = RestartHistory()
        let policy = RestartPolicy(mode: .always)
        for _ in 0..<5 { _ = history.ended(isFailure: true, uptime: .zero, policy: policy) }
        #expect(history.ended(isFailure: false, uptime: .zero, policy: policy) == .restart(after: .seconds(32)))
        for _ in 0..<100 { _ = history.ended(isFailure: false, uptime: .zero, policy: policy) }
        #expect(history.ended(isFailure: true, uptime: .zero, policy: policy) == .restart(after: .seconds(60)))
    }

    @Test("with a time, failures within it count, whatever lies between them, and those before it do not")
    func within() {
        var history = RestartHistory()
        let policy = RestartPolicy(mode: .always, maximumRestarts: 3, within: .seconds(600))
        func ended(_ second: Int, isFailure: Bool = true) -> RestartHistory.Decision {
            history.ended(isFailure: isFailure, uptime: .seconds(90), now: .seconds(second), policy: policy)
        }
        let again = RestartHistory.Decision.restart(after: .seconds(1))
        // It runs stable for a minute and a half each time, and exits well in between.
        #expect([100, 200, 300].map { ended($0) } == [again, again, again])
        #expect(ended(400, isFailure: false) == again)
        #expect(ended(699) == .giveUp)
        history = RestartHistory()
        #expect([100, 200, 300].map { ended($0) } == [again, again, again])
        // The first one was ten minutes ago.
        #expect(ended(700) == again)
        #expect(ended(799) == .giveUp)
        history = RestartHistory()
        let never = RestartPolicy(maximumRestarts: 0, within: .seconds(600))
        #expect(history.ended(isFailure: true, uptime: .zero, now: .zero, policy: never) == .giveUp)
        let endless = RestartPolicy(maximumRestarts: .max, within: .seconds(600))
        for second in 0..<20_000 {
            guard history.ended(isFailure: true, uptime: .zero, now: .milliseconds(second), policy: endless) != .giveUp
            else { return #expect(Bool(false), "given up") }
        }
    }

    @Test("the reason names the time") func withinReason() {
        var machine = ToolStateMachine()
        _ = machine.start()
        _ = machine.launched()
        let policy = RestartPolicy(maximumRestarts: 0, within: .seconds(600))
        let actions = machine.ended(error: "no", uptime: .zero, policy: policy)
        #expect(actions.last == .gaveUp(reason: "gave up after 0 restarts within 10m"))
    }

    @Test("what each mode follows", arguments: RestartPolicy.Mode.allCases)
    func modes(_ mode: RestartPolicy.Mode) {
        var history = RestartHistory()
        let policy = RestartPolicy(mode: mode)
        let again = RestartHistory.Decision.restart(after: .seconds(1))
        let afterExit = history.ended(isFailure: false, uptime: .seconds(60), policy: policy)
        let afterFailure = history.ended(isFailure: true, uptime: .seconds(60), policy: policy)
        #expect(afterExit == (mode == .always ? again : .leave))
        #expect(afterFailure == (mode == .never ? .leave : again))
    }
}

@Suite("What a tool does and what follows")
struct ToolStateMachineTests {
    private let policy = RestartPolicy()

    private func running() -> ToolStateMachine {
        var machine = ToolStateMachine()
        #expect(machine.start() == [.launch])
        #expect(machine.launched() == [.started])
        return machine
    }

    @Test("a stop that was asked for is no crash, whatever the exit code") func stop() {
        var machine = running()
        #expect(machine.start().isEmpty)
        #expect(machine.stop(reason: "update") == [.terminate])
        #expect(machine.state == .stopping)
        #expect(machine.stop(reason: "shutdown") == [.terminate])
        let actions = machine.ended(error: "killed by signal 9 (SIGKILL)", uptime: .zero, policy: policy)
        #expect(actions == [.stopped(reason: "update")])
        #expect(machine.isIdle && machine.state == .stopped)
        #expect(machine.stop(reason: "shutdown").isEmpty)
    }

    @Test("six crashes in a row") func crashes() {
        var machine = running()
        for count in 0..<5 {
            let actions = machine.ended(error: "exited with code 3", uptime: .seconds(1), policy: policy)
            let delay = Duration.seconds(1 << count)
            let crash = crashed("exited with code 3", count + 1, isRestarting: true)
            #expect(actions == [crash, .schedule(after: delay)])
            #expect(machine.state == .backingOff)
            #expect(machine.restartDue() == [.launch])
            #expect(machine.state == .starting)
            #expect(machine.launched() == [.started])
        }
        let actions = machine.ended(error: "exited with code 3", uptime: .seconds(1), policy: policy)
        let last = crashed("exited with code 3", 6, isRestarting: false)
        #expect(actions == [last, .gaveUp(reason: "gave up after 5 restarts")])
        #expect(machine.isIdle && machine.state == .failed)
        #expect(machine.restartDue().isEmpty)
    }

    @Test("a start that fails on request is not repeated; a restart that fails is") func launchFails() {
        var machine = ToolStateMachine()
        _ = machine.start()
        #expect(machine.launchFailed("no", policy: policy) == [crashed("no", 1, isRestarting: false)])
        #expect(machine.isIdle && machine.state == .failed)
        machine = running()
        _ = machine.ended(error: "exited with code 1", uptime: .zero, policy: policy)
        _ = machine.restartDue()
        let actions = machine.launchFailed("no", policy: policy)
        #expect(actions == [crashed("no", 2, isRestarting: true), .schedule(after: .seconds(2))])
    }

    @Test("a start that its node has no descriptors for is tried again, and is no crash", arguments: [true, false])
    func launchDeferred(_ retries: Bool) {
        var machine = ToolStateMachine()
        _ = machine.start(retries: retries)
        for delay in [1, 2, 4, 8, 10, 10] {
            #expect(machine.launchDeferred("few") == [.deferred(error: "few"), .schedule(after: .seconds(delay))])
            #expect(machine.state == .backingOff && machine.isDeferred && !machine.isIdle)
            #expect(machine.lastError == "few" && machine.restartCount == 0)
            #expect(machine.restartDue() == [.launch])
        }
        // What follows is as if it had never been put off.
        var other = machine
        let actions = other.launchFailed("no", policy: policy)
        #expect(actions.first == crashed("no", 1, isRestarting: retries))
        #expect(machine.launched() == [.started] && machine.restartCount == 0)
    }

    @Test("stop and start of one that its node cannot start yet") func stopDeferred() {
        var machine = ToolStateMachine()
        _ = machine.start()
        _ = machine.launchDeferred("few")
        var other = machine
        #expect(machine.stop(reason: "stopped") == [.cancelSchedule, .stopped(reason: "stopped")])
        #expect(machine.isIdle && machine.state == .stopped && machine.restartDue().isEmpty)
        #expect(other.start() == [.cancelSchedule, .launch])
        #expect(other.launchDeferred("few").last == .schedule(after: .seconds(1)))
    }

    @Test("a start by its node that fails follows the restart policy", arguments: RestartPolicy.Mode.allCases)
    func launchFailsAtFirst(_ mode: RestartPolicy.Mode) {
        var machine = ToolStateMachine()
        #expect(machine.start(retries: true) == [.launch])
        var actions = machine.launchFailed("no", policy: RestartPolicy(mode: mode, maximumRestarts: 1))
        guard mode != .never else {
            #expect(actions == [crashed("no", 1, isRestarting: false)] && machine.state == .failed)
            return
        }
        #expect(actions == [crashed("no", 1, isRestarting: true), .schedule(after: .seconds(1))])
        #expect(machine.state == .backingOff && machine.restartDue() == [.launch])
        actions = machine.launchFailed("no", policy: RestartPolicy(mode: mode, maximumRestarts: 1))
        #expect(
            actions == [crashed("no", 2, isRestarting: false), .gaveUp(reason: "gave up after 1 restarts")]
        )
        #expect(machine.isIdle && machine.state == .failed)
    }

    @Test("it has succeeded when it has ended with code 0 and nothing follows", arguments: RestartPolicy.Mode.allCases)
    func success(_ mode: RestartPolicy.Mode) {
        var machine = running()
        #expect(!machine.hasSucceeded)
        _ = machine.ended(error: nil, uptime: .seconds(1), policy: RestartPolicy(mode: mode))
        #expect(machine.hasSucceeded == (mode != .always))
        _ = machine.start()
        #expect(!machine.hasSucceeded)
        _ = machine.launched()
        _ = machine.ended(error: "exited with code 1", uptime: .seconds(1), policy: RestartPolicy(mode: .never))
        #expect(!machine.hasSucceeded)
        machine = running()
        _ = machine.ended(error: nil, uptime: .seconds(1), policy: policy, hasSchedule: true)
        #expect(machine.hasSucceeded)
    }

    private func crashed(_ error: String, _ count: Int, isRestarting: Bool) -> ToolStateMachine.Action {
        .crashed(error: error, restartCount: count, isRestarting: isRestarting)
    }

    @Test("stop and start while it waits") func waiting() {
        var machine = running()
        _ = machine.ended(error: "exited with code 1", uptime: .zero, policy: policy)
        var other = machine
        #expect(machine.stop(reason: "stopped") == [.cancelSchedule, .stopped(reason: "stopped")])
        #expect(other.start() == [.cancelSchedule, .launch])
        #expect(other.restartCount == 0 && other.lastError == nil)
    }
}
