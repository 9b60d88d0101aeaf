import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events node forget`.
struct NodeForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Say that a node does not belong to the mesh any more.",
        usage: "mesh-events node forget NAME [--force] [--node NAME] [--sign-key FILE] [--json]",
        discussion: """
            Emits node.forgotten, so that the node is no longer listed and no longer counts as unreachable. Its events \
            stay in the stream. When it emits an event again, it is known again.

            A node that is online is not forgotten without --force: it would come back with its next health event.
            """
    )

    @Argument(help: ArgumentHelp("The name of the node to forget.", valueName: "name"))
    var name: String

    @Flag(help: "Emit the event although the node is online, or nothing is known of it.")
    var force = false

    @OptionGroup var report: NodeReportOptions

    func run() async throws {
        try await report.emit("mesh-events node forget", about: name) { mesh in
            if !force { try Self.check(name, in: mesh) }
            let status = mesh.node(name)?.status
            let isPresent = status == .online || status == .degraded
            let shown = SafeText.name(name)
            return NodeReport(
                payload: NodeForgotten(node: name),
                text: isPresent
                    ? "\(shown) is forgotten, but it is \(status?.rawValue ?? ""): its next health event brings it back"
                    : "\(shown) is forgotten; it is known again when it emits an event"
            )
        }
    }

    /// Refuses a node that is present.
    ///
    /// - Throws: `CommandFailure`, usage; unavailable when nothing is known of the node.
    static func check(_ name: String, in mesh: MeshState) throws(CommandFailure) {
        guard let node = mesh.node(name) else { throw CommandFailure.unknownNode(name, in: mesh) }
        guard node.status == .online || node.status == .degraded else { return }
        throw CommandFailure(
            .usage,
            "\(SafeText.name(name)) is \(node.status.rawValue): it would come back with its next health event; stop it "
                + "first, or give --force"
        )
    }
}
