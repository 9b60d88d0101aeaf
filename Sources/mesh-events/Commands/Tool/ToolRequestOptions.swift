import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshLifecycle

/// Which tool of which node.
struct ToolRequestOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The tool's name.", valueName: "name"))
    var tool: String

    @Option(help: ArgumentHelp("The node that runs it. Default: the only one that has it.", valueName: "name"))
    var node: String?

    @Option(help: ArgumentHelp("How long to wait for the node to have done it. Default: 30s.", valueName: "duration"))
    var timeout: String?

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    /// Asks the node, and says what came of it.
    func perform(_ action: ToolAction) async throws {
        let timeout = try DurationText.positive(timeout, option: "--timeout") ?? .seconds(30)
        let transport = try await connection.connect(name: "mesh-events tool")
        let node = try await nodeName(transport)
        let state = try await RemoteTools(node: node, connection: transport.connection)
            .perform(action, on: tool, timeout: timeout)
        try LineOutput.standard().write("\(SafeText.name(tool)) on \(SafeText.name(node)): \(SafeText.escaped(state))")
        await transport.close()
    }
}
