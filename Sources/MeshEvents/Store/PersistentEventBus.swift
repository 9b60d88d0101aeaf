public import Logging
import MeshLogging
import Tracing

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

/// An event bus whose events are stored: ``emit(_:)-(Event)`` returns once the store has the event, and
/// ``history(matching:filter:limit:)`` reads stored events.
///
/// ```swift
/// let persistent = try await PersistentEventBus.open(transport: transport, store: store, node: "node-a")
/// try await persistent.emit(ToolInstalled(tool: "whisper", version: "v1.0.0"))
/// for stored in try await persistent.history(matching: .allTools) { print(stored.sequence, stored.event) }
/// ```
public final class PersistentEventBus: Sendable {
    /// The plain bus on the same transport: emits without an acknowledgement.
    public let bus: EventBus
    /// What opening the stream found; how an existing stream differs from the configuration.
    public let opening: StoreOpening
    /// Reads stored events; pass it to code that only reads.
    public let historyReader: EventHistory

    /// Signs what this node emits; `nil` for a bus that does not sign.
    package var signer: (any EventSigner)? { bus.configuration.signer }

    let store: any EventStore
    /// The replays that this bus has opened; closing the bus ends them.
    let replays = ReplayRegistry()
    let durables = OpenDurables()
    package let configuration: Configuration
    /// `nil` when the metrics factory makes no metrics.
    let metrics: StoreMetrics?
    let encoder = EventEncoder()
    let messageIDs = MessageIDs()

    private init(
        bus: EventBus,
        store: any EventStore,
        opening: StoreOpening,
        historyReader: EventHistory,
        configuration: Configuration
    ) {
        self.bus = bus
        self.store = store
        self.opening = opening
        self.historyReader = historyReader
        self.configuration = configuration
        metrics = bus.metrics.map { StoreMetrics(stream: configuration.streamName, metrics: $0) }
    }

    /// Opens the stream, creating it when it does not exist, and a bus beside it.
    ///
    /// By default a stream that exists with another configuration is used as it is; ``opening`` and one log line say
    /// how it differs. See ``PersistentEventBus/Configuration/Reconciliation``.
    ///
    /// - Parameters:
    ///   - transport: carries the events of ``bus``.
    ///   - store: stores the events, those that the transport carries included. The bus opens its stream when the store
    ///     is ``StreamAdministration`` too; otherwise the stream must exist. Durable subscriptions need a
    ///     ``DurableEventStore``.
    ///   - node: this node's name in the mesh; events without a node get it.
    ///   - configuration: the stream. The default is that of the mesh.
    ///   - busConfiguration: the configuration of ``bus``; its tracing, metrics and signatures apply to this bus too.
    ///   - logger: gets lines about differences, malformed events and failing handlers.
    /// - Throws: what the store throws: `persistenceUnavailable`, `permissionDenied`, `timeout`, `connectionFailed` …
    public static func open(
        transport: some EventTransport,
        store: some EventStore,
        node: String,
        configuration: Configuration = Configuration(),
        busConfiguration: EventBus.Configuration = EventBus.Configuration(),
        logger: Logger = Logger(label: "mesh-events.bus")
    ) async throws(MeshEventsError) -> PersistentEventBus {
        let opening = try await openStream(of: store, configuration)
        if !opening.differences.isEmpty {
            logger.warning(
                "the stream exists with another configuration and is used as it is",
                [
                    .stream: "\(configuration.streamName)",
                    .differences: .array(opening.differences.map { "\($0)" }),
                ]
            )
        }
        return PersistentEventBus(
            bus: EventBus(transport: transport, node: node, configuration: busConfiguration, logger: logger),
            store: store,
            opening: opening,
            historyReader: EventHistory(
                store: store,
                verification: busConfiguration.verification,
                logger: logger
            ),
            configuration: configuration
        )
    }

    /// This node's name in the mesh.
    public var node: String { bus.node }

    /// Emits an event and waits until it is stored: its timestamp becomes the current time, an empty node this bus's.
    ///
    /// The event carries its own message id, so that a retry never stores it twice. Only this bus knows the id
    /// beforehand.
    ///
    /// - Throws: `invalidEventType`, `invalidData`, `payloadTooLarge` (nothing is sent); `timeout` when the store has
    ///   not acknowledged within the configuration's deadline (the event may be stored nevertheless);
    ///   `duplicateMessageID` when another message had the event's id (it is not stored); `storageFull`,
    ///   `streamNotFound`, `closed`.
    @discardableResult
    public func emit(_ event: Event) async throws(MeshEventsError) -> StoredPosition {
        guard bus.isPlain else { return try await emitInFull(event) }
        return try await store(pending(event))
    }

