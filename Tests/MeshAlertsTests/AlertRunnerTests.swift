import Foundation
import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import MeshMonitoring
import TestSupport
import Testing

@testable import MeshAlerts

/// Runners on an in-memory mesh.
@Suite(.timeLimit(.minutes(2))) struct AlertRunnerTests {
    /// Keeps what it is told, unless it fails.
    final class Recorder: AlertNotifier {
        private struct State {
            var told: [AlertNotification] = []
            var tries: [String] = []
            var failures: [NotificationFailure] = []
            var isDown = false
            var whenTold: @Sendable () -> Void = {}
        }

        private let state = Locked(State())

        var told: [AlertNotification] { state.withLock { $0.told } }
        var tries: [String] { state.withLock { $0.tries } }
        var lines: [String] {
            told.flatMap { $0.alerts }.map { "\($0.status.rawValue) \($0.rule) \($0.group) \($0.repetition)" }
        }

        func fail(_ failures: NotificationFailure...) { state.withLock { $0.failures = failures } }
        func down(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }
        func whenTold(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.whenTold = body } }

        func notify(_ notification: AlertNotification) async throws(NotificationFailure) -> String {
            let failure = state.withLock { state -> NotificationFailure? in
                state.tries.append(notification.id)
                if state.isDown { return NotificationFailure("it is down") }
                if !state.failures.isEmpty { return state.failures.removeFirst() }
                state.told.append(notification)
                return nil
            }
            if let failure { throw failure }
            state.withLock { $0.whenTold }()
            return "ok"
        }
    }

    /// A table that can be cut off from one runner, is slow to save what targets were told, and counts how often all of it is
    /// read.
    final class Line: ForwardingStateStore {
        let table: any StateStore
        private let isCut = Locked(false)
        private let reads = Locked(0)
        private let delay: Duration

        init(_ table: some StateStore, delay: Duration = .zero) { (self.table, self.delay) = (table, delay) }

        var wholeReads: Int { reads.withLock { $0 } }
        func cut(_ cut: Bool) { isCut.withLock { $0 = cut } }

        private func check() throws(MeshEventsError) {
            if isCut.withLock({ $0 }) { throw MeshEventsError(.timeout, "the line is cut", isRetriable: true) }
        }

        func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? {
            try check()
            return try await table.entry(key)
        }

        func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
            try check()
            if prefix.isEmpty { reads.withLock { $0 += 1 } }
            try await table.read(under: prefix, body)
        }

        func write(
            _ value: [UInt8],
            signature: String?,
            to key: String,
            expected: UInt64?
        ) async throws(MeshEventsError) -> UInt64 {
            try check()
            if delay > .zero, key.hasPrefix(StateKeys.targets) {
                do { try await Task.sleep(for: delay) } catch {
                    throw MeshEventsError(.closed, "the write was cancelled")
                }
            }
            return try await table.write(value, signature: signature, to: key, expected: expected)
        }
    }

    /// A store of which each reading takes a while, and to which messages are on their way until a signal comes.
    private struct SlowStore: ForwardingStore {
        let store: InMemoryStore
        let delay: Duration
        let arrival: OneTimeSignal?

        func willRead(_ limit: Int) async { if delay > .zero { try? await Task.sleep(for: delay) } }

        func append(
            _ message: PendingMessage,
            deadline: Duration
        ) async throws(MeshEventsError) -> StoredPosition {
            guard let arrival else { return try await store.append(message, deadline: deadline) }
            // What is sent arrives, also when its sender has ended.
            let arriving = Task {
                _ = await arrival.value(until: .now + .seconds(60))
                do throws(MeshEventsError) {
                    return Result<StoredPosition, MeshEventsError>.success(
                        try await store.append(message, deadline: deadline)
                    )
                } catch {
                    return .failure(error)
                }
            }
            return try await arriving.value.get()
        }
    }

    private struct Fixture {
        let mesh = InMemoryMesh()
        let table = InMemoryStateStore()
        let recorder = Recorder()
        let bus: PersistentEventBus

        init() async throws { bus = try await Self.bus(mesh, "pi") }

        static func bus(_ mesh: InMemoryMesh, _ node: String) async throws -> PersistentEventBus {
            try await PersistentEventBus.open(
                transport: InMemoryTransport(mesh),
                store: InMemoryStore(mesh),
                node: node,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }

        static let down = AlertRule(
            name: "down",
            patterns: [.toolCrashed],
            resolve: [.toolStarted],
            severity: .critical,
            targets: ["phone"]
        )

        static let beat = AlertRule(
            name: "beat",
            patterns: ["user.beat"],
            cause: .silence(.seconds(1)),
            grouping: .fields([]),
            targets: ["phone"]
        )

        func configuration(
            _ rules: [AlertRule],
            lease: Duration,
            window: Duration,
            checkpoint: Duration = .milliseconds(200)
        ) -> AlertRunner.Configuration {
            AlertRunner.Configuration(
                rules: rules,
                targets: [AlertTarget(name: "phone", notifier: recorder, window: window, mostPerHour: 100_000)],
                lease: lease,
                checkpointInterval: checkpoint
            )
        }

        func runner(
            _ name: String = "watcher",
            _ rules: [AlertRule] = [Fixture.down],
            table: (any StateStore)? = nil,
            lookingTakes delay: Duration = .zero,
            storingAt arrival: OneTimeSignal? = nil,
            lease: Duration = .seconds(3),
            window: Duration = .milliseconds(50),
            checkpoint: Duration = .milliseconds(200)
        ) async throws -> AlertRunner {
            let bus = try await Self.bus(mesh, name)
            func make(_ table: some StateStore) -> AlertRunner {
                AlertRunner(
                    bus: bus,
                    store: SlowStore(store: InMemoryStore(mesh), delay: delay, arrival: arrival),
                    table: table,
                    configuration: configuration(rules, lease: lease, window: window, checkpoint: checkpoint),
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                )
            }
            let chosen: any StateStore = table ?? self.table
            return make(chosen)
        }

        func crash(_ tool: String = "whisper") async throws {
            try await bus.emit(.toolCrashed(tool: tool, error: "exit status 1", restartCount: 1))
        }

        func started(_ tool: String = "whisper") async throws { try await bus.emit(.toolStarted(tool: tool)) }

        func told(_ lines: String...) async throws {
            try await eventually("\(lines) told, not \(recorder.lines)") { recorder.lines == lines }
        }

        /// How many reports are stored, by what they say.
        func reports() async throws -> [String: Int] {
            let page = try await bus.history(
                EventHistory.Query(matching: [.alertFired, .alertResolved], limit: 10_000)
            )
            return page.events.reduce(into: [:]) { counts, stored in
                let data = stored.event.data
                counts[
                    "\(stored.event.type) \(data["id"]?.string ?? "") \(data["repetition"]?.int ?? 0)",
                    default: 0
                ] += 1
            }
        }

        func watching(_ runners: [AlertRunner], _ body: () async throws -> Void) async throws {
            // It begins with what comes from now on.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for runner in runners { group.addTask { try await runner.run() } }
                try await eventually("a runner that watches") {
                    table.entries.contains { $0.key == StateKeys.position }
                }
                try await body()
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test("what fires is told at once, and what is over too")
    func tells() async throws {
        let fixture = try await Fixture()
        try await fixture.watching([fixture.runner()]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
            try await fixture.started()
            try await fixture.told("firing down whisper on pi 0", "resolved down whisper on pi 0")
        }
        let alerts = fixture.recorder.told.flatMap(\.alerts)
        #expect(alerts.map(\.sequences) == [[1], [1]] && alerts[0].reason == "exit status 1")
        #expect(Set(fixture.recorder.told.map(\.id)).count == 2)
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
    }

    @Test("a target that refuses is told again with the same id until it takes it")
    func triesAgain() async throws {
        let fixture = try await Fixture()
        fixture.recorder.fail(NotificationFailure("500"), NotificationFailure("reset"))
        try await fixture.watching([fixture.runner()]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        #expect(fixture.recorder.tries.count == 3 && Set(fixture.recorder.tries).count == 1)
    }

    @Test("what a target refuses for what it is is said as an event")
    func saysWhatIsNotDelivered() async throws {
        let fixture = try await Fixture()
        fixture.recorder.fail(NotificationFailure("hook.example answered 404", isFinal: true))
        try await fixture.watching([fixture.runner()]) {
            try await fixture.crash()
            try await eventually("alert.undelivered") {
                try await fixture.bus.history(matching: .alertUndelivered).count == 1
            }
        }
        let event = try #require(try await fixture.bus.history(matching: .alertUndelivered).first?.event)
        let payload = try event.payload(as: AlertUndelivered.self)
        #expect(payload.target == "phone" && payload.reason == "hook.example answered 404" && payload.givenUp == 1)
    }

    @Test("the next runner repeats nothing and forgets nothing")
    func takesOver() async throws {
        let fixture = try await Fixture()
        try await fixture.watching([fixture.runner("one")]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        // While none watches.
        try await fixture.started()
        try await fixture.crash("other")
        try await fixture.watching([fixture.runner("two")]) {
            try await eventually("the rest") { fixture.recorder.lines.count == 3 }
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(
            fixture.recorder.lines.sorted() == [
                "firing down other on pi 0", "firing down whisper on pi 0", "resolved down whisper on pi 0",
            ]
        )
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
    }

    @Test("of two runners one tells; when it is cut off, the other goes on, and nothing is told twice")
    func oneOfTwo() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        let first = try await fixture.runner("one", table: line, lease: .milliseconds(900))
        let second = try await fixture.runner("two", lease: .milliseconds(900))
        try await fixture.watching([first, second]) {
            try await fixture.crash("a")
            try await fixture.told("firing down a on pi 0")
            line.cut(true)
            for number in 0..<10 {
                try await fixture.crash("t\(number)")
                try await Task.sleep(for: .milliseconds(150))
            }
            try await eventually("all are told") { Set(fixture.recorder.lines).count == 11 }
            line.cut(false)
            try await fixture.started("a")
            try await eventually("the end") { fixture.recorder.lines.contains("resolved down a on pi 0") }
        }
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
        // A runner that is cut off in the middle may have told what it could not note.
        let ids = fixture.recorder.told.map { note in "\(note.id) \(note.alerts.map(\.id))" }
        let repeated = Dictionary(grouping: ids) { $0 }.filter { $0.value.count > 1 }
        #expect(fixture.recorder.lines.count - Set(fixture.recorder.lines).count <= repeated.count)
    }

    @Test("when the first runner is cut off before it has saved anything else, the next one forgets nothing")
    func cutOffAtOnce() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        func runner(_ name: String, _ table: (any StateStore)?) async throws -> AlertRunner {
            try await fixture.runner(name, table: table, lease: .milliseconds(900), checkpoint: .seconds(3_600))
        }
        try await fixture.watching([runner("one", line)]) {
            #expect(fixture.table.entries.contains { $0.key == StateKeys.target("phone") })
            line.cut(true)
            try await fixture.crash()
            try await fixture.watching([runner("two", nil)]) {
                try await fixture.told("firing down whisper on pi 0")
            }
        }
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
    }

    @Test("a report that is still on its way when another runner takes over is not stored a second time")
    func lateReport() async throws {
        let fixture = try await Fixture()
        let (line, arrival) = (Line(fixture.table), OneTimeSignal())
        let lease = Duration.milliseconds(600)
        let first = try await fixture.runner("one", table: line, storingAt: arrival, lease: lease)
        try await fixture.watching([first]) {
            try await fixture.crash()
            try await Task.sleep(for: .milliseconds(100))
            line.cut(true)
            try await fixture.watching([fixture.runner("two", lease: lease)]) {
                try await fixture.told("firing down whisper on pi 0")
                arrival.send()
                try await Task.sleep(for: .milliseconds(300))
            }
        }
        #expect(try await fixture.reports().values.sorted() == [1])
    }

    @Test("that a target was told is saved later when it could not be saved at once")
    func savesLater() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        fixture.recorder.whenTold { line.cut(true) }
        try await fixture.watching([fixture.runner("one", table: line)]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
            try await Task.sleep(for: .milliseconds(100))
            line.cut(false)
            try await eventually(within: .seconds(10), "it is saved that the target was told") {
                let place = fixture.table.entries.first { $0.key == StateKeys.target("phone") }
                return try place.map { try EventData(json: $0.value)["sending"] == nil } ?? false
            }
        }
    }

    @Test("a runner that is asked to end when it has just told a target saves that")
    func savesAtTheEnd() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table, delay: .milliseconds(150))
        try await fixture.watching([fixture.runner("one", table: line)]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        try await fixture.watching([fixture.runner("two")]) { try await Task.sleep(for: .milliseconds(500)) }
        #expect(fixture.recorder.lines == ["firing down whisper on pi 0"])
    }

    @Test("a silence before a takeover, of which nothing is saved, fires and is over")
    func silenceBehindWhatIsSaved() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        func runner(_ name: String, _ table: (any StateStore)?) async throws -> AlertRunner {
            try await fixture.runner(
                name,
                [Fixture.beat],
                table: table,
                lease: .milliseconds(900),
                checkpoint: .seconds(3_600)
            )
        }
        try await fixture.watching([runner("one", line)]) {
            line.cut(true)
            try await fixture.bus.emit("user.beat")
            try await Task.sleep(for: .milliseconds(1_300))
            try await fixture.bus.emit("user.beat")
            try await fixture.watching([runner("two", nil)]) {
                try await eventually("both are told") {
                    fixture.recorder.lines.prefix(2) == ["firing beat  0", "resolved beat  0"]
                }
            }
        }
    }

    @Test("since when something is missing is known before later events are taken in")
    func silenceFromBeforeTheFirstRunner() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        func runner(_ name: String, _ table: (any StateStore)?) async throws -> AlertRunner {
            try await fixture.runner(
                name,
                [Fixture.beat],
                table: table,
                lookingTakes: .milliseconds(300),
                lease: .milliseconds(900),
                checkpoint: .seconds(3_600)
            )
        }
        try await fixture.bus.emit("user.beat")
        try await Task.sleep(for: .milliseconds(50))
        try await fixture.watching([runner("one", line)]) {
            line.cut(true)
            try await Task.sleep(for: .milliseconds(1_300))
            try await fixture.bus.emit("user.beat")
            try await fixture.watching([runner("two", nil)]) {
                try await eventually("both are told") { fixture.recorder.lines.contains("resolved beat  0") }
            }
        }
        let beats = try await fixture.bus.history(EventHistory.Query(matching: ["user.beat"], limit: 10)).events
        let reports = try await fixture.bus.history(EventHistory.Query(matching: [.alertFired], limit: 10)).events
        let times = Set(beats.map { "\($0.storedAt)" })
        #expect(reports.allSatisfy { times.contains($0.event.data["since"]?.string ?? "") }, "\(reports)")
    }

    @Test("a target that was down for long gets one summary, not a thousand notifications")
    func oneSummary() async throws {
        let fixture = try await Fixture()
        fixture.recorder.down(true)
        try await fixture.watching([fixture.runner()]) {
            for number in 0..<300 { try await fixture.crash("t\(number)") }
            try await eventually("a try") { !fixture.recorder.tries.isEmpty }
            fixture.recorder.down(false)
            try await eventually("all are told") { fixture.recorder.lines.count == 300 }
        }
        #expect(fixture.recorder.told.count <= 4, "\(fixture.recorder.told.count) notifications")
        #expect(fixture.recorder.told.last?.title.contains("more") == true)
    }

    @Test("what is missing fires at its time and not before, also when the runner changes")
    func missing() async throws {
        let fixture = try await Fixture()
        let rule = AlertRule(
            name: "beat",
            patterns: ["user.beat"],
            cause: .silence(.seconds(3)),
            grouping: .fields([]),
            targets: ["phone"]
        )
        try await fixture.bus.emit("user.beat")
        for number in 0..<4 {
            try await fixture.watching([fixture.runner("r\(number)", [rule])]) {
                try await Task.sleep(for: .seconds(1))
                try await fixture.bus.emit("user.beat")
            }
        }
        #expect(fixture.recorder.lines.isEmpty)
        let last = ContinuousClock.now
        try await fixture.watching([fixture.runner("last", [rule])]) {
            try await eventually(within: .seconds(20), "it fires") { fixture.recorder.lines == ["firing beat  0"] }
        }
        #expect(ContinuousClock.now - last >= .seconds(2.5))
    }

    @Test("the state outlives the stream's events")
    func outlivesEvents() async throws {
        let fixture = try await Fixture()
        try await fixture.watching([fixture.runner("one")]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        _ = try await InMemoryStore(fixture.mesh).purge(matching: .all)
        try await fixture.watching([fixture.runner("two")]) {
            try await fixture.started()
            try await fixture.told("firing down whisper on pi 0", "resolved down whisper on pi 0")
        }
    }

    @Test(
        "what another party has spoilt of the saved state is read again from the stream",
        arguments: [[StateKeys.position], [StateKeys.position, StateKeys.target("phone")], [StateKeys.silences]]
    )
    func spoilt(keys: [String]) async throws {
        let fixture = try await Fixture()
        try await fixture.watching([fixture.runner("one")]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        try await fixture.crash("other")
        for key in keys {
            let present = try await fixture.table.entry(key)?.revision
            _ = try await fixture.table.write(
                Array("{\"type\":\"io.nats\"}".utf8),
                signature: nil,
                to: key,
                expected: present
            )
        }
        try await fixture.watching([fixture.runner("two")]) {
            try await eventually("the second alert") { fixture.recorder.lines.contains("firing down other on pi 0") }
            try await fixture.started()
            try await eventually("the end of the first") {
                fixture.recorder.lines.contains("resolved down whisper on pi 0")
            }
        }
        #expect(fixture.recorder.lines.count == 3)
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
    }

    @Test("many alerts do not hold up a critical one, nor the end")
    func aFlood() async throws {
        let fixture = try await Fixture()
        let flood = AlertRule(name: "flood", patterns: ["user.flood"], grouping: .fields(["n"]))
        let line = Line(fixture.table, delay: .zero)
        try await fixture.watching([fixture.runner("one", [flood, Fixture.down], table: line)]) {
            try await fixture.bus.emit(contentsOf: (0..<3_000).map { Event("user.flood", data: ["n": JSONValue($0)]) })
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
        }
        #expect(try await fixture.reports().values.allSatisfy { $0 == 1 })
    }

    @Test("rules that are read again count at once, and the alerts of the others go on")
    func otherRules() async throws {
        let fixture = try await Fixture()
        let runner = try await fixture.runner()
        try await fixture.watching([runner]) {
            try await fixture.crash()
            try await fixture.told("firing down whisper on pi 0")
            let job = AlertRule(name: "job", patterns: ["user.job"], grouping: .fields([]), targets: ["phone"])
            runner.use(fixture.configuration([Fixture.down, job], lease: .seconds(3), window: .milliseconds(50)))
            try await eventually("the new rule fires") {
                try await fixture.bus.emit("user.job")
                return fixture.recorder.lines.contains("firing job  0")
            }
            try await fixture.started()
            try await eventually("the old one is over") {
                fixture.recorder.lines.contains("resolved down whisper on pi 0")
            }
        }
    }

    @Test("what is listed as firing is what fires, before it is saved too")
    func overview() async throws {
        let fixture = try await Fixture()
        func overview() async throws -> AlertOverview {
            try await AlertOverview.load(from: fixture.table, store: InMemoryStore(fixture.mesh))
        }
        try await fixture.watching([fixture.runner()]) {
            try await fixture.crash()
            try await eventually("it is listed") { try await overview().firing.map(\.alert.rule) == ["down"] }
            let id = try await overview().firing[0].alert.id
            try await fixture.bus.emit(AlertSilenced(rule: "down", acknowledgedID: id))
            try await fixture.bus.emit(AlertSilenced(rule: "other", forSeconds: 60, reason: "why"))
            try await eventually("it is acknowledged") { try await overview().firing.first?.isAcknowledged == true }
            #expect(try await overview().silences.map(\.reason) == ["why"])
            #expect(try await overview().watcher?.node == "watcher")
        }
        let after = try await overview()
        #expect(after.watcher == nil)
        #expect(after.firing.map(\.alert.group.description) == ["whisper on pi"] && after.firing[0].isAcknowledged)
        try await fixture.watching([fixture.runner()]) {
            try await fixture.started()
            try await eventually("nothing fires") { try await overview().firing.isEmpty }
        }
    }

    @Test("who keeps the state of the mesh leaves that of the alerts alone, and need not read all for it")
    func besideAKeeper() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        let keeper = MeshKeeper(
            bus: try await Fixture.bus(fixture.mesh, "keeper"),
            store: InMemoryStore(fixture.mesh),
            table: line,
            configuration: .init(
                lease: .seconds(3),
                shortestWriteInterval: .milliseconds(50),
                checkpointInterval: .milliseconds(100)
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await keeper.run() }
            try await eventually("a keeper") { fixture.table.entries.contains { $0.key == "checkpoint" } }
            let before = line.wholeReads
            try await fixture.watching([fixture.runner(lease: .milliseconds(900))]) {
                for number in 0..<10 {
                    try await fixture.crash("t\(number)")
                    try await Task.sleep(for: .milliseconds(200))
                }
                try await eventually("all are saved") {
                    fixture.table.entries.count { $0.key.hasPrefix("alert.state.down.") } == 10
                }
            }
            #expect(line.wholeReads <= before + 2, "\(line.wholeReads - before) times all was read")
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(fixture.table.entries.count { $0.key.hasPrefix("alert.state.down.") } == 10)
        // A keeper that begins leaves them alone too.
        let second = try await Fixture.bus(fixture.mesh, "second")
        try await withThrowingTaskGroup(of: Void.self) { group in
            let keeper = MeshKeeper(
                bus: second,
                store: InMemoryStore(fixture.mesh),
                table: fixture.table,
                configuration: .init(lease: .seconds(3), checkpointInterval: .milliseconds(100)),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            group.addTask { try await keeper.run() }
            try await Task.sleep(for: .seconds(1))
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(fixture.table.entries.count { $0.key.hasPrefix("alert.state.down.") } == 10)
    }
}
