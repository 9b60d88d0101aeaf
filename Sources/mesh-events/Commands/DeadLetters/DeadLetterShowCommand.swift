import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events dead-letters show`.
struct DeadLetterShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a dead letter whole: the original, its data, and whether it can be retried.",
        usage: "mesh-events dead-letters show DURABLE SEQUENCE [--json]",
        discussion: """
            SEQUENCE is that of the dead letter, as `mesh-events dead-letters list` shows it.

            With --json it is a line: durable, sequence, stored, node, reason, deliveries, retry_of, original (sequence, \
            type, node, timestamp, data, data_omitted, payload), is_kept (whether the stream or its archive still has \
            the original), status (open, retrying, handled, failed_again or discarded) with status_time, status_node, \
            status_reason, status_deliveries and status_letter. Values that are not known are null.
            """
    )

    @Argument(help: ArgumentHelp("The name of the durable subscription.", valueName: "durable"))
    var durable: String

    @Argument(help: ArgumentHelp("The dead letter's own sequence.", valueName: "sequence"))
    var sequence: UInt64

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        guard let session = try await DeadLetterSession.open(connection, name: "mesh-events dead-letters show") else {
            throw CommandFailure(.unavailable, "there is no dead letter \(sequence) of \(durable)")
        }
        let letter = try await session.bus.deadLetter(sequence, of: durable)
        let isKept = try await session.bus.original(of: letter) != nil
        await session.close()
        let terminal = Terminal.output
        let lines =
            output.json
            ? [terminal.safe(json: DeadLetterFormatter.json(letter, isKept: isKept))]
            : DeadLetterFormatter.facts(letter, isKept: isKept).lines(
                isColored: terminal.usesColor(),
                width: terminal.width
            )
        for line in lines { try LineOutput.standard().write(line) }
    }
}
