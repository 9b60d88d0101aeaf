import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import Synchronization
import TestSupport
import Testing

/// Links of kilobytes a second, as from a small machine behind a VPN: every command moves at the link's rate, sends and
/// fetches what there is once, and says what is so.
@Suite("Slow links", .serialized, .timeLimit(.minutes(5)))
struct SlowLinkTests {
    /// One command over one link.
    private struct Trial: Sendable {
        let rate: Int
        let command: String
        let arguments: [String]
        let isUp: Bool
        /// The bytes that have to travel.
        let payload: Int
        /// How many lines it prints that begin with a brace; `nil` where that says nothing.
        var lines: Int?
        /// What it says at the end.
        var report: String?
        /// What it says when it is ready, and what happens then.
        var ready: (text: String, event: @Sendable () async throws -> Void)?
        /// Runs until it is told to end, when it has printed this so often.
        var stopsAfter: (text: String, count: Int)?
    }

    private struct Load {
        let rate: Int
        let count: Int
        let size: Int

        var type: String { "user.link\(rate)" }
        func event(_ index: Int) -> String {
            let text = String(repeating: "x", count: size)
            let time = "2026-11-28T09:00:00Z"
            return #"{"type":"\#(type)","node":"n","timestamp":"\#(time)","data":{"i":\#(index),"p":"\#(text)"}}"#
        }
    }

    /// What a busy machine may take to make and read lines beside the link's time, in seconds.
    private static let processing = 1.0

    /// A message takes longer than any silence that is borne with.
    private static let loads = [
        Load(rate: 20_000, count: 2, size: 80_000), Load(rate: 150_000, count: 2, size: 600_000),
        Load(rate: 1_000_000, count: 8, size: 900_000),
    ]

    @Test("20 KB/s, 150 KB/s and 1 MB/s, either way: at least 80 % of the rate, nothing twice, true reports")
    func everyCommand() async throws {
        let server = NATSServers.current
        try await withServer(server, .init(syncsEachWrite: false)) { server in
            let directory = try TemporaryDirectory()
            let bus = try await openBus(at: server.url)
            for load in Self.loads {
                let data: EventData = ["p": .init(String(repeating: "x", count: load.size))]
                for _ in 0..<load.count { try await bus.emit(Event(try EventType(load.type), data: data)) }
            }
            let store = JetStreamStore(try await connect(server))
            let notes = Mutex<[String]>([])
            func run(_ trials: [Trial]) async throws {
                try await withThrowingTaskGroup(of: String.self) { group in
                    for trial in trials { group.addTask { try await self.run(trial, server) } }
                    for try await note in group { notes.withLock { $0.append(note) } }
                }
            }
            try await run(
                Self.loads.flatMap { load in
                    let payload = load.count * load.size
                    return [
                        Trial(
                            rate: load.rate,
                            command: "replay",
                            arguments: [load.type, "--json"],
                            isUp: false,
                            payload: payload,
                            lines: load.count
                        ),
                        Trial(
                            rate: load.rate,
                            command: "export",
                            arguments: [load.type],
                            isUp: false,
                            payload: payload,
                            lines: load.count
                        ),
                        Trial(
                            rate: load.rate,
                            command: "list",
                            arguments: [load.type, "--json"],
                            isUp: false,
                            payload: payload,
                            lines: load.count
                        ),
                    ]
                }
            )
            try await run(Self.loads.flatMap { live($0, bus) })
            try await run(Self.loads.flatMap(handled))
            let before = try await store.state().messages
            try await run(
                try Self.loads.flatMap { load in
                    let payload = load.count * load.size
                    let text = (0..<load.count).map { load.event($0) + "\n" }.joined()
                    let lines = try directory.file("lines-\(load.rate)", text)
                    let imported = try directory.file("import-\(load.rate)", text)
                    let one = try directory.file("one-\(load.rate)", load.event(0) + "\n")
                    return [
                        Trial(
                            rate: load.rate,
                            command: "emit",
                            arguments: ["--from", lines],
                            isUp: true,
                            payload: payload
                        ),
                        Trial(
                            rate: load.rate,
                            command: "emit",
                            arguments: ["--from", one],
                            isUp: true,
                            payload: load.size
                        ),
                        Trial(
                            rate: load.rate,
                            command: "import",
                            arguments: [imported],
                            isUp: true,
                            payload: payload,
                            report: "\(load.count) events stored"
                        ),
                    ]
                }
            )
            try await run(Self.loads.flatMap(single))
            let sent = Self.loads.reduce(0) { $0 + 3 * $1.count + 3 }
            let stored = try await store.state().messages - before
            #expect(stored == UInt64(sent))
            var row = ChaosRow("links of 20 KB/s, 150 KB/s and 1 MB/s")
            (row.sent, row.acknowledged, row.stored) = (sent, sent, Int(stored))
            row.received = Self.loads.reduce(0) { $0 + 6 * $1.count + 1 }
            row.note = notes.withLock { $0.sorted().joined(separator: "; ") }
            row.report()
        }
    }

