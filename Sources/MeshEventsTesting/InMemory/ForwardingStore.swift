package import MeshEvents

/// A store that passes on to another, for tests that change a part of it.
///
/// It has what every store must have; a store that also conforms to `DurableEventStore` or `StreamAdministration` passes
/// on those parts too. Its appender is not that of the store behind: each message goes through
/// `append(_:deadline:)`.
package protocol ForwardingStore: EventStore {
    /// The store behind it.
    var store: InMemoryStore { get }

    /// Is called before each reading of stored messages.
    ///
    /// - Parameter limit: how many messages are asked for.
    func willRead(_ limit: Int) async
}

extension ForwardingStore {
    package func willRead(_ limit: Int) async {}

    package func append(
        _ message: PendingMessage,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try await store.append(message, deadline: deadline)
    }

    package func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        await willRead(limit)
        return try await store.newest(
            limit,
            maximumBytes: maximumBytes,
            matching: pattern,
            before: before,
            timeout: timeout
        )
    }

    package func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        await willRead(limit)
        return try await store.first(
            limit,
            maximumBytes: maximumBytes,
            matching: pattern,
            from: start,
            timeout: timeout
        )
    }

    package func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        try await store.follow(matching: pattern, from: start, timeout: timeout)
    }

    package func state() async throws(MeshEventsError) -> StreamState { try await store.state() }
}

/// The durable subscriptions of the store behind.
extension ForwardingStore {
    package func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer {
        try await store.openDurable(configuration, reconcile: reconcile)
    }

    package func deleteDurable(_ name: String) async throws(MeshEventsError) { try await store.deleteDurable(name) }
}

/// The administration of the stream behind.
extension ForwardingStore {
    package func open(
        _ configuration: PersistentEventBus.Configuration
    ) async throws(MeshEventsError) -> StoreOpening {
        try await store.open(configuration)
    }

    package func report() async throws(MeshEventsError) -> StreamReport { try await store.report() }

    package func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try await store.purge(matching: pattern)
    }
}
