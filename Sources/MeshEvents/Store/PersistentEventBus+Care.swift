extension PersistentEventBus {
    /// Everything about the stream: what it holds by subject, when it was stored, and who reads it how far.
    ///
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func report() async throws(MeshEventsError) -> StreamReport {
        try await store.report()
    }

    /// Deletes the events that match, for everybody and for good; their sequences are not used again.
    ///
    /// - Returns: how many were deleted.
    /// - Throws: `invalidPattern`, `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    @discardableResult
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try await store.purge(matching: pattern)
    }
}
