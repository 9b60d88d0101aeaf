import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshLifecycle

/// `mesh-events stream`.
struct StreamCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Show the stream that keeps the events, change its limits, or empty it.",
        discussion: """
            EXAMPLES
              mesh-events stream create
              mesh-events stream info
              mesh-events stream update --max-age 7d --max-messages 1000000
              mesh-events stream purge 'user.debug.>' --yes
              mesh-events stream durable alerts tool.crashed
              mesh-events stream forget alerts --yes
            """,
        subcommands: [
            StreamCreateCommand.self, StreamInfoCommand.self, StreamUpdateCommand.self, StreamPurgeCommand.self,
            StreamDurableCommand.self, StreamForgetCommand.self,
        ]
    )

    /// Runs `body` with the store of the mesh's stream.
    static func withStore<Result>(
        _ connection: ConnectionOptions,
        _ body: (JetStreamStore) async throws -> Result
    ) async throws -> Result {
        let transport = try await connection.connect(name: "mesh-events stream")
        let result: Result
        do {
            result = try await body(try connection.store(transport))
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            throw CommandFailure(
                .unavailable,
                "there is no stream \(try connection.place().streamName) there; `mesh-events stream create` creates it"
            )
        }
        await transport.close()
        return result
    }
}
