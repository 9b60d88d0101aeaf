import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient
import Synchronization
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Runs one schedule of keepers, nodes and faults, and checks what came of it.
struct ScheduleRun: Sendable {
    /// What came of a schedule.
    struct Outcome: Sendable {
        var seed: UInt64
        var emitted = 0
        var stored = 0
        var deaths = 0
        var verdict: ScheduleVerdict?
        var problems: [String] = []
        /// Keepers that ended by themselves, and why.
        var ends: [String] = []
        /// How many nodes were late by more than an interval, through no fault of a server.
        var lateNodes = 0
        var story = ""
    }

    /// What went wrong in the tasks of a run.
    private final class Failures: Sendable {
        private let texts = Mutex<[String]>([])

        var all: [String] { texts.withLock { $0 } }

        func add(_ text: String) { texts.withLock { $0.append(text) } }
    }

    /// Does something to a server for a time.
    typealias ServerFault = @Sendable (KeeperSchedule.Step<KeeperSchedule.ServerFault>) async throws -> Void

    private let schedule: KeeperSchedule
    private let bus: PersistentEventBus
    private let connection: NATSConnection
    private let keepers: [KeeperProcess]
    private let url: String
    private let fault: ServerFault
    private let log = ScheduleLog()
    private let emitted = Counter()
    private let begun = Timestamp.now
    /// How many of the tasks have done what the schedule says.
    private let done = Counter()
    private let isOver = Counter()
    private let failures = Failures()

    /// Prepares a schedule.
    ///
    /// - Parameters:
    ///   - schedule: what is to happen.
    ///   - connection: to the servers, past every proxy.
    ///   - url: where a real node connects.
    ///   - ports: those of the servers.
    ///   - replicas: how many servers keep the stream.
    ///   - fault: does something to a server.
    init(
        _ schedule: KeeperSchedule,
        _ connection: NATSConnection,
        url: String,
        ports: [Int],
        replicas: Int,
        fault: @escaping ServerFault
    ) async throws {
        (self.schedule, self.connection, self.url, self.fault) = (schedule, connection, url, fault)
        bus = try await PersistentEventBus.open(
            transport: NATSTransport(connection),
            node: "test",
            configuration: .init(maximumMessages: nil, replicas: replicas),
            logger: quiet
        )
        var keepers: [KeeperProcess] = []
        for number in 1...3 { keepers.append(try await KeeperProcess("keeper-\(number)", ports: ports)) }
        self.keepers = keepers
    }

    /// Runs it.
    func run() async -> Outcome {
        var outcome = Outcome(seed: schedule.seed)
        do {
            try await perform()
        } catch {
            outcome.problems.append("\(error)")
        }
        do {
            try await examine(&outcome)
        } catch {
            outcome.problems.append("\(error)")
        }
        for keeper in keepers { await keeper.close() }
        await bus.close()
        return outcome
    }

    private func perform() async throws {
        let replay = try await bus.replay(matching: ["events.node.>", "events.tool.>"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await attempt { try await log.follow(replay) } }
            group.addTask { await attempt { try await log.followLease(connection) } }
            group.addTask { await attempt { try await log.watchStalls() } }
            for keeper in keepers {
                try keeper.start()
                group.addTask { await attempt { try await keeper.supervise() } }
            }
            try await eventually("a keeper to have the lease") { log.leases.contains { $0.node != nil } }
            var tasks = 0
            func add(_ body: @escaping @Sendable () async throws -> Void) {
                tasks += 1
                group.addTask {
                    await attempt {
                        try await body()
                        done.add()
                    }
                }
            }
            for (name, lives) in schedule.nodes {
                tasks += 1
                group.addTask { await attempt { try await live(name, lives) } }
            }
            for (keeper, steps) in zip(keepers, schedule.keepers) {
                add {
                    for step in steps {
                        try await Task.sleep(for: step.pause)
                        try await keeper.suffer(step)
                    }
                }
            }
            add {
                for step in schedule.server {
                    try await Task.sleep(for: step.pause)
                    try await log.trouble(step.fault.rawValue) { try await fault(step) }
                }
            }
            if let life = schedule.process { add { try await live(life) } }
            let all = tasks
            try await eventually(within: .seconds(120), "the schedule to end") {
                // A failure of one of them ends all.
                if let failure = failures.all.first { throw TestSupportError(failure) }
                return done.count >= all
            }
            try await settle()
            isOver.add()
            group.cancelAll()
        }
    }

    private func attempt(_ body: () async throws -> Void) async {
        do { try await body() } catch { if isOver.count == 0, !Task.isCancelled { failures.add("\(error)") } }
    }

    /// Waits until all announcements are taken back, and some time in which there must be no more; then ends the keepers.
    private func settle() async throws {
        let nodes = Set(log.deaths.map(\.node))
        try await eventually("each node to have recovered") { !nodes.contains { log.isAnnounced($0) } }
        try await Task.sleep(for: .seconds(2))
        try await compare()
        for keeper in keepers {
            let code = try await keeper.end()
            guard code == 0 else { throw TestSupportError("\(keeper.name) ended with \(code)") }
        }
    }

