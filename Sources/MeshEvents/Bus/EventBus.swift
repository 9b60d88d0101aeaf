public import CoreMetrics
public import Logging
import MeshConcurrency
import MessageGrammar
import Synchronization
public import Tracing

/// Emits events to the mesh and subscribes to those of others.
///
/// ```swift
/// let bus = EventBus(transport: transport, node: "node-a")
/// let crashes = try await bus.subscribe(to: ToolCrashed.self)
/// try bus.emit(ToolStarted(tool: "whisper"))
/// for try await crash in crashes { print(crash.node, crash.tool) }
/// ```
///
/// Events that one task emits arrive at one subscriber in the order of the calls. A bus lives as long as the program
/// holds a reference to it or one of its subscriptions is active. Close it when handlers were subscribed and are no
/// longer needed.
public final class EventBus: Sendable {
    /// What a bus does by default.
    public struct Configuration: Sendable {
        /// The buffer of a subscription that was made without one.
        public var buffer: EventSubscription.Buffer
        /// Called for every message that was skipped because it is not an event.
        ///
        /// Called on the transport's thread: it must be quick and must not block.
        public var onMalformed: (@Sendable (MalformedEvent) -> Void)?
        /// Makes the metrics that ``EventMetric`` lists. `nil` for the process's factory: call
        /// `MetricsSystem.bootstrap` before you make a bus. `NOOPMetricsHandler.instance` for no metrics.
        public var metrics: (any MetricsFactory)?
        /// The time between two reports to the metrics' backend. Default 1 s.
        public var metricsInterval: Duration
        /// Makes a span for each event that is emitted or handled, and sends its context in the event's header fields.
        /// Default none.
        public var tracer: (any Tracer)?
        /// Signs the events that this node emits. Default none.
        public var signer: (any EventSigner)?
        /// How the bus verifies the signatures of arriving events. Default: it does not.
        public var verification: SignatureVerification?
        /// Add header fields to the messages of emitted events, in this order, as `CloudEventAttributes` (module
        /// MeshEventsInterop) does. Default none.
        public var headerSources: [any EventHeaderSource]

        /// Creates a configuration.
        public init(
            buffer: EventSubscription.Buffer = EventSubscription.Buffer(),
            onMalformed: (@Sendable (MalformedEvent) -> Void)? = nil,
            metrics: (any MetricsFactory)? = nil,
            tracer: (any Tracer)? = nil,
            signer: (any EventSigner)? = nil,
            verification: SignatureVerification? = nil,
            headerSources: [any EventHeaderSource] = []
        ) {
            self.buffer = buffer
            self.onMalformed = onMalformed
            self.metrics = metrics
            metricsInterval = .seconds(1)
            self.tracer = tracer
            self.signer = signer
            self.verification = verification
            self.headerSources = headerSources
        }
    }

    private struct State {
        var isClosed = false
        var channels: [ObjectIdentifier: SubscriptionChannel] = [:]
    }

    /// The name that events without a node get.
    public let node: String

    let configuration: Configuration
    let logger: Logger
    let reporter: MalformedReporter
    package let transport: any EventTransport
    let encoder = EventEncoder()
    let admission: SignatureCheck
    /// `nil` when the metrics factory makes no metrics.
    let metrics: BusMetrics?
    let tracing: EventTracing?
    /// `nil` for a bus that does not sign.
    let signature: SignatureSource?
    /// Those of the configuration, then the signature.
    let headerSources: [any EventHeaderSource]
    /// Whether emitting only encodes and publishes: no metrics, no span, no header fields.
    let isPlain: Bool
    private let closed = Atomic(false)
    private let state = Locked(State())

    /// Creates a bus on a transport. The caller keeps owning the transport: closing the bus does not close it.
    ///
    /// - Parameters:
    ///   - transport: carries the events.
    ///   - node: this node's name in the mesh; events without a node get it.
    ///   - configuration: the defaults of subscriptions.
    ///   - logger: gets a line about malformed events and failing handlers, at most one a second each.
    public init(
        transport: some EventTransport,
        node: String,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.bus")
    ) {
        self.transport = transport
        self.node = node
        self.configuration = configuration
        self.logger = logger
        reporter = MalformedReporter(logger: logger, callback: configuration.onMalformed)
        admission = SignatureCheck(configuration.verification, logger: logger)
        metrics = BusMetrics(
            configuration.metrics,
            node: node,
            transport: transport,
            interval: configuration.metricsInterval
        )
        tracing = configuration.tracer.map { EventTracing(tracer: $0) }
        signature = configuration.signer.map { SignatureSource(signer: $0, node: node) }
        headerSources = configuration.headerSources + (signature.map { [$0] } ?? [])
        isPlain = metrics == nil && tracing == nil && headerSources.isEmpty
    }

