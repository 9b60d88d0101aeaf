import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// Seeded schedules of what may happen to three keepers, their servers and the nodes of a mesh.
///
/// `MESH_EVENTS_KEEPER_SCHEDULES` says how many, `MESH_EVENTS_KEEPER_SEED` with which seed they begin, and
/// `MESH_EVENTS_KEEPER_AT_ONCE` how many run at a time.
@Suite("Keepers of the state of the mesh", .serialized, .timeLimit(.minutes(60)))
struct KeeperScheduleTests {
    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment["MESH_EVENTS_KEEPER_\(name)"].flatMap { Int($0) }
    }

    @Test("killed, stopped, cut off, with servers killed: each death and return is announced once, no false alarm")
    func oneServer() async throws {
        let count = Self.number("SCHEDULES") ?? ChaosScale.number(3, full: 160)
        try await run(count, "keepers killed, stopped, cut off") { seed, binary in
            let schedule = KeeperSchedule(seed: seed, isCluster: false)
            return try await withServer(binary, .init(syncsEachWrite: false)) { server in
                let run = try await ScheduleRun(
                    schedule,
                    try await connect(server),
                    url: server.url,
                    ports: [server.port],
                    replicas: 1
                ) { step in
                    try await Self.harm(server, step)
                }
                return await run.run()
            }
        }
    }

    @Test("a cluster whose leaders are killed and suspended: the same")
    func cluster() async throws {
        let count = Self.number("CLUSTERS") ?? ChaosScale.number(1, full: 40)
        try await run(count, "keepers of a cluster, its leaders killed and suspended") { seed, binary in
            let schedule = KeeperSchedule(seed: seed, isCluster: true)
            return try await withCluster(binary, advertises: false) { cluster in
                try await cluster.waitUntilReady()
                let connection = try await cluster.connect()
                let jetStream = JetStream(connection: try await cluster.connect())
                let run = try await ScheduleRun(
                    schedule,
                    connection,
                    url: cluster.urls.joined(separator: ","),
                    ports: cluster.servers.values.map(\.port),
                    replicas: 3
                ) { step in
                    // The leader of the events and that of the state are two in most cases.
                    let stream = seed.isMultiple(of: 2) ? "MESH_EVENTS" : "KV_MESH_STATE"
                    let leader = try? await jetStream.streamInfo(stream).cluster?.leader
                    guard let server = leader.flatMap({ cluster.servers[$0] }) else { return }
                    try await Self.harm(server, step)
                    // Until a stream has a leader again, which takes up to ten seconds, no keeper can work.
                    for stream in ["MESH_EVENTS", "KV_MESH_STATE"] {
                        _ = try await cluster.wholeStream(jetStream, stream)
                    }
                }
                return await run.run()
            }
        }
    }

    private static func harm(
        _ server: LocalNATSServer,
        _ step: KeeperSchedule.Step<KeeperSchedule.ServerFault>
    ) async throws {
        switch step.fault {
        case .killed:
            await server.kill()
            try await Task.sleep(for: step.duration)
            try await server.restart()
        case .suspended:
            server.suspend()
            try await Task.sleep(for: step.duration)
            server.resume()
        }
    }

    /// Runs schedules, some at a time, on the old and the current server in turn, and reports what came of them.
    private func run(
        _ count: Int,
        _ fault: String,
        _ body: @escaping @Sendable (UInt64, NATSServers.Binary) async throws -> ScheduleRun.Outcome
    ) async throws {
        let first = UInt64(Self.number("SEED") ?? 1)
        let outcomes = try await withThrowingTaskGroup(of: ScheduleRun.Outcome.self) { group in
            var (outcomes, begun) = ([ScheduleRun.Outcome](), 0)
            func begin() {
                guard begun < count else { return }
                let seed = first + UInt64(begun)
                begun += 1
                group.addTask { try await body(seed, NATSServers.all[Int(seed) % NATSServers.all.count]) }
            }
            for _ in 0..<(Self.number("AT_ONCE") ?? 3) { begin() }
            while let outcome = try await group.next() {
                outcomes.append(outcome)
                Self.tell(outcome)
                begin()
            }
            return outcomes
        }
        var row = ChaosRow(fault)
        row.sent = outcomes.reduce(0) { $0 + $1.emitted }
        row.stored = outcomes.reduce(0) { $0 + $1.stored }
        row.received = row.stored ?? 0
        let verdicts = outcomes.compactMap(\.verdict)
        let unreachable = verdicts.reduce(0) { $0 + $1.unreachable }
        let recovered = verdicts.reduce(0) { $0 + $1.recovered }
        let delays = verdicts.flatMap(\.delays)
        row.note =
            "\(count) schedules from seed \(first); \(outcomes.reduce(0) { $0 + $1.deaths }) deaths, "
            + "\(unreachable) announced, \(recovered) recovered, \(verdicts.reduce(0) { $0 + $1.overtaken }) overtaken; "
            + "a keeper was there: \(Self.figures(delays.filter(\.isBound))); in all: \(Self.figures(delays))"
        row.report()
        for outcome in outcomes { #expect(outcome.problems.isEmpty, "seed \(outcome.seed)") }
    }

    private static func tell(_ outcome: ScheduleRun.Outcome) {
        var text = "schedule| seed \(outcome.seed): \(outcome.deaths) deaths, \(outcome.problems.count) problems"
        if let verdict = outcome.verdict { text += ", \(Self.figures(verdict.delays.filter(\.isBound)))" }
        if outcome.lateNodes > 0 { text += ", \(outcome.lateNodes) nodes late" }
        for line in outcome.problems + outcome.ends { text += "\n  \(line)" }
        if !outcome.story.isEmpty { text += "\n\(outcome.story)" }
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// The median and the worst of delays, in seconds.
    private static func figures(_ delays: [ScheduleVerdict.Delay]) -> String {
        let sorted = delays.map(\.seconds).sorted()
        guard let worst = sorted.last else { return "none" }
        func figure(_ seconds: Double) -> String { "\(Double(Int(seconds * 1_000)) / 1_000)" }
        let late = delays.filter { $0.seconds > ScheduleVerdict.promised }
        let excused = late.map { "\(figure($0.seconds)) with \(figure($0.stalled)) stalled" }.joined(separator: ", ")
        return "\(sorted.count) after \(figure(sorted[sorted.count / 2])) s in the median, \(figure(worst)) s at most"
            + (late.isEmpty ? "" : ", \(late.count) later than promised" + (late.count < 6 ? " (\(excused))" : ""))
    }
}
