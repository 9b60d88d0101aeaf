import ArgumentParser
import MeshEvents
import MeshEventsNATS
import NATSClient

/// `mesh-events dead-letters retry`.
struct DeadLetterRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Have the originals of dead letters delivered again, to the handlers of their durable alone.",
        usage: """
            mesh-events dead-letters retry DURABLE [SEQUENCE ...] [--all [--since WHEN]] [--node NAME] [--sign-key FILE] \
            [--json]
            """,
        discussion: """
            Returns when the retries are stored; handlers take them within a second, as many at once as they handle \
            events. Deliveries count from 1 again. Asking again changes nothing, and says what has become of it. \
            A dead letter that was discarded can be retried, by its SEQUENCE. When the stream and its archive no longer \
            have an original, that is said, and nothing is changed for that dead letter.

            Where handlers have --trust, give a --sign-key that they trust: they ignore what is not signed.

            With --json each dead letter is a line, as `show --json` prints it, with the member is_new.

            EXAMPLES
              mesh-events dead-letters retry alerts 4711 4712
              mesh-events dead-letters retry alerts --all --since 1d
            """
    )

    @OptionGroup var selection: DeadLetterSelection
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Emitter") var node: NodeOptions
    @OptionGroup(title: "Emitter") var signing: SigningOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let since = try selection.check()
        let session = try await DeadLetterSession.open(
            connection,
            name: "mesh-events dead-letters retry",
            node: try node.name(),
            configuration: try signing.busConfiguration()
        )
        guard let session else { return }
        let durable = selection.durable
        var hasLooked = false
        try await selection.each(session.bus, since: since) { desk, letter in
            let change = try await desk.retry(letter)
            try DeadLetterFormatter.write(change, json: output.json) {
                "event \(letter.original.sequence) is delivered to \(durable) again (dead letter \(letter.sequence))"
            }
            guard change.isNew, !hasLooked else { return }
            hasLooked = true
            if try await !isThere(session.transport) {
                Diagnostics.say(
                    "there is no durable \(durable) at the moment; its retries wait until it is created again"
                )
            }
        }
        await session.close()
    }

    /// Whether the durable exists; `true` when this user may not look.
    private func isThere(_ transport: NATSTransport) async throws -> Bool {
        let stream = try connection.place().streamName
        do throws(JetStreamError) {
            _ = try await JetStream(connection: transport.connection).consumerInfo(selection.durable, on: stream)
            return true
        } catch {
            return error.errorCode != .consumerNotFound
        }
    }
}
