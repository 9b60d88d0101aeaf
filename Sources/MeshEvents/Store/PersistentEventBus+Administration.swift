extension PersistentEventBus {
    /// A report on the stream: its messages by subject, their times, and its consumers with their positions.
    ///
    /// - Throws: `persistenceUnavailable` also when the store is no ``StreamAdministration``; `streamNotFound`,
    ///   `permissionDenied`, `timeout`.
    public func report() async throws(MeshEventsError) -> StreamReport {
        try await administration.report()
    }

    /// Deletes the events that match from the stream and from its archive, permanently; their sequences are not used
    /// again.
    ///
    /// - Returns: how many were deleted.
    /// - Throws: `persistenceUnavailable` also when the store is no ``StreamAdministration``; `invalidPattern`,
    ///   `streamNotFound`, `permissionDenied`, `timeout`.
    @discardableResult
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try await administration.purge(matching: pattern)
    }
}

/// What the store can do besides keeping messages.
extension PersistentEventBus {
    /// Opens the stream; of a store that opens none, looks whether the stream is there.
    static func openStream(
        of store: any EventStore,
        _ configuration: Configuration
    ) async throws(MeshEventsError) -> StoreOpening {
        if let administration = store as? any StreamAdministration {
            return try await administration.open(configuration)
        }
        try configuration.validate()
        guard configuration.reconcile == .keep else {
            throw Self.lacks(
                "StreamAdministration",
                store,
                "cannot compare its stream with a configuration; ask for .keep"
            )
        }
        let name = try await store.state().name
        guard name == configuration.streamName else {
            throw MeshEventsError(
                .invalidArgument,
                "this store is about the stream \(name), not \(configuration.streamName)"
            )
        }
        return StoreOpening(created: false, differences: [])
    }

    var durableStore: any DurableEventStore {
        get throws(MeshEventsError) {
            if let durable = store as? any DurableEventStore { return durable }
            throw Self.lacks(
                "DurableEventStore",
                store,
                "keeps no durable subscriptions; replay from a sequence that the program keeps"
            )
        }
    }

    private var administration: any StreamAdministration {
        get throws(MeshEventsError) {
            if let administration = store as? any StreamAdministration { return administration }
            throw Self.lacks(
                "StreamAdministration",
                store,
                "neither reports on its stream nor purges it; ask its server"
            )
        }
    }

    private static func lacks(_ part: String, _ store: any EventStore, _ what: String) -> MeshEventsError {
        MeshEventsError(
            .persistenceUnavailable,
            "the store \(type(of: store)) \(what), or use a store that conforms to \(part)"
        )
    }
}
