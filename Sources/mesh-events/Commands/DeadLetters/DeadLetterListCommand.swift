import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events dead-letters list`.
struct DeadLetterListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the dead letters of a durable, oldest first, and what was done about them.",
        usage: "mesh-events dead-letters list DURABLE [--limit N] [--since WHEN] [--all] [--json]",
        discussion: """
            Prints the newest --limit dead letters that still need care, the oldest of them first. With --all also \
            those that a retry has settled, that have become another dead letter, or that were discarded. WHEN is how \
            long ago (90s, 10m, 2h30m, 1d) or a time in RFC 3339. The command creates and changes nothing.

            LETTER is the sequence that `show`, `retry` and `discard` take; EVENT is that of the original.

            With --json each dead letter is a line, as `show --json` prints it.

            EXAMPLES
              mesh-events dead-letters list alerts
              mesh-events dead-letters list alerts --since 1d --all --json | jq -r .reason
            """
    )

    @Argument(help: ArgumentHelp("The name of the durable subscription.", valueName: "durable"))
    var durable: String

    @Option(help: ArgumentHelp("The most dead letters to print.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Only dead letters stored then or later.", valueName: "when"))
    var since: String?

    @Flag(help: "Also those that were handled, discarded, or have become another dead letter.")
    var all = false

    @Flag(help: "Print each dead letter as a line of JSON.")
    var json = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        guard limit >= 1 else { throw CommandFailure(.usage, "--limit must be at least 1, not \(limit)") }
        let since = try since.map { try TimeBound.parse($0, option: "--since") }
        guard let session = try await DeadLetterSession.open(connection, name: "mesh-events dead-letters list") else {
            return
        }
        let letters = try await session.bus.deadLetters(
            of: durable,
            since: since,
            limit: limit,
            includesSettled: all
        )
        await session.close()
        let terminal = Terminal.output
        let lines =
            json
            ? letters.map { terminal.safe(json: DeadLetterFormatter.json($0)) }
            : letters.isEmpty
                ? [] : DeadLetterFormatter.table(letters).lines(isColored: terminal.usesColor(), width: terminal.width)
        var output = LineFile(LineOutput.standard())
        for line in lines { try output.write(line) }
        try output.flush()
        guard letters.isEmpty else { return }
        Diagnostics.say(
            all ? "\(durable) has no dead letters" : "\(durable) has no open dead letters; --all lists the others too"
        )
    }
}
