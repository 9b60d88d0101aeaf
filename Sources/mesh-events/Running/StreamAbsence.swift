import MeshEvents

/// What commands that only read say when there is nothing to read from.
enum StreamAbsence {
    /// Runs `body`; a stream that does not exist becomes a sentence about how to get one.
    static func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            throw CommandFailure(
                .unavailable,
                "no events are kept there: the stream MESH_EVENTS does not exist; `mesh-events serve`, "
                    + "`mesh-events emit --ack` or `mesh-events stream create` creates it"
            )
        }
    }
}