    func makeAppender(onStored: @escaping @Sendable (Int, [StoredPosition]) -> Void) -> any EventAppender {
        store.makeAppender(
            window: configuration.acknowledgementWindow,
            deadline: configuration.acknowledgementDeadline,
            onStored: onStored
        )
    }

    /// Emits a payload as an event of its type and waits until it is stored.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    @discardableResult
    public func emit(_ payload: some EventPayload) async throws(MeshEventsError) -> StoredPosition {
        try await emit(Event(type(of: payload).eventType, data: payload.eventData()))
    }

    /// Emits an event of a type with data and waits until it is stored.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    @discardableResult
    public func emit(_ type: EventType, _ data: EventData = nil) async throws(MeshEventsError) -> StoredPosition {
        try await emit(Event(type, data: data))
    }

    /// The newest events that match, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - filter: only events that pass. Default: all of them.
    ///   - limit: how many at most, from 1. Default 50.
    /// - Throws: `invalidPattern`, `invalidArgument`, and what the store throws.
    public func history(
        matching pattern: EventPattern = .all,
        filter: EventFilter = EventFilter(),
        limit: Int = 50
    ) async throws(MeshEventsError) -> [StoredEvent] {
        try await historyReader.newest(limit, matching: pattern, filter: filter)
    }

    /// The first events that match from a point in time on, oldest first.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - since: the earliest time of storing, inclusive.
    ///   - filter: only events that pass. Default: all of them.
    ///   - limit: how many at most, from 1. Default 50.
    /// - Throws: as ``history(matching:filter:limit:)``.
    public func history(
        matching pattern: EventPattern = .all,
        since: Timestamp,
        filter: EventFilter = EventFilter(),
        limit: Int = 50
    ) async throws(MeshEventsError) -> [StoredEvent] {
        try await historyReader.first(limit, matching: pattern, since: since, filter: filter)
    }

    /// The events that match a query, with the cursor of the next page.
    ///
    /// - Throws: as ``EventHistory/page(_:)``.
    public func history(_ query: EventHistory.Query) async throws(MeshEventsError) -> EventHistory.Page {
        try await historyReader.page(query)
    }

    /// Closes ``bus``, ends replays, and hands back the unanswered events of durable subscriptions. From now on
    /// emitting throws `closed`. The transport stays open.
    public func close() async {
        replays.cancelAll()
        await durables.cancelAll()
        await bus.close()
    }
}

/// Makes messages for the store from events.
extension PersistentEventBus {
    /// Makes the message that stores an event: encoded, with a message id of its own.
    ///
    /// - Parameter time: when it happened.
    package func pending(_ event: Event, at time: Timestamp = .now) throws(MeshEventsError) -> PendingMessage {
        let messageID = messageIDs.next()
        guard let tracing = bus.tracing else {
            return try pending(event, at: time, messageID, in: nil)
        }
        // The message is sent later, or in a batch: the span covers only making the message.
        let span = tracing.startEmit(event.subject, node: event.node.isEmpty ? node : event.node, messageID: messageID)
        defer { span.end() }
        return try pending(event, at: time, messageID, in: span)
    }

    /// Emits an event of a bus that is not ``EventBus/isPlain``, and waits until it is stored.
    func emitInFull(_ event: Event) async throws(MeshEventsError) -> StoredPosition {
        let messageID = messageIDs.next()
        let span = bus.tracing?.startEmit(
            event.subject,
            node: event.node.isEmpty ? node : event.node,
            messageID: messageID
        )
        defer { span?.end() }
        let message: PendingMessage
        do throws(MeshEventsError) {
            message = try pending(event, at: .now, messageID, in: span)
        } catch {
            metrics?.failed(error)
            span?.failed(error)
            throw error
        }
        do throws(MeshEventsError) {
            return try await store(message)
        } catch {
            span?.failed(error)
            throw error
        }
    }

