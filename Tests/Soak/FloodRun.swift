import Foundation
import LocalNATSServer
import TestSupport

/// The real program, `serve`, with tools that flood it: lines by the megabyte, bytes that are no text, a line without an
/// end, crashes with much to say, descendants by the hundred; and readers of their logs, one of which is suspended.
struct FloodRun {
    private let seconds: Int
    private let directory: TemporaryDirectory
    private let server: LocalNATSServer
    private let serve: SpawnedProcess
    private let program: String

    private static let tools = ["loud", "binary", "endless", "crashing", "forking"]
    /// A tool's ring of three files of 4 MiB, with room for the one that is begun while the oldest goes.
    private static let maximumLogBytes = tools.count * 4 * (4 << 20)

    private static let manifest = """
        tools:
          - name: loud
            restart: &again {policy: always, delay: 500ms, max_delay: 1s, max: 1000000}
            command:
              - sh
              - -c
              - |
                line='a line of one hundred bytes, which says nothing at all and says it over and over, up to its very end ..'
                while :; do yes "$line" | head -n 10000; sleep 0.1; done
          - name: binary
            restart: *again
            command: [sh, -c, 'while :; do head -c 100000 /dev/urandom; printf "\\033[2J\\033]0;title\\007\\n"; sleep 0.1; done']
          - name: endless
            restart: *again
            command: [sh, -c, 'while :; do head -c 200000 /dev/zero | tr "\\0" x; sleep 0.1; done']
          - name: crashing
            restart: *again
            command: [sh, -c, 'yes "out of memory" | head -c 200000 >&2; exit 3']
          - name: forking
            restart: *again
            command: [sh, -c, 'while :; do (sleep 2 &); echo one more; sleep 0.1; done']
        """

    init(seconds: Int) async throws {
        self.seconds = seconds
        program = try BuildProducts.executable("mesh-events")
        server = try await LocalNATSServer.start(.init(executable: NATSServers.current.path, syncsEachWrite: false))
        directory = try TemporaryDirectory()
        serve = try SpawnedProcess(
            program,
            ["serve", "--node", "flooded", "--nats", server.url, "--log-directory", directory.path + "/logs"]
                + ["--config", try directory.file("mesh.yaml", Self.manifest)]
        )
    }

    /// Runs for the time given; what went wrong.
    func run() async throws -> [String] {
        try await eventually("the tools to be known") { missingTools().isEmpty }
        let read = try directory.file("read", "")
        let reader = try follow("loud", into: FileHandle(forWritingAtPath: read))
        let suspended = try follow("binary", into: nil)
        try await Task.sleep(for: .seconds(5))
        suspended.signal(SIGSTOP)

        say("   time  memory  descriptors  threads  processors  logs")
        var record = UseRecord()
        var problems: [String] = []
        let start = ContinuousClock.now
        let step = Duration.seconds(max(Double(seconds) / 40, 1))
        while ContinuousClock.now - start < .seconds(seconds), serve.isRunning {
            try await Task.sleep(for: step)
            guard let use = try? ProcessUse(of: serve.pid) else { break }
            record.add(use)
            let logs = logBytes()
            if logs > Self.maximumLogBytes { problems.append("the logs take \(logs >> 20) MiB") }
            let elapsed = ContinuousClock.now - start
            say(
                row(
                    [Int(elapsed / .seconds(1)), use.residentBytes >> 20, use.descriptors, use.threads]
                        + [Int(use.processorTime / elapsed * 100), logs >> 20],
                    [7, 8, 13, 9, 12, 6]
                )
            )
            // What a reader has read is not kept: an hour of it would fill the disk.
            if truncate(read) == 0 { problems.append("the reader of a log has read nothing for \(step)") }
        }
        if let code = serve.code { problems.append("serve ended with \(code)") }
        problems += record.growth(allowing: 8 << 20)
        try await checkStatus(&problems)

        suspended.signal(SIGKILL)
        reader.signal(SIGTERM)
        serve.signal(SIGTERM)
        do {
            try await eventually(within: .seconds(60), "serve to stop") { !serve.isRunning }
        } catch {
            problems.append("\(error)")
        }
        await server.stop()
        return problems
    }

    private func follow(_ tool: String, into output: FileHandle?) throws -> SpawnedProcess {
        try SpawnedProcess(program, ["tool", "logs", "flooded/\(tool)", "-f", "--nats", server.url], output: output)
    }

    /// The tools that `status` does not name.
    private func missingTools() -> [String] {
        let status = try? SpawnedProcess.outcome(of: program, ["status", "--json", "--nats", server.url]).text
        return Self.tools.filter { status?.contains(#""\#($0)""#) != true }
    }

    /// The tools still run and crash, and the node still says so.
    private func checkStatus(_ problems: inout [String]) async throws {
        let missing = missingTools()
        if !missing.isEmpty { problems.append("status misses \(missing.joined(separator: ", "))") }
        let crashes = try SpawnedProcess.run(
            program,
            ["list", "tool.crashed", "--json", "--since", "1m", "--limit", "1000", "--nats", server.url]
        )
        let count = crashes.split(separator: "\n").count
        say("flood: \(count) crashes in the last minute")
        if count < min(seconds, 60) / 4 { problems.append("\(count) crashes in the last minute are too few") }
    }

    private func logBytes() -> Int {
        let files = FileManager.default.enumerator(
            at: URL(fileURLWithPath: directory.path + "/logs"),
            includingPropertiesForKeys: [.fileSizeKey]
        )
        var sum = 0
        while let file = files?.nextObject() as? URL {
            sum += (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
        }
        return sum
    }

    /// Empties a file; how many bytes it had.
    private func truncate(_ path: String) -> Int {
        guard let file = FileHandle(forUpdatingAtPath: path) else { return 0 }
        let size = (try? file.seekToEnd()) ?? 0
        try? file.truncate(atOffset: 0)
        return Int(size)
    }
}