    /// Commands that wait for what is to come.
    private func live(_ load: Load, _ bus: PersistentEventBus) -> [Trial] {
        let data: EventData = ["p": .init(String(repeating: "x", count: load.size))]
        @Sendable func emit(_ type: String, _ count: Int) -> @Sendable () async throws -> Void {
            { for _ in 0..<count { try await bus.emit(Event(try EventType(type), data: data)) } }
        }
        let (watched, awaited) = ("user.watched\(load.rate)", "user.awaited\(load.rate)")
        return [
            Trial(
                rate: load.rate,
                command: "watch",
                arguments: [watched, "--json", "--limit", "\(load.count)"],
                isUp: false,
                payload: load.count * load.size,
                lines: load.count,
                ready: ("watching", emit(watched, load.count))
            ),
            Trial(
                rate: load.rate,
                command: "wait-for",
                arguments: [awaited, "--json", "--timeout", "2m"],
                isUp: false,
                payload: load.size,
                lines: 1,
                ready: ("waiting up to", emit(awaited, 1))
            ),
        ]
    }

    /// Commands that the stream remembers how far they are.
    private func handled(_ load: Load) -> [Trial] {
        [1, 8].map { parallel in
            Trial(
                rate: load.rate,
                command: "on",
                arguments: [
                    load.type, "--durable", "slow\(load.rate)-\(parallel)", "--parallel", "\(parallel)", "--", "sh",
                    "-c",
                    #"cat >/dev/null; echo "{delivery $MESH_EVENT_DELIVERIES}""#,
                ],
                isUp: false,
                payload: load.count * load.size,
                lines: load.count,
                stopsAfter: ("{delivery 1}", load.count)
            )
        }
    }

    /// One event, and those that a handler gives up.
    private func single(_ load: Load) -> [Trial] {
        // No argument is longer than 128 KiB.
        let part = 80_000
        let fields = (0..<load.size / part).map { "p\($0)=\(String(repeating: "x", count: part))" }
        return [
            Trial(
                rate: load.rate,
                command: "emit",
                arguments: ["user.single", "--ack"] + fields,
                isUp: true,
                payload: fields.count * part,
                report: "stored in MESH_EVENTS at sequence"
            ),
            Trial(
                rate: load.rate,
                command: "emit",
                arguments: ["user.single"] + fields,
                isUp: true,
                payload: fields.count * part
            ),
            Trial(
                rate: load.rate,
                command: "on",
                arguments: [
                    load.type, "--durable", "failing\(load.rate)", "--max-deliveries", "1", "--grace", "60s", "--",
                    "false",
                ],
                isUp: true,
                payload: load.count * load.size,
                stopsAfter: ("for the last time", load.count)
            ),
        ]
    }

    private func run(_ trial: Trial, _ server: LocalNATSServer) async throws -> String {
        let proxy = try await TCPProxy.start(before: server.port, pieces: max(trial.rate / 100, 200))
        proxy.treat { conduct in
            if trial.isUp { conduct.bytesPerSecondUp = trial.rate } else { conduct.bytesPerSecondDown = trial.rate }
        }
        let process = try FixtureProcess(
            "mesh-events",
            [trial.command, "--nats", proxy.url] + trial.arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TZ": "UTC"]
        )
        var passage: TCPProxy.Passage { trial.isUp ? proxy.up : proxy.down }
        // What comes before is the login and small answers.
        let begun = 5_000
        let what = "\(trial.command) \(trial.isUp ? "up" : "down") at \(trial.rate / 1_000) KB/s"
        if let (text, event) = trial.ready {
            try await eventually("\(what) to be ready") { process.output.contains(text) }
            try await event()
        }
        try await eventually("\(what) to begin") { passage.bytes > begun }
        let (start, first) = (ContinuousClock.now, passage.bytes)
        if let (text, count) = trial.stopsAfter {
            try await eventually(within: .seconds(120), "\(what) to handle all: \(process.output.suffix(500))") {
                process.output.split(separator: text, omittingEmptySubsequences: false).count > count
            }
            process.signal(SIGTERM)
        }
        let code = try await process.wait(within: .seconds(120))
        let (seconds, attoseconds) = (passage.last - start).components
        let took = Double(seconds) + Double(attoseconds) / 1e18
        let share = Double(passage.bytes - first) / took / Double(trial.rate)
        let factor = Double(passage.bytes) / Double(trial.payload)
        #expect(code == 0, "\(what): \(process.output.suffix(500))")
        let ideal = Double(passage.bytes - first) / Double(trial.rate)
        #expect(took <= ideal / 0.8 + Self.processing, "\(what) at \(share) of the rate")
        #expect(factor <= 1.1, "\(what) moved \(factor) times what there is")
        let printed = process.lines.count { $0.hasPrefix("{") }
        if let lines = trial.lines { #expect(printed == lines, "\(what)") }
        let end = process.output.suffix(500)
        let hasReported = trial.report.map { end.contains($0) } ?? true
        #expect(hasReported, "\(what): \(end)")
        await proxy.stop()
        return "\(what): \(Int(share * 100)) %, \((factor * 100).rounded() / 100) times"
    }
}