    /// Compares the state that the keepers saved with that of the whole stream.
    private func compare() async throws {
        let store = JetStreamStore(connection)
        let table = JetStreamStateStore(beside: store)
        var seen = ""
        // Between the two a node may change.
        for _ in 0..<5 {
            let whole = try await MeshMonitor.start(store: store, logger: quiet)
            let saved = try await MeshMonitor.start(store: store, saved: table, logger: quiet)
            if let failure = saved.savedStateFailure { throw failure }
            let (first, second) = (Self.picture(whole.state), Self.picture(saved.state))
            if first == second { return }
            seen = "the whole stream says \(first), the saved state \(second)"
            try await Task.sleep(for: .milliseconds(200))
        }
        throw TestSupportError(seen)
    }

    private static func picture(_ state: MeshState) -> [String] {
        state.nodes.map { node in
            let tools = node.tools.map { "\($0.name) \($0.version ?? "") \($0.state)" }
            return "\(node.name) \(node.status) \(tools)"
        }
    }

    private func examine(_ outcome: inout Outcome) async throws {
        var events: [StoredEvent] = []
        let patterns: [EventPattern] = ["events.node.>", "events.tool.>"]
        for try await stored in bus.historyReader.events(matching: patterns) { events.append(stored) }
        let verdict = try ScheduleVerdict(events, log, keepers, start: begun)
        outcome.verdict = verdict
        outcome.problems += verdict.problems
        outcome.emitted = emitted.count
        outcome.stored = events.count
        outcome.deaths = log.deaths.count
        outcome.ends = keepers.flatMap(\.ends)
        outcome.lateNodes = log.late.values.count { $0 > KeeperSchedule.interval }
        if !outcome.problems.isEmpty { outcome.story = verdict.story(events) }
    }

    // MARK: Nodes

    /// Lives as a simulated node, on after its last death too.
    private func live(_ name: String, _ lives: [KeeperSchedule.Life]) async throws {
        for life in lives {
            try await emit(name, until: .now + life.alive)
            let death = log.died(name, isLong: life.isLong)
            let end = ContinuousClock.now + life.dead
            if life.isLong {
                try await eventually(within: .seconds(90), "\(name) to be announced") { log.isAnnounced(name) }
            }
            try await Task.sleep(until: end)
            log.returned(death)
            // Its next death is another one only after it was heard of.
            if life.isLong {
                try await emit(name, until: .now + .seconds(90)) { !log.isAnnounced(name) }
            }
        }
        done.add()
        try await emit(name, until: .now + .seconds(600))
    }

    /// Emits health until a time, or until something is so.
    private func emit(
        _ name: String,
        until end: ContinuousClock.Instant,
        orUntil isEnough: () -> Bool = { false }
    ) async throws {
        var next = ContinuousClock.now
        while .now < end, !isEnough() {
            let begun = ContinuousClock.now
            log.note(late: begun - next, of: name)
            emitted.add()
            let resources: EventData = ["interval_s": 1.0]
            try await bus.emit(Event(NodeHealth(status: "online", resources: resources), node: name))
            // An emit that took longer than the interval waited for a server.
            next = max(begun + KeeperSchedule.interval, .now)
            try await Task.sleep(until: next)
        }
    }

    /// Lives as a real node with a tool: a process group that is killed once.
    private func live(_ life: KeeperSchedule.Life) async throws {
        let name = "process"
        let directory = try TemporaryDirectory()
        let manifest = try directory.file(
            "mesh.yaml",
            """
            health: {interval: 1s}
            tools:
              - name: sleeper
                version: "1"
                command: [sleep, "600"]
            """
        )
        func start() async throws -> SpawnedProcess {
            let count = log.events.count { $0.event.node == name && $0.event.type == .nodeHealth }
            func launch() throws -> SpawnedProcess {
                let output = try directory.outputFile("output")
                return try SpawnedProcess(
                    try BuildProducts.executable("mesh-events"),
                    ["serve", "--node", name, "--nats", url, "--config", manifest, "--no-keep"],
                    environment: ["HOME": directory.path, "PATH": "/usr/bin:/bin"],
                    directory: directory.path,
                    output: output,
                    error: output
                )
            }
            var process = try launch()
            try await eventually("health of the node's process") {
                // It does not start while its server is away.
                if !process.isRunning { process = try launch() }
                return log.events.count { $0.event.node == name && $0.event.type == .nodeHealth } > count
            }
            return process
        }
        let first = try await start()
        try await Task.sleep(for: life.alive)
        // All of its group, as when the machine loses power.
        kill(-first.pid, SIGKILL)
        let death = log.died(name, isLong: true)
        first.waitUntilExit()
        try await eventually(within: .seconds(90), "the node's process to be announced") { log.isAnnounced(name) }
        let second = try await start()
        log.returned(death)
        try await eventually("the node's process to have recovered") { !log.isAnnounced(name) }
        second.signal(SIGTERM)
        try await eventually("the node's process to end") { !second.isRunning }
    }
}
