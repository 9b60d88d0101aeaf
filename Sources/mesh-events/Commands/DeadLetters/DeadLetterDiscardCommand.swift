import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events dead-letters discard`.
struct DeadLetterDiscardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Note that dead letters are not to be retried, and why.",
        usage: """
            mesh-events dead-letters discard DURABLE [SEQUENCE ...] [--all [--since WHEN]] --reason TEXT [--node NAME] \
            [--sign-key FILE] [--json]
            """,
        discussion: """
            `mesh-events dead-letters list` leaves them out from then on; with --all it says who has discarded them, \
            when and why. Nothing is deleted. A retry that no handler has taken yet is taken back; while a handler has \
            it, the command says so and changes nothing.

            With --json each dead letter is a line, as `show --json` prints it, with the member is_new.

            EXAMPLES
              mesh-events dead-letters discard alerts 4711 --reason 'the job was removed'
              mesh-events dead-letters discard alerts --all --since 2h --reason 'test run'
            """
    )

    @OptionGroup var selection: DeadLetterSelection

    @Option(help: ArgumentHelp("Why, for those who read it.", valueName: "text"))
    var reason: String

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Emitter") var node: NodeOptions
    @OptionGroup(title: "Emitter") var signing: SigningOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let since = try selection.check()
        guard !reason.isEmpty else { throw CommandFailure(.usage, "--reason must not be empty") }
        let session = try await DeadLetterSession.open(
            connection,
            name: "mesh-events dead-letters discard",
            node: try node.name(),
            configuration: try signing.busConfiguration()
        )
        guard let session else { return }
        try await selection.each(session.bus, since: since) { desk, letter in
            try DeadLetterFormatter.write(try await desk.discard(letter, reason: reason), json: output.json) {
                "dead letter \(letter.sequence) of \(selection.durable) is discarded"
            }
        }
        await session.close()
    }
}
