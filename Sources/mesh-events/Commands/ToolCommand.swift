import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events tool`.
struct ToolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tool",
        abstract: "Start, stop and restart tools of a node, and read their logs, from anywhere in the mesh.",
        discussion: """
            The request goes over the mesh to the node that runs the tool (`mesh-events serve --config mesh.yaml`), \
            and the node answers when it is done. Without --node it goes to the only node that has a tool of that \
            name. A stopped tool stays stopped until a user starts it, or the node starts anew.

            EXAMPLES
              mesh-events tool restart whisper
              mesh-events tool stop whisper --node gpu-1
              mesh-events tool logs whisper -f

            EXIT CODES: as for all commands; 69 when there is no such node or tool, or the node refuses.
            """,
        subcommands: [ToolStartCommand.self, ToolStopCommand.self, ToolRestartCommand.self, ToolLogsCommand.self]
    )
}

/// `mesh-events tool start`.
private struct ToolStartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a tool; one that runs is left alone."
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.start) }
}

/// `mesh-events tool stop`.
private struct ToolStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop a tool and all its processes: SIGTERM, then SIGKILL after its grace period."
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.stop) }
}

/// `mesh-events tool restart`.
private struct ToolRestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "restart", abstract: "Stop a tool and start it again.")
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.restart) }
}

/// The options that select a tool and its node.
private struct ToolRequestOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The tool's name.", valueName: "name"))
    var tool: String

    @Option(help: ArgumentHelp("The node that runs it. Default: the only one that has it.", valueName: "name"))
    var node: String?

    @Option(help: ArgumentHelp("How long to wait for the node's answer. Default: 30s.", valueName: "duration"))
    var timeout: String?

    @OptionGroup(title: "Signatures, without --node") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    /// Sends the request to the node, and prints the result.
    func perform(_ action: ToolAction) async throws {
        let timeout = try DurationArgument.option("--timeout", timeout) ?? .seconds(30)
        if node?.isEmpty == true { throw CommandFailure(.usage, "--node must not be empty") }
        let verification = try trust.verification()
        let transport = try await connection.connect(name: "mesh-events tool")
        let node = try await nodeName(transport, verification)
        let state = try await RemoteTools(node: node, connection: transport.connection)
            .perform(action, on: tool, timeout: timeout)
        try LineOutput.standard().write("\(SafeText.name(tool)) on \(SafeText.name(node)): \(SafeText.escaped(state))")
        await transport.close()
    }

    /// The node of `--node`, or the only node that has the tool by the stored events.
    private func nodeName(
        _ transport: NATSTransport,
        _ verification: SignatureVerification?
    ) async throws -> String {
        if let node { return node }
        return try await NodeOfTool.find(tool, connection, transport, verification)
    }
}
