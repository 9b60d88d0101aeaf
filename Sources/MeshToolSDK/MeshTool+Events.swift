public import MeshEvents

extension MeshTool {
    // MARK: Emitting

    // An acknowledged `emit` beside these would be ambiguous: in an asynchronous function Swift prefers the
    // asynchronous overload. ``persistent()`` has it.

    /// Emits a user event, e.g. `try tool.emit("training.complete", ["loss": 0.023])`. Never blocks. While the
    /// connection is down the event is kept; it is sent after the reconnect. To wait until an event is stored, emit
    /// it on ``persistent()``.
    ///
    /// - Parameters:
    ///   - topic: the event's type without `user.`: `training.complete` is sent as `user.training.complete`. A topic
    ///     that begins with `user.` is taken as the whole type.
    ///   - data: the event's data.
    /// - Throws: as ``/MeshEvents/EventBus/emit(_:)-(Event)``.
    public func emit(_ topic: String, _ data: EventData = nil) throws(MeshEventsError) {
        try bus.emit(Self.type(of: topic), data)
    }

    /// Emits a payload as an event of its type.
    ///
    /// - Throws: as ``/MeshEvents/EventBus/emit(_:)-(Event)``.
    public func emit(_ payload: some EventPayload) throws(MeshEventsError) {
        try bus.emit(payload)
    }

    /// The type of a topic's events.
    static func type(of topic: String) throws(MeshEventsError) -> EventType {
        topic.hasPrefix("user.") ? try EventType(topic) : try .user(topic)
    }

    // MARK: Subscribing

    /// Subscribes to the events that match a pattern; ``bus`` offers more forms.
    ///
    /// - Throws: as ``/MeshEvents/EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``.
    public func subscribe(to pattern: EventPattern = .all) async throws(MeshEventsError) -> EventSubscription {
        try await bus.subscribe(to: pattern)
    }

    /// Calls `handler` for every event that matches a pattern: one call at a time, in order.
    ///
    /// - Throws: as ``/MeshEvents/EventBus/subscribe(to:queueGroup:buffer:handler:)-(EventPattern,_,_,_)``.
    @discardableResult
    public func subscribe(
        to pattern: EventPattern = .all,
        handler: @escaping @Sendable (Event) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        try await bus.subscribe(to: pattern, handler: handler)
    }
}

// MARK: - Deprecated

extension MeshTool {
    /// Emits a user event and returns when it is stored.
    ///
    /// - Throws: as ``/MeshEvents/PersistentEventBus/emit(_:)-(Event)`` and ``persistent()``.
    @available(*, deprecated, message: "use persistent().emit(_:_:), with the whole type: user.training.complete")
    @discardableResult
    public func emitAcknowledged(_ topic: String, _ data: EventData = nil) async throws(MeshEventsError)
        -> StoredPosition
    {
        let type = try Self.type(of: topic)
        return try await persistent().emit(type, data)
    }

    /// Emits a payload as an event of its type and returns when it is stored.
    ///
    /// - Throws: as ``/MeshEvents/PersistentEventBus/emit(_:)-(Event)`` and ``persistent()``.
    @available(*, deprecated, message: "use persistent().emit(_:)")
    @discardableResult
    public func emitAcknowledged(_ payload: some EventPayload) async throws(MeshEventsError) -> StoredPosition {
        try await persistent().emit(payload)
    }
}
