package import MeshEvents

/// A store that passes on what every store must have, for tests that change a part of it.
package protocol ForwardingStore: EventStore {
    /// The store behind it.
    var store: InMemoryStore { get }
}

extension ForwardingStore {
    package func open(
        _ configuration: PersistentEventBus.Configuration
    ) async throws(MeshEventsError) -> StoreOpening {
        try await store.open(configuration)
    }

    package func append(
        _ message: PendingMessage,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try await store.append(message, deadline: deadline)
    }

    package func state() async throws(MeshEventsError) -> StreamState { try await store.state() }

    package func report() async throws(MeshEventsError) -> StreamReport { try await store.report() }

    package func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try await store.purge(matching: pattern)
    }

    package func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try await store.newest(limit, matching: pattern, before: before, timeout: timeout)
    }

    package func first(
        _ limit: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> [StoredMessage] {
        try await store.first(limit, matching: pattern, from: start, timeout: timeout)
    }
}
