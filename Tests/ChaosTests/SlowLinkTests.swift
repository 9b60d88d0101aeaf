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
        /// How many lines it prints; `nil` where that says nothing.
        var lines: Int?
        /// What it says on standard error.
        var report: String?
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
            let before = try await store.state().messages
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
            let sent = Self.loads.reduce(0) { $0 + 2 * $1.count + 1 }
            let stored = try await store.state().messages - before
            #expect(stored == UInt64(sent))
            var row = ChaosRow("links of 20 KB/s, 150 KB/s and 1 MB/s")
            (row.sent, row.acknowledged, row.stored) = (sent, sent, Int(stored))
            row.received = Self.loads.reduce(0) { $0 + 3 * $1.count }
            row.note = notes.withLock { $0.sorted().joined(separator: "; ") }
            row.report()
        }
    }

    private func run(_ trial: Trial, _ server: LocalNATSServer) async throws -> String {
        let proxy = try await TCPProxy.start(before: server.port, pieces: max(trial.rate / 100, 200))
        proxy.treat { conduct in
            if trial.isUp { conduct.bytesPerSecondUp = trial.rate } else { conduct.bytesPerSecondDown = trial.rate }
        }
        let process = try FixtureProcess(
            "mesh-events",
            [trial.command] + trial.arguments + ["--nats", proxy.url],
            environment: ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TZ": "UTC"]
        )
        var passage: TCPProxy.Passage { trial.isUp ? proxy.up : proxy.down }
        // What comes before is the login and small answers.
        let begun = 5_000
        try await eventually(within: .seconds(60), "\(trial) to begin") { passage.bytes > begun }
        let (start, first) = (ContinuousClock.now, passage.bytes)
        let code = try await process.wait(within: .seconds(120))
        let (seconds, attoseconds) = (passage.last - start).components
        let took = Double(seconds) + Double(attoseconds) / 1e18
        let share = Double(passage.bytes - first) / took / Double(trial.rate)
        let factor = Double(passage.bytes) / Double(trial.payload)
        let what = "\(trial.command) \(trial.isUp ? "up" : "down") at \(trial.rate / 1_000) KB/s"
        #expect(code == 0, "\(what): \(process.output.suffix(500))")
        let ideal = Double(passage.bytes - first) / Double(trial.rate)
        #expect(took <= ideal / 0.8 + Self.processing, "\(what) at \(share) of the rate")
        #expect(factor <= 1.1, "\(what) moved \(factor) times what there is")
        let printed = process.lines.count
        if let lines = trial.lines { #expect(printed == lines, "\(what)") }
        let end = process.output.suffix(500)
        let hasReported = trial.report.map { end.contains($0) } ?? true
        #expect(hasReported, "\(what): \(end)")
        await proxy.stop()
        return "\(what): \(Int(share * 100)) %, \((factor * 100).rounded() / 100) times"
    }
}
