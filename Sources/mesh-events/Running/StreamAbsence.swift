import MeshEvents
import MeshLifecycle

/// What commands that only read say when there is nothing to read from: a mesh of Go nodes has no stream until it is
/// asked for one.
enum StreamAbsence {
    private static let creators = "`mesh-events serve`, `mesh-events emit --ack` or `mesh-events stream create`"

    /// Runs `body`; without the mesh's own stream it says that nothing is kept yet.
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
                "nothing is kept there yet: there is no stream \(name); \(creators) creates it, and from then on events are kept"
            )
            return nil
        }
    }

    /// Runs `body`; a stream that does not exist becomes a sentence about how to get one.
    static func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            // What follows is advice for programs.
            let absence = error.message.prefix { $0 != ";" }
            throw CommandFailure(.unavailable, "no events are kept there: \(absence); \(creators) creates it")
        }
    }
}
