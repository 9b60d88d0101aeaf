import MeshEvents

/// What commands that only read say when there is nothing to read from: a mesh of Go nodes has no stream until it is asked
/// for one.
enum StreamAbsence {
    private static let creators = "`mesh-events serve`, `mesh-events emit --ack` or `mesh-events stream create`"

    /// Runs `body`; without a stream it says that nothing is kept yet.
    ///
    /// - Returns: What `body` returns; `nil` without a stream.
    static func noted<Result>(_ body: () async throws -> Result) async throws -> Result? {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            Diagnostics.say(
                "nothing is kept there yet: there is no stream MESH_EVENTS; \(creators) creates it, and from then on events "
                    + "are kept"
            )
            return nil
        }
    }

    /// Runs `body`; a stream that does not exist becomes a sentence about how to get one.
    static func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            throw CommandFailure(
                .unavailable,
                "no events are kept there: the stream MESH_EVENTS does not exist; \(creators) creates it"
            )
        }
    }
}
