import Foundation
import Logging
import MeshEvents
import MeshEventsTesting
import MeshSupervision
import Synchronization
import TestSupport

/// A supervisor under test, with all that it emits and logs.
final class ToolBench: Sendable {
    let supervisor: ToolSupervisor
    let clock: ManualClock
    let directory: TemporaryDirectory
    private let emitted: EmittedEvents
    let logged = LoggedLines()

    /// - Parameters:
    ///   - clock: The supervisor's; `nil` for ``clock``.
    ///   - start: What the clock shows at first.
    init(
        environment: [String: String] = [:],
        url: String = "nats://127.0.0.1:4222",
        logs: ToolLogs? = nil,
        clock supervisors: (any Clock<Duration>)? = nil,
        start: String = "2026-11-30T15:00:00Z",
        schedules: ToolScheduleRecord = ToolScheduleRecord()
    ) throws {
        directory = try TemporaryDirectory()
        clock = ManualClock(start: try Timestamp(rfc3339: start))
        let (clock, emitted, logged) = (self.clock, EmittedEvents(), logged)
        self.emitted = emitted
        supervisor = ToolSupervisor(
            environment: ToolEnvironment(url: url, node: "bench", extra: environment),
            logger: Logger(label: "bench") { _ in logged },
            logs: logs,
            clock: supervisors ?? clock,
            schedules: schedules,
            now: { clock.timestamp }
        ) { emitted.append($0) }
    }

    /// The events so far, as `started`, `stopped reason`, `crashed error count` …, in order.
    var events: [String] { emitted.all }

    /// The crashes so far.
    var crashes: [ToolCrashed] { emitted.crashes }

    /// The output of each crash so far.
    var crashOutputs: [[String]] { emitted.crashes.map(\.output) }

    /// The times at which tools were due and not started, so far.
    var skips: [ToolSkipped] { emitted.skips }

    /// The runs of schedules that have ended so far.
    var runs: [ToolFinished] { emitted.finished }

    /// Installs a tool and starts it.
    func run(_ tool: ToolSpecification) async throws {
        try await supervisor.install(tool)
        try await supervisor.start(tool.name)
    }

    /// A tool that runs a line of shell.
    func tool(
        _ script: String,
        name: String = "tool",
        restart: RestartPolicy.Mode = .onFailure,
        grace: Duration = .seconds(20)
    ) -> ToolSpecification {
        ToolSpecification(
            name: name,
            version: "1.0.0",
            command: ["sh", "-c", script],
            directory: directory.path,
            restart: RestartPolicy(mode: restart),
            gracePeriod: grace
        )
    }

    /// Waits until so many events have come.
    func events(_ count: Int, within limit: Duration = .seconds(30)) async throws -> [String] {
        try await eventually(within: limit, "\(count) events; there are \(events)") { events.count >= count }
        return events
    }

    /// Moves the clock when the supervisor waits on it.
    func pass(_ duration: Duration) async throws {
        try await eventually("a delayed restart") { clock.sleepers > 0 }
        clock.advance(by: duration)
    }

    func pid(_ name: String = "tool") throws -> Int32 {
        guard let pid = supervisor.tool(named: name)?.pid else { throw TestSupportError("\(name) does not run") }
        return pid
    }

    /// A process id that a tool wrote into a file of the directory.
    func pid(inFile file: String) async throws -> Int32 {
        try await eventually("a process id in \(file)") {
            (try? directory.text(of: file))?.hasSuffix("\n") == true
        }
        let text = try directory.text(of: file).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let pid = Int32(text) else { throw TestSupportError("\(text) is no process id") }
        return pid
    }
}

/// What was emitted, in words.
final class EmittedEvents: Sendable {
    private let events = Mutex<[String]>([])
    private let crashed = Mutex<[ToolCrashed]>([])
    private let runs = Mutex<[ToolFinished]>([])
    private let skipped = Mutex<[ToolSkipped]>([])

    var all: [String] { events.withLock { $0 } }
    var crashes: [ToolCrashed] { crashed.withLock { $0 } }
    var finished: [ToolFinished] { runs.withLock { $0 } }
    var skips: [ToolSkipped] { skipped.withLock { $0 } }

    func append(_ payload: any EventPayload) {
        if let crash = payload as? ToolCrashed { crashed.withLock { $0.append(crash) } }
        if let skip = payload as? ToolSkipped { skipped.withLock { $0.append(skip) } }
        if let run = payload as? ToolFinished { runs.withLock { $0.append(run) } }
        let text =
            switch payload {
            case let event as ToolInstalled: "installed \(event.version)"
            case let event as ToolConfigured: "configured \(event.config.json)"
            case let event as ToolStarted: event.isReady == false ? "started, not ready" : "started"
            case is ToolReady: "ready"
            case let event as ToolUnhealthy:
                "unhealthy \(event.reason) \(event.failures)" + (event.isRestarting ? ", restarting" : "")
            case is ToolHealthy: "healthy"
            case let event as ToolStopped:
                "stopped \(event.reason)" + (event.failed ? " (failed: \(event.error ?? ""))" : "")
            case let event as ToolCrashed: "crashed \(event.error) \(event.restartCount)"
            case is ToolRemoved: "removed"
            case let event as ToolFinished:
                "finished \(event.code.map { "\($0)" } ?? "-")"
                    + (event.failed ? " (failed: \(event.error ?? ""))" : "")
                    + (event.next.map { " next \($0)" } ?? "")
            case let event as ToolSkipped:
                "skipped \(event.reason) \(event.due)" + (event.count > 1 ? " ×\(event.count)" : "")
                    + (event.next.map { " next \($0)" } ?? "")
            default: "\(payload)"
            }
        events.withLock { $0.append(text) }
    }
}

/// A log in memory.
struct LoggedLines: LogHandler {
    private final class Store: Sendable {
        let lines = Mutex<[String]>([])
    }

    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    private let store = Store()

    /// `level tool stream: message`.
    var lines: [String] { store.lines.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let stream = all["output"].map { " \($0)" } ?? ""
        store.lines.withLock { $0.append("\(event.level) \(all["tool"] ?? "")\(stream): \(event.message)") }
    }
}

/// What the system knows of this process and of those that it starts.
enum ToolProcesses {
    static func end(of pid: Int32, within limit: Duration = .seconds(30)) async throws {
        try await eventually(within: limit, "the end of process \(pid)") { !TestProcess.exists(pid) }
    }

    #if os(Linux)
        /// This process's children, zombies included.
        static var children: [Int32] {
            ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }.filter {
                guard let stat = FileManager.default.contents(atPath: "/proc/\($0)/stat") else { return false }
                let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ")
                return fields?.dropFirst().first.flatMap { Int32($0) } == getpid()
            }
        }

        static var descriptors: Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        }

        /// Resident memory in bytes.
        static var memory: Int {
            let text = FileManager.default.contents(atPath: "/proc/self/statm").map {
                String(decoding: $0, as: UTF8.self)
            }
            return (text?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
        }
    #endif
}
