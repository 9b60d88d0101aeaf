import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events node maintenance`.
struct NodeMaintenanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maintenance",
        abstract: "Announce that a node is in maintenance, or no longer.",
        usage: """
            mesh-events node maintenance NAME [--for DURATION] [--reason TEXT] [--node NAME] [--sign-key FILE] [--json]
            mesh-events node maintenance NAME --end [--node NAME] [--sign-key FILE] [--json]
            """,
        discussion: """
            Emits node.maintenance: for that time the node is not announced as unreachable. Another announcement \
            replaces the present one; --end ends it at once.

            EXAMPLES
              mesh-events node maintenance pi --for 2h --reason 'new disk'
              mesh-events node maintenance pi --end
            """
    )

    /// The longest maintenance: a node that is away for longer is forgotten instead.
    private static let longest: Duration = .seconds(90 * 86_400)

    @Argument(help: ArgumentHelp("The name of the node.", valueName: "name"))
    var name: String

    @Option(name: .customLong("for"), help: ArgumentHelp("How long it lasts. Default: 1h.", valueName: "duration"))
    var duration: String?

    @Option(help: ArgumentHelp("Why, for those who read it.", valueName: "text"))
    var reason: String?

    @Flag(help: "End the maintenance now.")
    var end = false

    @OptionGroup var report: NodeReportOptions

    func run() async throws {
        let length = try length()
        try await report.emit("mesh-events node maintenance", about: name) { mesh in
            guard mesh.node(name) != nil else { throw CommandFailure.unknownNode(name, in: mesh) }
            let seconds = length / .seconds(1)
            return NodeReport(
                payload: NodeMaintenance(node: name, forSeconds: seconds, reason: reason),
                text: Self.text(SafeText.name(name), length, now: .now)
            )
        }
    }

    /// How long it lasts; zero to end it.
    private func length() throws -> Duration {
        guard !end else {
            guard duration == nil, reason == nil else {
                throw CommandFailure(.usage, "--end ends the maintenance; leave out --for and --reason")
            }
            return .zero
        }
        let length = try DurationArgument.option("--for", duration ?? "1h")
        guard length <= Self.longest else {
            throw CommandFailure(
                .usage,
                "--for is at most 90d; `mesh-events node forget` is for a node that does not come back"
            )
        }
        return length
    }

    /// What happened, in a sentence.
    static func text(_ name: String, _ length: Duration, now: Timestamp, time: LocalTime = LocalTime()) -> String {
        guard length > .zero else {
            return "\(name) is no longer in maintenance; it is announced when it becomes unreachable"
        }
        let until = time.short(now.adding(length), now: now)
        return "\(name) is in maintenance until \(until); it is not announced as unreachable meanwhile"
    }
}
