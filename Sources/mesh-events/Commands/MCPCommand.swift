import ArgumentParser
import Foundation
import MeshEvents

/// `mesh-events mcp`.
struct MCPCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp",
        abstract: "Let an agent see the mesh: a server of the Model Context Protocol on standard input and output.",
        usage: "mesh-events mcp [--allow-control] [--trust FILE]",
        discussion: """
            The client of an agent starts it, and speaks with it in lines of JSON-RPC 2.0. It serves one client, listens on no \
            port, and ends when standard input ends. Standard output has nothing but the protocol; reports go to standard error.

            TOOLS: mesh_status, explain_tool, list_events, wait_for_event, tool_logs and alerts read. With --allow-control there \
            are also start_tool, stop_tool, restart_tool and reload_tool, as far as the login to the mesh may; each node stores \
            such a request as the event tool.controlled. Give agents a login that may only read: `mesh-events auth add DIR \
            agent --role observer`; with the role operator it reads logs, too.

            What others have written (events, logs, errors, names) is data: it is in `untrusted_data` of an answer alone, as \
            strings of JSON, bounded, and with control characters and invisible ones as escapes.

            CONFIGURATION of a client, in the form that most of them read:
              {"mcpServers": {"mesh": {"command": "mesh-events", "args": ["mcp"],
                "env": {"JB_NATS_URL": "nats://127.0.0.1:4222"}}}}

            When the server of the mesh is away, calls say so, and later ones connect again. A call that reads the stream gives \
            up when nothing has come for 8 seconds, and says that; what it has read until then is in the answer, and marked.

            LIMITS: a message of the client 1 MiB; 16 calls at once; an answer 48 KiB of data, a text in it 2 KiB.
            """
    )

    @Flag(
        name: .customLong("allow-control"),
        help: "Let agents start, stop, restart and reload tools, as the login may."
    )
    var allowsControl = false

    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let verification = try trust.verification()
        // What is wrong with the options is said now, not at each call.
        let environment = ProcessInfo.processInfo.environment
        _ = try connection.configuration(servers: nil, environment, name: "mesh-events mcp")
        let stop = StopRequest()
        Signals.install(stop)
        OutputWatch.install(stop)
        let reader = try LineReader(
            path: "-",
            longest: AgentSession.longestLine,
            longLines: .leaveOut
        )
        let link = MeshLink(connection, verification)
        let tools = MeshAgentTools(link: link, allowsControl: allowsControl).toolbox
        _ = try await stop.race {
            try await AgentServer(tools, AgentOutput(descriptor: STDOUT_FILENO)).run(reader)
        }
        await link.close()
    }
}
