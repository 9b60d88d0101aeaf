import ArgumentParser
import MeshEvents
import MeshLifecycle

/// `mesh-events tool`.
struct ToolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tool",
        abstract: "Start, stop and restart tools of a node, from anywhere in the mesh.",
        discussion: """
            The request goes over the mesh to the node that runs the tool (`mesh-events serve --config mesh.yaml`), \
            and the node answers when it is done. Without --node it goes to the only node that has a tool of that \
            name. A stopped tool stays stopped until a user starts it, or the node starts anew.

            EXAMPLES
              mesh-events tool restart whisper
              mesh-events tool stop whisper --node gpu-1

            EXIT CODES: as for all commands; 69 when there is no such node or tool, or the node refuses.
            """,
        subcommands: [ToolStartCommand.self, ToolStopCommand.self, ToolRestartCommand.self]
    )
}

/// `mesh-events tool start`.
struct ToolStartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a tool; one that runs is left alone."
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.start) }
}

/// `mesh-events tool stop`.
struct ToolStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop a tool and all its processes: SIGTERM, then SIGKILL after its grace period."
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.stop) }
}

/// `mesh-events tool restart`.
struct ToolRestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "restart", abstract: "Stop a tool and start it again.")
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.restart) }
}
