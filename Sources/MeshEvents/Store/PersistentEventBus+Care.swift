extension PersistentEventBus {
    /// A report on the stream: its messages by subject, their times, and its consumers with their positions.
    ///
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func report() async throws(MeshEventsError) -> StreamReport {
        try await store.report()
    }

    /// Deletes the events that match from the stream, permanently; their sequences are not used again.
    ///
    /// - Returns: how many were deleted.
    /// - Throws: `invalidPattern`, `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    @discardableResult
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try await store.purge(matching: pattern)
    }
}