    // MARK: Emitting

    /// Emits an event: its timestamp becomes the current time, an empty node this bus's. Never blocks.
    ///
    /// An event that the server's permissions forbid is refused after this has returned. The next emit of its type, or
    /// ``flush(timeout:)``, whichever comes first, throws `permissionDenied` once.
    ///
    /// - Throws: `invalidEventType` or `invalidData` (nothing is sent), `payloadTooLarge`, `bufferFull` (retriable: see
    ///   ``waitUntilWritable()``), `permissionDenied`, `closed`.
    public func emit(_ event: Event) throws(MeshEventsError) {
        try send(event.type, node: event.node.isEmpty ? node : event.node, data: event.data)
    }

    /// Emits a payload as an event of its type.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    public func emit(_ payload: some EventPayload) throws(MeshEventsError) {
        try send(payload)
    }

    /// Emits an event of a type with data.
    ///
    /// - Throws: as ``emit(_:)-(Event)``.
    public func emit(_ type: EventType, _ data: EventData = nil) throws(MeshEventsError) {
        try send(type, node: node, data: data)
    }

    /// Emits many events, as fast as the transport takes them: suspends while its buffer is full.
    ///
    /// - Throws: as ``emit(_:)-(Event)``, except `bufferFull`. The events before the failed one are sent.
    public func emit(contentsOf events: some Sequence<Event>) async throws(MeshEventsError) {
        for event in events {
            while true {
                do throws(MeshEventsError) {
                    try emit(event)
                    break
                } catch {
                    guard error.code == .bufferFull else { throw error }
                    try await waitUntilWritable()
                }
            }
        }
    }

    /// Suspends until the transport's buffer has room for another event; returns at once when it has.
    ///
    /// - Throws: `closed`.
    public func waitUntilWritable() async throws(MeshEventsError) {
        guard !isClosed else { throw Self.closedError }
        try await transport.waitUntilWritable()
    }

    /// Suspends until the server has processed everything emitted before.
    ///
    /// - Throws: `timeout`, `closed`, `permissionDenied`.
    public func flush(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        guard !isClosed else { throw Self.closedError }
        try await transport.flush(timeout: timeout)
    }

    // MARK: Closing

    /// Cancels every subscription; from now on calls throw `closed`. Events that were emitted are still sent.
    /// Harmless when repeated.
    public func close() async {
        for channel in endAll() { channel.cancel() }
        reportMetrics()
    }

    // MARK: Subscribing, shared by all forms

    /// Opens a subscription; the server has it when this returns.
    func open(
        subject: String,
        queueGroup: String?,
        buffer: EventSubscription.Buffer?
    ) async throws(MeshEventsError) -> SubscriptionChannel {
        let buffer = buffer ?? configuration.buffer
        try buffer.validate()
        try Self.validate(queueGroup: queueGroup)
        // A subscription keeps its bus alive until it ends; then the channel releases this closure, which ends the
        // cycle.
        let channel = SubscriptionChannel(buffer, pattern: subject, metrics: metrics) { [self] channel in
            forget(channel)
        }
        metrics?.add(channel)
        try register(channel)
        let receiver = EventReceiver(channel: channel, reporter: reporter, admission: admission)
        do {
            channel.attach(try await transport.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver))
        } catch {
            channel.cancel()
            throw error
        }
        guard !isClosed else {
            channel.cancel()
            throw Self.closedError
        }
        return channel
    }

    // MARK: Inside

    var isClosed: Bool { closed.load(ordering: .acquiring) }

    static let closedError = MeshEventsError(.closed, "the event bus has been closed")

    func stamped(_ event: Event, at time: Timestamp = .now) -> Event {
        var event = event
        event.timestamp = time
        if event.node.isEmpty { event.node = node }
        return event
    }

    private func register(_ channel: SubscriptionChannel) throws(MeshEventsError) {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.channels[ObjectIdentifier(channel)] = channel }
            return state.isClosed
        }
        if isClosed { throw Self.closedError }
    }

    private func forget(_ channel: SubscriptionChannel) {
        state.withLock { _ = $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    private func endAll() -> [SubscriptionChannel] {
        closed.store(true, ordering: .releasing)
        return state.withLock { state in
            state.isClosed = true
            defer { state.channels = [:] }
            return Array(state.channels.values)
        }
    }

    private static func validate(queueGroup: String?) throws(MeshEventsError) {
        guard let queueGroup, let problem = SubjectGrammar.problem(inQueueGroup: queueGroup) else { return }
        throw MeshEventsError(.invalidArgument, "the queue group \(SubjectRules.quoted(queueGroup)) \(problem)")
    }
}

/// Encoding an event and publishing it on the transport.
extension EventBus {
    /// Encodes an event on the stack, or on the heap when it is too large, and publishes it. Takes the parts of the
    /// event, since copying an `Event` costs time.
    func send(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        guard isPlain else { return try sendInFull(type, node: node, data: data) }
        let timestamp = Timestamp.now
        let isSent = try encodeOnStack(type) { buffer throws(MeshEventsError) in
            try encoder.encode(type, node: node, timestamp: timestamp, data: data, into: buffer)
        }
        if !isSent { try sendLarge(Event(type, node: node, timestamp: timestamp, data: data)) }
    }

    /// Encodes and publishes a payload without building an ``EventData`` first.
    func send<Payload: EventPayload>(_ payload: Payload) throws(MeshEventsError) {
        let type = Payload.eventType
        guard isPlain else { return try sendInFull(type, node: node, data: payload.eventData()) }
        let timestamp = Timestamp.now
        let isSent = try encodeOnStack(type) { buffer throws(MeshEventsError) in
            try encoder.encode(payload, node: node, timestamp: timestamp, into: buffer)
        }
        if !isSent { try sendLarge(Event(type, node: node, timestamp: timestamp, data: payload.eventData())) }
    }

    /// - Returns: whether the event fitted and was sent. `encode` returns the number of bytes; `nil` when they do not
    ///   fit.
    @inline(__always)
    private func encodeOnStack(
        _ type: EventType,
        _ encode: (UnsafeMutableRawBufferPointer) throws(MeshEventsError) -> Int?
    ) throws(MeshEventsError) -> Bool {
        guard !isClosed else { throw Self.closedError }
        return try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) {
            buffer throws(MeshEventsError) -> Bool in
            guard let length = try encode(buffer) else { return false }
            try publish(type.subject, UnsafeRawBufferPointer(rebasing: buffer[..<length]))
            return true
        }
    }

    private func sendLarge(_ event: Event) throws(MeshEventsError) {
        let bytes = try encoder.encode(event)
        let result = bytes.withUnsafeBytes { payload in
            Result { () throws(MeshEventsError) in try publish(event.type.subject, payload) }
        }
        try result.get()
    }

    private func publish(_ subject: String, _ payload: UnsafeRawBufferPointer) throws(MeshEventsError) {
        var subject = subject
        let result = subject.withUTF8 { subject -> Result<Void, MeshEventsError> in
            Result { () throws(MeshEventsError) in
                try transport.publish(
                    OutgoingMessage(subjectBytes: UnsafeRawBufferPointer(subject), payloadBytes: payload)
                )
            }
        }
        try result.get()
    }

    // MARK: With metrics, a span or header fields

    /// Emits an event of a bus that is not ``isPlain``.
    @inline(never)
    private func sendInFull(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        let span = tracing?.startEmit(type.subject, node: node)
        defer { span?.end() }
        do throws(MeshEventsError) {
            guard !isClosed else { throw Self.closedError }
            let event = Event(type, node: node, timestamp: .now, data: data)
            let payload = try encoder.encode(event)
            let headers = try headers(of: EncodedEvent(event, payload: payload), in: span)
            try publish(type.subject, payload, headers)
        } catch {
            metrics?.failed(error)
            span?.failed(error)
            throw error
        }
        metrics?.emitted.add(1, ordering: .relaxed)
    }

    private func publish(
        _ subject: String,
        _ payload: [UInt8],
        _ headers: MessageHeaders
    ) throws(MeshEventsError) {
        var subject = subject
        let result = subject.withUTF8 { subject in
            payload.withUnsafeBytes { payload in
                Result { () throws(MeshEventsError) in
                    let subject = UnsafeRawBufferPointer(subject)
                    try transport.publish(
                        OutgoingMessage(subjectBytes: subject, payloadBytes: payload, headers: headers)
                    )
                }
            }
        }
        try result.get()
    }
}
