import MeshEvents
import MeshLifecycle

/// The messages of read-only commands when there is no stream: a mesh of Go nodes has none until a client creates it.
enum StreamAbsence {
    private static let creators = "`mesh-events serve`, `mesh-events emit --ack` or `mesh-events stream create`"

    /// Runs `body`; reports that no events are stored yet when the default stream does not exist.
    ///
    /// - Returns: What `body` returns; `nil` without that stream.
    /// - Throws: what `body` throws; as ``explained(_:)`` when a stream that was named does not exist.
    static func noted<Result>(
        at connection: ConnectionOptions,
        _ body: () async throws -> Result
    ) async throws -> Result? {
        let name = try connection.place().streamName
        guard name == PersistenceConfiguration().streamName else { return try await explained(body) }
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            Diagnostics.say(
                "no events are stored yet: there is no stream \(name); \(creators) creates it"
            )
            return nil
        }
    }

    /// Runs `body`; when the stream does not exist, throws a failure that says how to create it.
    static func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            // The rest of the message is advice for programmers.
            let absence = error.message.prefix { $0 != ";" }
            throw CommandFailure(.unavailable, "no events are stored: \(absence); \(creators) creates it")
        }
    }
}
