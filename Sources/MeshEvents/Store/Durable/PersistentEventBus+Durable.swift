import MeshConcurrency

extension PersistentEventBus {
    /// Subscribes durably and returns the events as a sequence; the reader must answer each.
    ///
    /// The durable is created when it does not exist. Events that were stored while no subscriber was active come
    /// first.
    ///
    /// - Parameters:
    ///   - name: the durable's name: letters, digits, `-` and `_`, at most 64. Subscriptions of the same name share the
    ///     events.
    ///   - pattern: which events. Default: all of them, except for its own dead letters and the records about these.
    ///   - configuration: see ``DurableSubscription/Configuration``.
    /// - Throws: `durableMismatch` when it exists with other settings, `persistenceUnavailable` when the store is no
    ///   ``DurableEventStore``, `invalidArgument`, `invalidPattern`, `closed`, and what the store throws.
    public func subscribe(
        durable name: String,
        to pattern: EventPattern = .all,
        configuration: DurableSubscription.Configuration = .init()
    ) async throws(MeshEventsError) -> DurableSubscription {
        DurableSubscription(source: try await openSource(name, pattern, configuration, keepsAlive: false))
    }

    /// Calls `handler` for every event of a durable subscription, at most ``DurableSubscription/Configuration/concurrency``
    /// at once, off the caller's actor.
    ///
    /// When the handler returns, the event is acknowledged. When it throws, the event is delivered again after a
    /// growing delay, and given up after the maximum of deliveries. While a handler runs, its event's acknowledgement
    /// wait is extended.
    ///
    /// ```swift
    /// try await persistent.subscribe(durable: "alerts", to: .toolCrashed) { delivery in
    ///     try await alert(delivery.event)
    /// }
    /// ```
    ///
    /// - Throws: as ``subscribe(durable:to:configuration:)``.
    @discardableResult
    public func subscribe(
        durable name: String,
        to pattern: EventPattern = .all,
        configuration: DurableSubscription.Configuration = .init(),
        handler: @escaping @Sendable (DurableDelivery) async throws -> Void
    ) async throws(MeshEventsError) -> DurableHandlerSubscription {
        let source = try await openSource(name, pattern, configuration, keepsAlive: true)
        return DurableHandlerSubscription(source: source, handler: handler)
    }

    /// Deletes a durable and its position; subscriptions of that name end with `durableNotFound`.
    ///
    /// - Throws: `durableNotFound`, `persistenceUnavailable` when the store is no ``DurableEventStore``, and what the store
    ///   throws.
    public func deleteDurable(_ name: String) async throws(MeshEventsError) {
        try await durableStore.deleteDurable(name)
    }

    private func openSource(
        _ name: String,
        _ pattern: EventPattern,
        _ configuration: DurableSubscription.Configuration,
        keepsAlive: Bool
    ) async throws(MeshEventsError) -> DurableSource {
        guard !bus.isClosed else { throw EventBus.closedError }
        try configuration.validate()
        let durable = configuration.durable(name, pattern)
        try durable.validate()
        let source = DurableSource(
            name: name,
            configuration: configuration,
            consumer: try await durableStore.openDurable(durable, reconcile: configuration.reconcile),
            retries: RetryDeliveries(
                pattern: pattern,
                acknowledgementWait: configuration.acknowledgementWait,
                history: historyReader.store,
                records: DeadLetterLogStore(durable: name, store: store, bus: bus, messageIDs: messageIDs)
            ),
            store: store,
            bus: bus,
            keepsAlive: keepsAlive
        )
        durables.add(source)
        guard !bus.isClosed else {
            await source.cancelAndWait()
            throw EventBus.closedError
        }
        return source
    }
}

/// The durable subscriptions of a bus, so that closing it ends them.
final class OpenDurables: Sendable {
    private let sources = Locked<[ObjectIdentifier: DurableSource]>([:])

    func add(_ source: DurableSource) {
        let id = ObjectIdentifier(source)
        sources.withLock { $0[id] = source }
        source.whenEnded { [weak self] in _ = self?.sources.withLock { $0.removeValue(forKey: id) } }
    }

    func cancelAll() async {
        let open = sources.withLock { Array($0.values) }
        await withTaskGroup { group in
            for source in open { group.addTask { await source.cancelAndWait() } }
        }
    }
}
