import Foundation
import LocalNATSServer
import Logging
import MeshEvents
import NATSClient
import Synchronization
import TestSupport

@testable import MeshSupervision

/// A node that gives its logs on a real server, and a reader elsewhere in the mesh.
final class LogBench: Sendable {
    static let node = "my node.1"
    static let small = ToolLogSettings(files: 2, fileSize: 64 << 10)

    let home: TemporaryDirectory
    let logs: ToolLogs
    let supervisor: ToolSupervisor
    let server: LogServer
    /// The node's connection, and the reader's.
    let (nodeConnection, connection): (NATSConnection, NATSConnection)

    init(_ nats: LocalNATSServer, in home: TemporaryDirectory? = nil, timing: LogServer.Timing? = nil) async throws {
        let home = try home ?? TemporaryDirectory()
        self.home = home
        logs = ToolLogs(directory: home.path + "/logs", node: Self.node, logger: quiet)
        supervisor = ToolSupervisor(
            environment: ToolEnvironment(
                url: nats.url,
                node: Self.node,
                available: ["NODE_SECRET": "the-nodes-own-secret"]
            ),
            logger: quiet,
            logs: logs
        ) { _ in }
        nodeConnection = try await connect(nats)
        connection = try await connect(nats)
        var standard = LogServer.Timing()
        standard.heartbeat = .milliseconds(200)
        standard.gathering = .milliseconds(5)
        server = LogServer(logs, supervisor, Self.node, nodeConnection, quiet, timing ?? standard)
        var tool = ToolSpecification(name: "whisper", version: "1", command: ["true"])
        tool.environment = ["API_TOKEN": "the words of the tool"]
        try await supervisor.install(tool)
        tool.name = "silent"
        tool.logs = .off
        try await supervisor.install(tool)
    }

    /// The log of the tool.
    var ring: LogRing { logs.ring(ofTool: "whisper") }

    /// Writes lines of the tool.
    func write(_ lines: some Sequence<String>, _ stream: LogRecord.Stream = .stdout) {
        ring.append(lines.map { LogEntry(stream: stream, line: $0) })
    }

    /// A reader that soon asks again.
    func reader(
        _ query: LogQuery = LogQuery(),
        tool: String? = "whisper",
        follows: Bool = false,
        node: String = LogBench.node
    ) -> RemoteLogs {
        var timing = RemoteLogTiming()
        timing.silence = .seconds(2)
        timing.pause = .milliseconds(100)
        return RemoteLogs(node, tool, connection, query, follows, timing)
    }

    /// Runs `body` while the node answers.
    func serving<Output: Sendable>(_ body: @escaping @Sendable () async throws -> Output) async throws -> Output {
        let server = server
        let running = Task { try await server.run() }
        do {
            let output = try await body()
            running.cancel()
            try? await running.value
            return output
        } catch {
            running.cancel()
            try? await running.value
            throw error
        }
    }

    /// All pieces up to the end, as soon as the node answers.
    func read(_ query: LogQuery = LogQuery(), tool: String? = "whisper") async throws -> [RemoteLogs.Element] {
        while true {
            do throws(MeshEventsError) {
                var pieces: [RemoteLogs.Element] = []
                for try await piece in reader(query, tool: tool) { pieces.append(piece) }
                return pieces
            } catch {
                guard error.code == .noResponders else { throw error }
                // It has not begun yet.
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    func lines(_ query: LogQuery = LogQuery(), tool: String? = "whisper") async throws -> [String] {
        try await read(query, tool: tool).lines
    }

    func close() async {
        await supervisor.shutdown()
        logs.close()
        await nodeConnection.close()
        await connection.close()
    }
}

extension [RemoteLogs.Element] {
    var records: [LogRecord] {
        compactMap { piece in
            if case .record(let record) = piece { record } else { nil }
        }
    }

    var lines: [String] { records.map(\.line) }

    var missed: UInt64 {
        reduce(0) { sum, piece in
            if case .missed(let count) = piece { sum + count } else { sum }
        }
    }
}

/// What a reader has got so far.
final class CollectedLog: Sendable {
    private let pieces = Mutex<[RemoteLogs.Element]>([])

    var all: [RemoteLogs.Element] { pieces.withLock { $0 } }
    var lines: [String] { all.lines }

    /// Reads until the task is cancelled.
    func follow(_ logs: RemoteLogs) async throws {
        for try await piece in logs { pieces.withLock { $0.append(piece) } }
    }
}
