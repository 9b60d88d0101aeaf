import MeshConcurrency
public import MeshEvents

/// A transport without a network, for unit tests: NATS's subject rules, queue groups, order, limits and drain.
///
/// It passes the same conformance suite as the NATS transport; see ``/MeshEventsConformance/TransportConformance``.
public final class InMemoryTransport: EventTransport {
    private let mesh: InMemoryMesh
    private let link: InMemoryLink
    private let subscriptions = Locked<[ObjectIdentifier: InMemorySubscription]>([:])

    /// Connects to a mesh. Transports of the same mesh receive each other's messages.
    public init(_ mesh: InMemoryMesh = InMemoryMesh()) {
        self.mesh = mesh
        link = InMemoryLink(capacity: mesh.configuration.outboundBytes)
    }

    deinit {
        close()
    }

    /// The mesh's limit in bytes.
    public var maximumPayload: Int? { mesh.configuration.maximumPayload }

    /// The bytes that wait for delivery; the other counts are 0, since there is no connection to lose.
    public var statistics: TransportStatistics { TransportStatistics(outboundBytes: link.used) }

    /// Queues one message for delivery.
    ///
    /// - Throws: `bufferFull`, `payloadTooLarge`, `closed`; `invalidArgument` for a subject that NATS refuses.
    public func publish(_ message: OutgoingMessage) throws(MeshEventsError) {
        try Self.check(payload: message.payloadBytes.count, mesh.configuration)
        let copy = InMemoryMesh.Message(
            subject: Array(message.subjectBytes),
            payload: Array(message.payloadBytes),
            headers: message.headers.block
        )
        guard SubjectMatcher.isSubject(copy.subject) else {
            throw MeshEventsError(.invalidArgument, "not a subject: \(String(decoding: copy.subject, as: UTF8.self))")
        }
        try link.reserve(copy.size)
        let messageID = message.headers["Nats-Msg-Id"]
        mesh.publish(copy, messageID: messageID, from: link)
    }

    /// Suspends until half of the outbound buffer is free.
    ///
    /// - Throws: `closed`.
    public func waitUntilWritable() async throws(MeshEventsError) {
        try await link.waitUntilWritable()
    }

    /// Suspends until everything published before has been delivered.
    ///
    /// - Throws: `timeout`, `closed`.
    public func flush(timeout: Duration) async throws(MeshEventsError) {
        if link.isClosed { throw InMemoryLink.closedError }
        let completion = OneTimeSignal()
        mesh.mark(completion)
        try await completion.wait(until: .now + timeout, for: "the mesh to deliver what was published")
    }

    /// Subscribes at once.
    ///
    /// - Throws: `closed`; `invalidPattern` for a pattern that NATS refuses.
    public func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        let pattern = Array(subject.utf8)
        guard SubjectMatcher.isPattern(pattern) else {
            throw MeshEventsError(.invalidPattern, "not a subject pattern: \(subject)")
        }
        let subscription = InMemorySubscription(
            mesh: mesh,
            pattern: pattern,
            queueGroup: queueGroup,
            receiver: receiver
        ) { [weak self] subscription in
            self?.forget(subscription)
        }
        let isClosed = subscriptions.withLock { subscriptions in
            if link.isClosed { return true }
            subscriptions[ObjectIdentifier(subscription)] = subscription
            return false
        }
        if isClosed { throw InMemoryLink.closedError }
        mesh.subscribe(subscription)
        if link.isClosed {
            // The transport was closed meanwhile, before the subscription was in the mesh's table.
            subscription.end(because: InMemoryLink.closedError)
            throw InMemoryLink.closedError
        }
        return subscription
    }

    /// Closes the connection: calls throw `closed`, subscriptions end with that error. Harmless when repeated.
    public func close() {
        link.close()
        let open = subscriptions.withLock { subscriptions in
            defer { subscriptions = [:] }
            return Array(subscriptions.values)
        }
        for subscription in open { subscription.end(because: InMemoryLink.closedError) }
    }

    static func check(payload size: Int, _ configuration: InMemoryMesh.Configuration) throws(MeshEventsError) {
        guard size > configuration.maximumPayload else { return }
        throw MeshEventsError(
            .payloadTooLarge,
            "the payload has \(size) bytes, the server accepts at most \(configuration.maximumPayload)"
        )
    }

    private func forget(_ subscription: InMemorySubscription) {
        subscriptions.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(subscription)) }
    }
}
