/// For events that are stored later than they happen: the lifecycle's, which outlast the store's outages.
extension PersistentEventBus {
    /// Stores a message made by ``pending(_:at:)``. It may be tried again after an error: it carries its message id.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    @discardableResult
    package func store(_ message: PendingMessage) async throws(MeshEventsError) -> StoredPosition {
        guard !bus.isClosed else { throw EventBus.closedError }
        return try await store.append(
            subject: message.subject,
            payload: message.payload,
            messageID: message.messageID,
            deadline: configuration.acknowledgementDeadline
        )
    }

    /// Opens the stream again, creating it when it has vanished.
    ///
    /// - Throws: as ``open(transport:store:node:configuration:logger:)``.
    package func reopenStore() async throws(MeshEventsError) {
        _ = try await store.open(configuration)
    }
}
