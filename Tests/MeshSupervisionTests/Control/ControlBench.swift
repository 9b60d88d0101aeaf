import Foundation
import LocalNATSServer
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import NIOCore
import Synchronization
import TestSupport

/// A node whose tools are controlled over a real server: a supervisor of real processes, and what it emits.
final class ControlNode: Sendable {
    let name: String
    let supervisor: ToolSupervisor
    let directory: TemporaryDirectory
    let connection: NATSConnection
    private let emitted = Mutex<[any EventPayload]>([])
    private let running: Mutex<Task<Void, Never>?> = Mutex(nil)

    init(_ name: String, _ server: LocalNATSServer, installs: Bool = true, variables: [String: String] = [:])
        async throws
    {
        self.name = name
        directory = try TemporaryDirectory()
        connection = try await connect(server)
        let box = SinkBox()
        supervisor = ToolSupervisor(environment: ToolEnvironment(url: server.url, node: name), logger: quiet) {
            box.send($0)
        }
        let control = ToolControl(
            supervisor: supervisor,
            node: name,
            connection: connection,
            installation: installs ? ToolInstallation(directory: directory.path, variables: variables) : nil,
            logger: quiet
        )
        box.open { [weak self] event in self?.emitted.withLock { $0.append(event) } }
        let task = Task { _ = try? await control.run() }
        running.withLock { $0 = task }
        let tools = RemoteTools(node: name, connection: connection)
        try await eventually("node \(name) to take requests") {
            do throws(MeshEventsError) {
                _ = try await tools.status(of: "none")
            } catch {
                return error.code != .noResponders
            }
            return true
        }
    }

    /// The events `tool.controlled`.
    var controlled: [ToolControlled] { emitted.withLock { $0.compactMap { $0 as? ToolControlled } } }

    /// How often an event of a type was emitted.
    func count<Payload: EventPayload>(_ type: Payload.Type) -> Int { emitted.withLock { $0.count { $0 is Payload } } }

    /// A tool that writes what it gets: its process id at its start, and the signals.
    func recorder(_ name: String = "tool", version: String = "1", more: [String: JSONValue] = [:]) throws -> EventData {
        let script =
            "trap 'echo hup >> \(name).got' HUP; trap 'echo usr1 >> \(name).got' USR1; "
            + "echo $$ > \(name).new; mv \(name).new \(name).pid; while :; do sleep 0.05; done"
        return try EventData(
            ["name": .string(name), "version": .string(version), "command": ["sh", "-c", .string(script)]]
                .merging(more) { $1 }
        )
    }

    /// The process id that a recorder wrote.
    func pid(_ name: String = "tool") async throws -> Int32 {
        var pid: Int32?
        try await eventually("the process id of \(name)") {
            pid = (try? directory.text(of: "\(name).pid")).flatMap { Int32($0.dropLast()) }
            return pid != nil
        }
        return pid ?? 0
    }

    /// The signals that a recorder got.
    func got(_ name: String = "tool") -> [String] {
        ((try? directory.text(of: "\(name).got")) ?? "").split(separator: "\n").map(String.init)
    }

    /// Sends a request as text, as any client may, and waits for the answer.
    func ask(_ text: String, from client: NATSConnection) async throws -> EventData {
        let inbox = "mesh.control.answer.\(UUID().uuidString)"
        let answers = try await client.subscribe(to: inbox)
        defer { answers.cancel() }
        try client.publish(ByteBuffer(string: text), to: "mesh.control.tool.\(name)", replyTo: inbox)
        return try await withDeadline(.seconds(30), "an answer") {
            for try await answer in answers { return try EventData(json: answer.payload.readableBytesView) }
            throw TestSupportError("The connection ended.")
        }
    }

    func close() async {
        running.withLock { $0 }?.cancel()
        await supervisor.shutdown()
        await connection.close()
    }
}

/// What a supervisor emits before there is a node.
private final class SinkBox: Sendable {
    private let sink = Mutex<(@Sendable (any EventPayload) -> Void)?>(nil)

    func open(_ body: @escaping @Sendable (any EventPayload) -> Void) { sink.withLock { $0 = body } }

    func send(_ event: any EventPayload) { sink.withLock { $0 }?(event) }
}

/// Runs `body` with nodes on a server of their own, and a client.
func withControl(
    _ binary: NATSServers.Binary = NATSServers.first,
    nodes: [String] = ["bench"],
    installs: Bool = true,
    variables: [String: String] = [:],
    _ body: ([ControlNode], NATSConnection) async throws -> Void
) async throws {
    try await withServer(binary) { server in
        let client = try await connect(server)
        var all: [ControlNode] = []
        do {
            for name in nodes {
                all.append(try await ControlNode(name, server, installs: installs, variables: variables))
            }
            try await body(all, client)
        } catch {
            for node in all { await node.close() }
            throw error
        }
        for node in all { await node.close() }
        await client.close()
    }
}
