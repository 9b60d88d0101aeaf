import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import MeshSupervision

/// `mesh-events logs`.
struct LogsCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what a node itself has logged, from anywhere in the mesh.",
        usage: "mesh-events logs [NODE] [-f] [--since DURATION] [--lines N] [--grep TEXT] [--json]",
        discussion: """
            The lines are those that `mesh-events serve` prints on standard error, without the output of its tools: that \
            is `mesh-events tool logs`. Without a name it is the only node of the mesh.

            \(ToolLogsCommand.common)

            EXAMPLES
              mesh-events logs atelier -f
              mesh-events logs --since 1h --grep 'connection'
            """
    )

    @Argument(help: ArgumentHelp("The node. Default: the only one.", valueName: "node"))
    var name: String?

    @Option(help: ArgumentHelp("The node, as the argument.", valueName: "name"))
    var node: String?

    @OptionGroup var logs: LogOptions
    @OptionGroup(title: "Signatures, without --node") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let query = try logs.query()
        if let name, let node, name != node {
            throw CommandFailure(.usage, "give the node as the argument or with --node, not both")
        }
        let node = name ?? node
        if node?.isEmpty == true { throw CommandFailure(.usage, "--node must not be empty") }
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race {
            let transport = try await connection.connect(name: "mesh-events logs")
            let node = if let node { node } else { try await onlyNode(transport, verification) }
            try await ConnectionReport(connection: transport.connection, missing: "lines come later").during {
                try await logs.print(query, of: nil, on: node, transport, stop)
            }
            await transport.close()
        }
    }

    private func onlyNode(_ transport: NATSTransport, _ verification: SignatureVerification?) async throws -> String {
        let mesh = try await connection.mesh(transport, verification)
        let names = mesh.nodes.filter { $0.status != .left }.map(\.name)
        if let name = names.first, names.count == 1 { return name }
        let list = names.prefix(10).map(SafeText.name).joined(separator: ", ") + (names.count > 10 ? " …" : "")
        throw names.isEmpty
            ? CommandFailure(.unavailable, "no node of the mesh is known; name one with --node")
            : CommandFailure(.usage, "there are \(names.count) nodes (\(list)); say which with --node")
    }
}

/// `mesh-events tool logs`.
struct ToolLogsCommand: SignalHandlingCommand {
    /// What both commands have in common.
    static let common = """
        The node keeps the lines in files, and removes secrets that it knows before it sends them. Where users have roles, \
        operators and admins may read them (`mesh-events auth --help`). -f goes on when the tool, the node or the server \
        starts anew; what was missed is said on standard error. Lines are escaped for terminals.

        With --json each line is an object: node, tool, number, time, stream (stdout, stderr, node) and line; dropped is how \
        many lines are missing, where some are. An object with missed says how many lines the node removed before they \
        could be sent, one with begun_anew that the log begins anew.
        """

    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what a tool has written, from anywhere in the mesh.",
        usage:
            "mesh-events tool logs [NODE/]NAME [--node NAME] [-f] [--since DURATION] [--lines N] [--grep TEXT] [--stderr] [--json]",
        discussion: """
            Each line has its time, and `out`, `err` or `node`: standard output, standard error, or what the node says of \
            the tool. Without --node it is the only node that has a tool of that name.

            \(common)

            EXAMPLES
              mesh-events tool logs whisper -f
              mesh-events tool logs whisper --since 10m --stderr --grep CUDA
              mesh-events tool logs whisper --node gpu-1 --lines 1000 --json | jq -r .line

            EXIT CODES: as for all commands; 69 when the node does not run, is older than this version or of the Go mesh, \
            has no such tool, or this user may not read logs.
            """
    )

    @Argument(help: ArgumentHelp("The tool's name, or NODE/NAME.", valueName: "name"))
    var tool: String

    @Option(help: ArgumentHelp("The node that runs it. Default: the only one that has it.", valueName: "name"))
    var node: String?

    @Flag(help: "Show standard error alone.")
    var stderr = false

    @OptionGroup var logs: LogOptions
    @OptionGroup(title: "Signatures, without --node") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let query = try logs.query(stderr ? [.stderr] : nil)
        let named = try NamedTool(tool, node: node)
        let (node, tool) = (named.node, named.tool)
        if node?.isEmpty == true { throw CommandFailure(.usage, "--node must not be empty") }
        let verification = try trust.verification()
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        _ = try await stop.race {
            let transport = try await connection.connect(name: "mesh-events tool logs")
            var node = node
            if node == nil { node = try await NodeOfTool.find(tool, connection, transport, verification) }
            let name = node ?? ""
            try await ConnectionReport(connection: transport.connection, missing: "lines come later").during {
                try await logs.print(query, of: tool, on: name, transport, stop)
            }
            await transport.close()
        }
    }
}
