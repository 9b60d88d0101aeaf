import Locking
import MeshEvents
import MeshLifecycle
import NATSClient

/// Runs the tools of a node's manifest, and answers requests about them over the mesh.
final class NodeTools: Sendable {
    let supervisor: ToolSupervisor
    private let manifest: ManifestFile?
    private let control: ToolControl
    private let isApplied = Locked(false)
    private let hangups: AsyncStream<Void>
    private let hangup: AsyncStream<Void>.Continuation

    /// Creates the supervisor; no tool is installed yet.
    ///
    /// - Parameter planned: the number of tools in the manifest. The node publishes it until they are installed.
    init(
        environment: ToolEnvironment,
        manifest: ManifestFile?,
        planned: Int,
        connection: NATSConnection,
        node: MeshNode
    ) {
        self.manifest = manifest
        supervisor = ToolSupervisor(environment: environment, logger: ToolLog.logger) { node.emitter.emit($0) }
        control = ToolControl(supervisor: supervisor, node: node.name, connection: connection, logger: ToolLog.logger)
        (hangups, hangup) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        node.setTools { [weak self] in
            guard let self else { return (0, 0) }
            let tools = supervisor.tools
            return (isApplied.withLock { $0 } ? tools.count : planned, tools.count { $0.state == .running })
        }
    }

    /// Requests that the manifest is read again.
    func reload() { hangup.yield() }

    /// Starts the tools; answers requests, and reads the manifest again on ``reload()``, until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            group.addTask {
                do throws(NATSError) {
                    try await self.control.run()
                } catch {
                    guard error.code != .cancelled, error.code != .closed else { return }
                    Diagnostics.say("`mesh-events tool` cannot reach this node: \(error.message)")
                }
            }
            group.addTask {
                guard let manifest = self.manifest else { return }
                await manifest.apply(to: self.supervisor)
                self.isApplied.withLock { $0 = true }
                for await _ in self.hangups { await manifest.reload(self.supervisor) }
            }
        }
    }

    /// Stops all tools, with the reason `shutdown`.
    func shutdown() async { await supervisor.shutdown() }
}
