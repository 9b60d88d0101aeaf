import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport

/// Runs one schedule of those who watch the alerts, their server and the receiver, and checks what came of it.
struct AlertScheduleRun: Sendable {
    /// What came of a schedule.
    struct Outcome: Sendable {
        var seed: UInt64
        var faults = 0
        var emitted = 0
        var stored = 0
        var firings = 0
        var told = 0
        var repeats = 0
        /// How often a process began to watch.
        var sessions = 0
        /// Processes that ended by themselves, and why.
        var ends: [String] = []
        var problems: [String] = []
        var duration = Duration.zero
        var story = ""
    }

    /// What happens to the parts of it, as lines with their times.
    private final class Diary: Sendable {
        private let lines = Mutex<[(at: Timestamp, text: String)]>([])

        var all: [(at: Timestamp, text: String)] { lines.withLock { $0 } }

        func note(_ text: String) { lines.withLock { $0.append((.now, text)) } }
    }

    /// How long nothing may be told while something is missing.
    private static let patience: Duration = .seconds(25)

    private let schedule: AlertSchedule
    private let server: LocalNATSServer
    private let bus: PersistentEventBus
    private let recorder = AlertRecorder()
    private let watchers: [AlertWatcher]
    private let diary = Diary()
    private let emitted = Counter()
    private let begun = Timestamp.now

    /// Prepares a schedule.
    init(_ schedule: AlertSchedule, _ server: LocalNATSServer) async throws {
        (self.schedule, self.server) = (schedule, server)
        bus = try await openBus(at: server.url)
        try await recorder.start()
        // Without a fault, a busy machine must not make one.
        let rules = AlertModel.configuration(recorder.port, timeout: schedule.isCalm ? "30s" : "700ms")
        let lease = schedule.isCalm ? "6s" : "900ms"
        watchers = try schedule.watchers.indices.map {
            try AlertWatcher("watcher-\($0 + 1)", url: server.url, rules: rules, lease: lease)
        }
    }

    /// Runs it.
    func run() async -> Outcome {
        var outcome = Outcome(seed: schedule.seed)
        outcome.faults = schedule.faults
        do { try await perform() } catch { outcome.problems.append("\(error)") }
        do { try await examine(&outcome) } catch { outcome.problems.append("\(error)") }
        for watcher in watchers { watcher.kill() }
        try? await recorder.stop()
        await bus.close()
        outcome.duration = Timestamp.now.duration(since: begun)
        return outcome
    }