    private func pending(
        _ event: Event,
        at time: Timestamp,
        _ messageID: String,
        in span: (any Span)?
    ) throws(MeshEventsError) -> PendingMessage {
        guard !bus.isClosed else { throw EventBus.closedError }
        let stamped = bus.stamped(event, at: time)
        let payload = try encoder.encode(stamped)
        return PendingMessage(
            subject: event.type.subject,
            payload: payload,
            messageID: messageID,
            headers: try bus.headers(of: EncodedEvent(stamped, payload: payload, messageID: messageID), in: span)
        )
    }
}

/// For events that are stored later than they happen: those of the lifecycle, which must survive outages of the store.
extension PersistentEventBus {
    /// Stores a message made by ``pending(_:at:)``. The caller may retry after an error: the message carries its
    /// message id.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    @discardableResult
    package func store(_ message: PendingMessage) async throws(MeshEventsError) -> StoredPosition {
        guard !bus.isClosed else { throw EventBus.closedError }
        let deadline = configuration.acknowledgementDeadline
        guard let metrics else { return try await store.append(message, deadline: deadline) }
        let start = ContinuousClock.now
        do throws(MeshEventsError) {
            let position = try await store.append(message, deadline: deadline)
            metrics.acknowledged(1, since: start)
            return position
        } catch {
            metrics.failed(error)
            throw error
        }
    }

    /// Opens the stream again; creates it when it no longer exists.
    ///
    /// - Throws: as ``open(transport:store:node:configuration:logger:)``.
    package func reopenStore() async throws(MeshEventsError) {
        _ = try await Self.openStream(of: store, configuration)
    }
}

// Plain subscriptions, beside those with a durable: `persistent.subscribe(to:)` is `persistent.bus.subscribe(to:)`.
extension PersistentEventBus {
    /// Subscribes to the events that are emitted from now on; ``replay(matching:filter:from:)-(EventPattern,_,_)`` begins with
    /// stored ones, ``subscribe(durable:to:configuration:)`` keeps its place.
    ///
    /// - Throws: as ``EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``.
    public func subscribe(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil
    ) async throws(MeshEventsError) -> EventSubscription {
        try await bus.subscribe(to: pattern, queueGroup: queueGroup, buffer: buffer)
    }

    /// Subscribes to the events that are emitted from now on, and passes the subscription to `body`; ends it when `body`
    /// returns or throws.
    ///
    /// - Throws: as ``EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``, and what `body` throws.
    public func withSubscription<Result>(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        _ body: (EventSubscription) async throws -> Result
    ) async throws -> Result {
        try await bus.withSubscription(to: pattern, queueGroup: queueGroup, buffer: buffer, body)
    }

    /// Subscribes to the events of a payload's type that are emitted from now on, and reads the payload of each.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``.
    public func subscribe<Payload: EventPayload>(
        to payload: Payload.Type,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil
    ) async throws(MeshEventsError) -> TypedEventSubscription<Payload> {
        try await bus.subscribe(to: payload, queueGroup: queueGroup, buffer: buffer)
    }

    /// Calls `handler` for every event that is emitted from now on and matches; see
    /// ``EventBus/subscribe(to:queueGroup:buffer:handler:)-(EventPattern,_,_,_)``.
    ///
    /// - Throws: as ``EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @discardableResult
    public func subscribe(
        to pattern: EventPattern = .all,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        handler: @escaping @Sendable (Event) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        try await bus.subscribe(to: pattern, queueGroup: queueGroup, buffer: buffer, handler: handler)
    }

    /// Calls `handler` for every event of a payload's type that is emitted from now on; see
    /// ``EventBus/subscribe(to:queueGroup:buffer:handler:)-(EventPattern,_,_,_)``.
    ///
    /// - Throws: `invalidEventType`; otherwise as ``EventBus/subscribe(to:queueGroup:buffer:)->EventSubscription``.
    @discardableResult
    public func subscribe<Payload: EventPayload>(
        to payload: Payload.Type,
        queueGroup: String? = nil,
        buffer: EventSubscription.Buffer? = nil,
        handler: @escaping @Sendable (TypedEvent<Payload>) async throws -> Void
    ) async throws(MeshEventsError) -> HandlerSubscription {
        try await bus.subscribe(to: payload, queueGroup: queueGroup, buffer: buffer, handler: handler)
    }
}

#if ServiceLifecycle
    extension PersistentEventBus: Service {
        /// Waits for the graceful shutdown of its service group, or for cancellation, then closes the bus.
        public func run() async throws {
            try? await gracefulShutdown()
            await close()
        }
    }
#endif
