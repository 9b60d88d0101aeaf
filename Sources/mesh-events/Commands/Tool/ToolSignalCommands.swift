import ArgumentParser
import MeshEventsNATS

/// `mesh-events tool reload`.
struct ToolReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have a tool read its configuration again, by the signal of `reload` in its manifest.",
        discussion: """
            Without `reload: HUP`, or another signal, in the tool's specification it is refused: a signal that a program does \
            not handle ends it.
            """
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.reload) }
}

/// `mesh-events tool signal`.
struct ToolSignalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signal",
        abstract: "Send a tool's program a signal.",
        discussion: """
            Only the program gets it, not the processes that it has started.

            EXAMPLES
              mesh-events tool signal whisper USR1
            """
    )
    @OptionGroup var request: ToolRequestOptions

    @Argument(help: ArgumentHelp("The signal's name: HUP, SIGUSR1, …", valueName: "signal"))
    var signal: String

    func run() async throws { try await request.perform(.signal, signal: signal) }
}

/// `mesh-events tool remove`.
struct ToolRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Stop a tool and have its node forget it.",
        discussion: """
            Its node must run with `serve --allow-install`. A tool of the node's manifest comes back when the node reads \
            the manifest again or starts anew.
            """
    )
    @OptionGroup var request: ToolRequestOptions
    func run() async throws { try await request.perform(.remove) }
}
