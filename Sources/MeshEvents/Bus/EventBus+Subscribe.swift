extension EventBus {
    // MARK: As a sequence

    /// Subscribes to the events that match a pattern.
    ///
    /// When this returns the server has the subscription: events that any node emits from now on arrive.
    ///
    /// - Parameters:
    ///   - pattern: which events, e.g. `"tool.*"`, `.toolCrashed` or `.type(event.type)`. Default: all of them.
    ///   - queueGroup: members of a group share the events: each goes to one of them.
    ///   - buffer: how much may wait to be read; the bus's default when `nil`.
    /// - Throws: `invalidPattern`, `invalidArgument`, `closed`, and what the transport throws.
    public func subscribe(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil
    ) async throws(MeshEventsError) -> EventSubscription {
        try pattern.validate()
        return EventSubscription(
            channel: try await open(subject: pattern.subject, queueGroup: queueGroup, buffer: buffer)
        )
    }

    /// Subscribes to the events of a payload's type and reads the payload of each.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``subscribe(to:queueGroup:buffer:)->EventSubscription``.
    public func subscribe<Payload: EventPayload>(
        to payload: Payload.Type,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil
    ) async throws(MeshEventsError) -> TypedEventSubscription<Payload> {
        try Payload.eventType.validate()
        return TypedEventSubscription(
            try await subscribe(to: .type(Payload.eventType), queueGroup: queueGroup, buffer: buffer),
            reporter: reporter
        )
    }

    /// Subscribes to the events that match a pattern, and passes the subscription to `body`; ends it when `body` returns or
    /// throws.
    ///
    /// ```swift
    /// try await bus.withSubscription(to: "tool.*") { events in
    ///     for try await event in events { print(event) }
    /// }
    /// ```
    ///
    /// - Throws: as ``subscribe(to:queueGroup:buffer:)->EventSubscription``, and what `body` throws.
    public func withSubscription<Result>(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        _ body: (EventSubscription) async throws -> Result
    ) async throws -> Result {
        let subscription = try await subscribe(to: pattern, queueGroup: queueGroup, buffer: buffer)
        defer { subscription.cancel() }
        return try await body(subscription)
    }

    // MARK: With a handler

    /// Calls `handler` for every event that matches a pattern: one call at a time, in order, off the caller's actor.
    ///
    /// The subscription lives until it is cancelled or drained or the bus is closed; there is no need to keep it. An
    /// error that the handler throws is counted and logged and does not end it.
    ///
    /// - Throws: as ``subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @discardableResult
    public func subscribe(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        handler: @escaping @Sendable (Event) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        try pattern.validate()
        let channel = try await open(subject: pattern.subject, queueGroup: queueGroup, buffer: buffer)
        return HandlerSubscription(
            channel: channel,
            pattern: pattern.subject,
            logger: logger,
            tracing: tracing,
            handler: handler
        )
    }

    /// Calls `handler` for every event of a payload's type; see ``subscribe(to:queueGroup:buffer:handler:)-(EventPattern,_,_,_)``.
    ///
    /// An event whose data is not such a payload is skipped and counted as malformed.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @discardableResult
    public func subscribe<Payload: EventPayload>(
        to payload: Payload.Type,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        handler: @escaping @Sendable (TypedEvent<Payload>) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        let type = Payload.eventType
        try type.validate()
        let channel = try await open(subject: type.subject, queueGroup: queueGroup, buffer: buffer)
        let reporter = reporter
        return HandlerSubscription(channel: channel, pattern: type.subject, logger: logger, tracing: tracing) { event in
            guard let typed = TypedEvent<Payload>.read(event, channel: channel, reporter: reporter) else { return }
            try await handler(typed)
        }
    }
}

// MARK: - Deprecated

extension EventBus {
    /// Subscribes to the events of one type.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @available(*, deprecated, message: "use subscribe(to: .type(type)), or the pattern of that name: .toolCrashed")
    public func subscribe(
        type: EventType,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil
    ) async throws(MeshEventsError) -> EventSubscription {
        try type.validate()
        return try await subscribe(to: .type(type), queueGroup: queueGroup, buffer: buffer)
    }

    /// Calls `handler` for every event of one type.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @available(*, deprecated, message: "use subscribe(to: .type(type)), or the pattern of that name: .toolCrashed")
    @discardableResult
    public func subscribe(
        type: EventType,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        handler: @escaping @Sendable (Event) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        try type.validate()
        return try await subscribe(to: .type(type), queueGroup: queueGroup, buffer: buffer, handler: handler)
    }
}
