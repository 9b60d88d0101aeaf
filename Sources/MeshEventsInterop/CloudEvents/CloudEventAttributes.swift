public import CoreMetrics
public import MeshEvents
public import Tracing

/// Adds the attributes of a ``CloudEvent`` to each message as header fields: CloudEvents' NATS protocol binding, binary
/// mode. The payload stays the event as the mesh reads it.
///
/// ```swift
/// let bus = EventBus(
///     transport: transport,
///     node: "node-a",
///     configuration: .init(headerSources: [CloudEventAttributes()])
/// )
/// ```
///
/// The CloudEvent's id is the message id of a stored event. Other events get an id of their own.
public struct CloudEventAttributes: EventHeaderSource {
    private let ids = MessageIDs()

    /// Creates a source.
    public init() {}

    /// Adds the attributes.
    public func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) {
        for field in CloudEvent.headers(of: message.event, id: message.messageID ?? ids.next()).fields {
            headers.append(field.name, field.value)
        }
    }
}

extension EventBus.Configuration {
    /// Whether ``/MeshEvents/EventBus/Configuration/headerSources`` has a ``CloudEventAttributes``; setting adds one at
    /// the end, or removes it.
    public var cloudEvents: Bool {
        get { headerSources.contains { $0 is CloudEventAttributes } }
        set {
            guard newValue != cloudEvents else { return }
            if newValue {
                headerSources.append(CloudEventAttributes())
            } else {
                headerSources.removeAll { $0 is CloudEventAttributes }
            }
        }
    }

    /// Creates a configuration; `cloudEvents` adds a ``CloudEventAttributes``.
    @available(*, deprecated, message: "Give `headerSources: [CloudEventAttributes()]` instead.")
    public init(
        buffer: EventSubscription.Buffer = EventSubscription.Buffer(),
        onMalformed: (@Sendable (MalformedEvent) -> Void)? = nil,
        metrics: (any MetricsFactory)? = nil,
        tracer: (any Tracer)? = nil,
        signer: (any EventSigner)? = nil,
        verification: SignatureVerification? = nil,
        cloudEvents: Bool
    ) {
        self.init(
            buffer: buffer,
            onMalformed: onMalformed,
            metrics: metrics,
            tracer: tracer,
            signer: signer,
            verification: verification,
            headerSources: cloudEvents ? [CloudEventAttributes()] : []
        )
    }
}
