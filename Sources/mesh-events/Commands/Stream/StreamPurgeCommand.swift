import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream purge`.
struct StreamPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Delete stored events permanently.",
        usage: "mesh-events stream purge [PATTERN] --yes",
        discussion: """
            EXAMPLES
              mesh-events stream purge 'user.debug.>' --yes
              mesh-events stream purge --yes                    # everything
            """
    )

    @Argument(help: ArgumentHelp("Which events. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Flag(help: "Really delete them.")
    var yes = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let pattern = try PatternText.pattern(pattern)
        guard yes else {
            throw CommandFailure(.usage, "this deletes the events \(pattern) permanently; confirm with --yes")
        }
        let count = try await StreamCommand.withStore(connection) { try await $0.purge(matching: pattern) }
        try LineOutput.standard().write("deleted \(count) \(count == 1 ? "event" : "events")")
    }
}