    private func perform() async throws {
        // The first is there before a process watches.
        try await emit(.beat, "alpha", "")
        for watcher in watchers { try watcher.start() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for watcher in watchers { group.addTask { try await watcher.supervise() } }
            group.addTask {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    try await self.waitUntilWatched()
                    self.addFaults(to: &group)
                    group.addTask {
                        for emission in schedule.emissions {
                            try await Task.sleep(for: emission.pause)
                            try await emit(emission.kind, emission.node, emission.name)
                        }
                    }
                    try await group.waitForAll()
                }
                diary.note("all is well from now on")
                try await settle()
                for watcher in watchers { try await watcher.end() }
                throw CancellationError()
            }
            // The task that does the work ends all by an error.
            do { while try await group.next() != nil {} } catch is CancellationError { group.cancelAll() }
        }
    }

    /// Waits until a process has noted from where in the stream it counts.
    private func waitUntilWatched() async throws {
        let connection = try await connect(server)
        try await eventually("a process to watch the alerts") {
            let bucket = try? await JetStream(connection: connection).openKeyValue("MESH_STATE")
            return try await bucket?.get("alert.position") != nil
        }
        await connection.close()
    }

    private func addFaults(to group: inout ThrowingTaskGroup<Void, any Error>) {
        for (watcher, steps) in zip(watchers, schedule.watchers) {
            group.addTask {
                for step in steps {
                    try await Task.sleep(for: step.pause)
                    diary.note("\(watcher.name) \(step.fault.rawValue) for \(step.duration)")
                    try await watcher.suffer(step, recorder)
                }
            }
        }
        group.addTask {
            for step in schedule.server {
                try await Task.sleep(for: step.pause)
                diary.note("server killed for \(step.duration)")
                await server.kill()
                try await Task.sleep(for: step.duration)
                try await server.restart()
            }
        }
        group.addTask {
            for step in schedule.receiver {
                try await Task.sleep(for: step.pause)
                diary.note("receiver \(step.fault.rawValue) for \(step.duration)")
                try await recorder.suffer(step)
            }
        }
    }

    /// Emits an event, and notes that it was acknowledged.
    private func emit(_ kind: AlertSchedule.Emission.Kind, _ node: String, _ name: String) async throws {
        let event: Event =
            switch kind {
            case .crashed: .toolCrashed(node: node, tool: name, error: "exit code 1", restartCount: 1)
            case .started: .toolStarted(node: node, tool: name)
            case .stopped: .toolStopped(node: node, tool: name, reason: "asked")
            case .heat(let level): Event("user.heat", data: ["sensor": .string(name), "level": .init(level)])
            case .beat: Event("user.beat")
            }
        try await bus.emit(event)
        emitted.add()
    }

    /// Waits until all is told that the events demand, and then for what must not come.
    private func settle() async throws {
        var (progress, deadline) = (-1, ContinuousClock.now + Self.patience)
        while true {
            let events = try await events()
            let told = recorder.told
            let missing = try AlertVerdict(events, told, isCalm: schedule.isCalm).missing
            if missing.isEmpty { break }
            let now = events.count + told.count { $0.isAnswered }
            if now > progress { (progress, deadline) = (now, .now + Self.patience) }
            guard .now < deadline else { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        try await Task.sleep(for: .seconds(1))
    }

    private func events() async throws -> [StoredEvent] {
        var events: [StoredEvent] = []
        let patterns: [EventPattern] = ["events.tool.>", "events.user.>", "events.alert.>"]
        for try await stored in bus.historyReader.events(matching: patterns) { events.append(stored) }
        return events
    }

    private func examine(_ outcome: inout Outcome) async throws {
        let events = try await events()
        let verdict = try AlertVerdict(events, recorder.told, isCalm: schedule.isCalm)
        outcome.problems += recorder.problems + verdict.problems + verdict.missing
        outcome.emitted = emitted.count
        outcome.stored = events.count { !$0.event.type.rawValue.hasPrefix("alert.") }
        if outcome.stored != outcome.emitted {
            outcome.problems.append("\(outcome.emitted) events were acknowledged, \(outcome.stored) are stored")
        }
        outcome.firings = verdict.model.firings.count
        (outcome.told, outcome.repeats) = (verdict.told, verdict.repeats)
        outcome.sessions = watchers.reduce(0) { $0 + $1.said.components(separatedBy: "watches the mesh").count - 1 }
        outcome.ends = watchers.flatMap(\.ends)
        if !outcome.problems.isEmpty { outcome.story = story(events) }
    }

    /// What happened, line by line: for people who look for the reason of a problem.
    private func story(_ events: [StoredEvent]) -> String {
        var lines = diary.all
        for stored in events {
            let text = "#\(stored.sequence) \(stored.event.type) of \(stored.event.node) \(stored.event.data.json)"
            lines.append((stored.storedAt, text))
        }
        for told in recorder.told {
            let reports = told.reports.map { "\($0.isFiring ? "firing" : "resolved") \($0.id)" }
            let answer = told.isAnswered ? "answered" : "not answered"
            lines.append((told.at, "\(told.target) was told \(told.id), \(answer): \(reports.joined(separator: ", "))"))
        }
        lines.sort { $0.at < $1.at }
        func time(_ time: Timestamp) -> String {
            "\(Double(Int(time.duration(since: begun) / .milliseconds(1))) / 1_000)"
        }
        let said = watchers.map { "\($0.name) said:\n\($0.said)" }.joined(separator: "\n")
        return lines.map { "    \(time($0.at)) \($0.text)" }.joined(separator: "\n") + "\n" + said
    }
}
