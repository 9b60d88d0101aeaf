import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream info`.
struct StreamInfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show the stream's content, its limits, and its consumers.",
        discussion: """
            Counts are by event type, the most frequent first. A consumer's lag is the number of events that were not \
            delivered to it yet; unacknowledged events were delivered but not acknowledged.

            EXAMPLES
              mesh-events stream info
              mesh-events stream info --json | jq .messages
            """
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let report = try await StreamCommand.withStore(connection) { try await $0.report() }
        let lines =
            output.json ? [Terminal.output.safe(json: StreamText.json(report))] : StreamText.lines(report)
        for line in lines { try LineOutput.standard().write(line) }
    }
}
