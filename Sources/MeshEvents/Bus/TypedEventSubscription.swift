/// An event together with its payload, already read: `crash.tool`, `crash.node`, `crash.event.timestamp`.
@dynamicMemberLookup
public struct TypedEvent<Payload: EventPayload>: Sendable {
    /// The payload.
    public let payload: Payload
    /// The event that carried it.
    public let event: Event

    /// The node that emitted it.
    public var node: String { event.node }
    /// When it was emitted.
    public var timestamp: Timestamp { event.timestamp }

    /// Creates a typed event by reading the payload from the event's data.
    ///
    /// - Throws: `malformedEvent` or `invalidData` when the data is not such a payload.
    public init(_ event: Event) throws(MeshEventsError) {
        payload = try Payload(eventData: event.data)
        self.event = event
    }

    /// A member of the payload.
    public subscript<Value>(dynamicMember keyPath: KeyPath<Payload, Value>) -> Value {
        payload[keyPath: keyPath]
    }
}

/// The events of one payload type: `for try await crash in try await bus.subscribe(to: ToolCrashed.self)`.
///
/// An event whose data is not such a payload is skipped and counted in ``malformed``. Otherwise as
/// ``EventSubscription``.
public final class TypedEventSubscription<Payload: EventPayload>: AsyncSequence, Sendable {
    /// An event and its payload.
    public typealias Element = TypedEvent<Payload>
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    private let subscription: EventSubscription
    private let reporter: MalformedReporter

    init(_ subscription: EventSubscription, reporter: MalformedReporter) {
        self.subscription = subscription
        self.reporter = reporter
    }

    /// How many events have arrived, those in ``dropped`` included.
    public var received: UInt64 { subscription.received }
    /// How many events were lost because the subscriber was slower than the mesh.
    public var dropped: UInt64 { subscription.dropped }
    /// How many messages were skipped: not events, or (once read) not events with such a payload.
    public var malformed: UInt64 { subscription.malformed }
    /// How many events were not delivered because their signature is not valid; see ``SignatureVerification``.
    public var rejected: UInt64 { subscription.rejected }

    /// Ends the subscription at once; events that wait are thrown away. Harmless when repeated.
    public func cancel() {
        subscription.cancel()
    }

    /// Ends the subscription gently; see ``EventSubscription/drain(timeout:)``.
    ///
    /// - Throws: `timeout`, `closed`.
    public func drain(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        try await subscription.drain(timeout: timeout)
    }

    /// An iterator over the events to come.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(events: subscription.makeAsyncIterator(), owner: self)
    }

    fileprivate func read(_ event: Event) -> TypedEvent<Payload>? {
        TypedEvent.read(event, channel: subscription.channel, reporter: reporter)
    }

    /// Reads the payload of each event when the caller asks for it.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var events: EventSubscription.AsyncIterator
        fileprivate let owner: TypedEventSubscription<Payload>

        /// The next event; `nil` at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> TypedEvent<Payload>? {
            while let event = try await events.next(isolation: actor) {
                if let typed = owner.read(event) { return typed }
            }
            return nil
        }

        /// The next event; `nil` at the end.
        public mutating func next() async throws(MeshEventsError) -> TypedEvent<Payload>? {
            try await next(isolation: #isolation)
        }
    }
}

extension TypedEvent {
    /// The event with its payload; `nil`, counted and reported, when the data is not such a payload.
    static func read(_ event: Event, channel: SubscriptionChannel, reporter: MalformedReporter) -> TypedEvent? {
        do throws(MeshEventsError) {
            return try TypedEvent(event)
        } catch {
            channel.countMalformed()
            reporter.report(MalformedEvent(event, reason: error.message))
            return nil
        }
    }
}

extension MalformedEvent {
    /// Describes an event whose data is not a payload of its type.
    fileprivate init(_ event: Event, reason: String) {
        let subject = Array(event.subject.utf8)
        let data = Array(event.data.json.utf8)
        self = subject.withUnsafeBytes { subject in
            data.withUnsafeBytes { MalformedEvent(subject: subject, payload: $0, reason: reason) }
        }
    }
}
