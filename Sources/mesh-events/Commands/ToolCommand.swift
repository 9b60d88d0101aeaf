import ArgumentParser
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// `mesh-events tool`.
struct ToolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tool",
        abstract: "Control the tools of nodes, and read their logs, from anywhere in the mesh.",
        discussion: """
            The request goes over the mesh to the node that runs the tool (`mesh-events serve --config mesh.yaml`), \
            and the node answers when it is done. Without a node (--node, or NODE/NAME) it goes to the only one that has a \
            tool of that name; with --all to all that have it. A stopped tool stays stopped until a user starts it, or the node starts \
            anew; a changed manifest does not start it.

            The node emits tool.controlled for each request: who asked, for what, and what came of it. Who asked is what \
            the client says of itself. The permissions of the server decide who may ask.

            With --all --one-by-one the nodes are asked one after the other, and with --wait-ready the next only when the \
            tool is ready on the one before: a rolling restart. A tool with a health check and no `ready` in its \
            specification is ready when it has passed that once; one of which nothing is watched counts as ready while it \
            runs. Nodes that do not answer before anything is changed are skipped. It ends at the first node that fails, \
            also when that dies meanwhile, and says which nodes are done, have failed, were skipped and were not touched, how the \
            tool is on those that failed, and which commands go on or back. Nothing is undone by itself. \
            --timeout is for each node.

            EXAMPLES
              mesh-events tool restart whisper
              mesh-events tool stop gpu-1/whisper
              mesh-events tool logs whisper -f
              mesh-events tool restart whisper --all --one-by-one --wait-ready
              mesh-events list tool.controlled

            EXIT CODES: as for all commands; 69 when there is no such node or tool, or a node refuses or fails; 75 when it is \
            done on all nodes but those that were skipped.
            """,
        subcommands: [
            ToolStartCommand.self, ToolStopCommand.self, ToolRestartCommand.self,
            ToolReloadCommand.self, ToolSignalCommand.self, ToolInstallCommand.self, ToolUpgradeCommand.self,
            ToolRemoveCommand.self, ToolLogsCommand.self,
        ]
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

/// The options that select a tool and its nodes.
struct ToolRequestOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The tool's name, or NODE/NAME.", valueName: "name"))
    var tool: String

    @Option(help: ArgumentHelp("The node that runs it. Default: the only one that has it.", valueName: "name"))
    var node: String?

    @OptionGroup var plain: ToolPlainOptions

    /// Sends the request to the nodes, and prints the results.
    func perform(_ action: ToolAction, signal: String? = nil, specification: EventData? = nil) async throws {
        let target = plain.target
        let named = try NamedTool(tool, node: node)
        let tool = named.tool
        try await plain.perform(
            action,
            on: tool,
            node: named.node,
            signal: signal,
            specification: specification
        ) { mesh in
            let names = try NodeOfTool.all(tool, in: mesh)
            guard target.all || names.count == 1 else {
                let list = names.map(SafeText.name).joined(separator: ", ")
                throw CommandFailure(
                    .usage,
                    "\(names.count) nodes have that tool (\(list)); say which with --node, or --all for all of them"
                )
            }
            return names
        }
    }
}

/// The options of a request about a tool, wherever it is.
struct ToolPlainOptions: ParsableArguments {
    @OptionGroup var target: ToolTargetOptions

    @Option(help: ArgumentHelp("How long each node may take. Default: 30s.", valueName: "duration"))
    var timeout: String?

    @OptionGroup(title: "Signatures, without --node") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    /// Sends a request to nodes, and prints the results.
    ///
    /// - Parameters:
    ///   - node: the node; `nil` for those that `choose` takes from the mesh as the stored events describe it.
    /// - Throws: `CommandFailure` when it is not done on all nodes.
    func perform(
        _ action: ToolAction,
        on tool: String,
        node: String?,
        signal: String? = nil,
        specification: EventData? = nil,
        choose: (MeshState) throws -> [String]
    ) async throws {
        let timeout = try DurationArgument.option("--timeout", timeout) ?? .seconds(30)
        try target.check(node: node)
        let verification = try trust.verification()
        let request = ToolRequest(
            action,
            tool: tool,
            signal: signal,
            specification: specification,
            by: target.by ?? ToolRequest.caller
        )
        let transport = try await connection.connect(name: "mesh-events tool")
        let nodes: [String] =
            if let node { [node] } else { try choose(try await connection.mesh(transport, verification)) }
        let rollout = ToolRollout(
            request,
            on: nodes,
            connection: transport.connection,
            configuration: ToolRollout.Configuration(
                maximumAtOnce: target.oneByOne ? 1 : 16,
                waitsUntilReady: target.waitsUntilReady,
                timeout: timeout,
                stopsAtFailure: target.oneByOne
            )
        )
        let printer = ToolRolloutPrinter()
        guard target.all else {
            let unwritten = Locked<(any Error)?>(nil)
            let report = await rollout.run { step in
                switch step {
                case .done(let result):
                    do {
                        try printer.output.write(ToolRolloutPrinter.line(result))
                    } catch {
                        unwritten.withLock { $0 = error }
                    }
                case .nameIsShared(let result): ToolRolloutPrinter.warn(result)
                case .failed, .skipped: break
                }
            }
            if let failure = report.failures.first { throw failure.error }
            if let error = unwritten.withLock({ $0 }) { throw error }
            return await transport.close()
        }
        let report = await rollout.run { printer.print($0) }
        await transport.close()
        if let failure = ToolRolloutPrinter.failure(report, request) { throw failure }
    }
}
