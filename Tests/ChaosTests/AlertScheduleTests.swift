import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// Seeded schedules of what may happen to the processes that watch the alerts of a mesh, to their server, and to the webhook
/// that they tell.
///
/// `MESH_EVENTS_ALERT_SCHEDULES` says how many, `MESH_EVENTS_ALERT_SEED` with which seed they begin, and
/// `MESH_EVENTS_ALERT_AT_ONCE` how many run at a time.
@Suite("Alerts", .serialized, .timeLimit(.minutes(60)))
struct AlertScheduleTests {
    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment["MESH_EVENTS_ALERT_\(name)"].flatMap { Int($0) }
    }

    @Test(
        "notifiers killed and stopped, servers killed, a receiver that fails: nothing lost, nothing twice without a fault"
    )
    func schedules() async throws {
        let count = Self.number("SCHEDULES") ?? ChaosScale.number(8, full: 160)
        let first = UInt64(Self.number("SEED") ?? 1)
        let outcomes = try await withThrowingTaskGroup(of: AlertScheduleRun.Outcome.self) { group in
            var (outcomes, begun) = ([AlertScheduleRun.Outcome](), 0)
            func begin() {
                guard begun < count else { return }
                let seed = first + UInt64(begun)
                begun += 1
                group.addTask {
                    let binary = NATSServers.all[Int(seed) % NATSServers.all.count]
                    return try await withServer(binary, .init(syncsEachWrite: false)) { server in
                        try await AlertScheduleRun(AlertSchedule(seed: seed), server).run()
                    }
                }
            }
            for _ in 0..<(Self.number("AT_ONCE") ?? 4) { begin() }
            while let outcome = try await group.next() {
                outcomes.append(outcome)
                Self.tell(outcome)
                begin()
            }
            return outcomes
        }
        func sum(_ figure: (AlertScheduleRun.Outcome) -> Int) -> Int { outcomes.reduce(0) { $0 + figure($1) } }
        var row = ChaosRow("alerts: notifiers, server and receiver fail")
        row.sent = sum(\.emitted)
        row.acknowledged = row.sent
        row.stored = sum(\.stored)
        row.received = row.stored ?? 0
        row.note =
            "\(count) schedules from seed \(first), \(sum(\.faults)) faults; \(sum(\.firings)) firings, "
            + "\(sum(\.told)) reports told, \(sum(\.repeats)) repeats with the same id, \(sum(\.sessions)) sessions"
        row.report()
        for outcome in outcomes { #expect(outcome.problems.isEmpty, "seed \(outcome.seed)") }
    }

    private static func tell(_ outcome: AlertScheduleRun.Outcome) {
        let seconds = Int(outcome.duration / .seconds(1))
        var text =
            "schedule| seed \(outcome.seed): \(outcome.faults) faults, \(outcome.emitted) events, "
            + "\(outcome.firings) firings, \(outcome.told) told, \(outcome.repeats) repeats, "
            + "\(outcome.sessions) sessions, \(outcome.ends.count) ends, \(seconds) s, \(outcome.problems.count) problems"
        for line in outcome.problems { text += "\n  \(line)" }
        if !outcome.problems.isEmpty { for line in outcome.ends { text += "\n  \(line)" } }
        if !outcome.story.isEmpty { text += "\n\(outcome.story)" }
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
