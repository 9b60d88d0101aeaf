import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream forget`.
struct StreamForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Delete a durable subscription and its position.",
        usage: "mesh-events stream forget NAME --yes",
        discussion: """
            A durable subscription (`mesh-events on --durable NAME`, or one of a program) keeps its position in the \
            stream until a user deletes it. `mesh-events stream info` lists them. No event is deleted. A running \
            subscriber ends with an error.

            EXAMPLES
              mesh-events stream forget alerts --yes
            """
    )

    @Argument(help: ArgumentHelp("The durable subscription's name.", valueName: "name"))
    var name: String

    @Flag(help: "Really delete it.")
    var yes = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        guard yes else {
            throw CommandFailure(
                .usage,
                "this deletes the position of the durable subscription \(name.debugDescription); confirm with --yes"
            )
        }
        try await StreamCommand.withStore(connection) { try await $0.deleteDurable(name) }
        try LineOutput.standard().write("forgot the durable subscription \(SafeText.escaped(name))")
    }
}
