/// For events that are stored later than they happen: those of the lifecycle, which must survive outages of the store.
extension PersistentEventBus {
    /// Stores a message made by ``pending(_:at:)``. The caller may retry after an error: the message carries its
    /// message id.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    @discardableResult
    package func store(_ message: PendingMessage) async throws(MeshEventsError) -> StoredPosition {
        guard !bus.isClosed else { throw EventBus.closedError }
        let deadline = configuration.acknowledgementDeadline
        guard let metrics else { return try await store.append(message, deadline: deadline) }
        let start = ContinuousClock.now
        do throws(MeshEventsError) {
            let position = try await store.append(message, deadline: deadline)
            metrics.acknowledged(1, since: start)
            return position
        } catch {
            metrics.failed(error)
            throw error
        }
    }

    /// Opens the stream again; creates it when it no longer exists.
    ///
    /// - Throws: as ``open(transport:store:node:configuration:logger:)``.
    package func reopenStore() async throws(MeshEventsError) {
        _ = try await store.open(configuration)
    }
}
