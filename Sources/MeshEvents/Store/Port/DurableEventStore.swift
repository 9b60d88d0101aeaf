/// A store that keeps durable subscriptions: their positions, and what is delivered and not answered yet.
public protocol DurableEventStore: EventStore {
    /// Creates a durable subscription, or opens the existing one of that name.
    ///
    /// - Throws: `durableMismatch` when it exists with other settings and `reconcile` is `.fail`; `streamNotFound`,
    ///   `invalidArgument`, `invalidPattern`.
    func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer

    /// Deletes a durable subscription and its position.
    ///
    /// - Throws: `durableNotFound`, `streamNotFound`.
    func deleteDurable(_ name: String) async throws(MeshEventsError)
}
