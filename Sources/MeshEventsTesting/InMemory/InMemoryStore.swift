public import MeshEvents

/// A stream without a server, for unit tests: JetStream's rules on an ``InMemoryMesh``.
///
/// The mesh keeps the stream; stores of one mesh and one stream name see the same events. As with JetStream, messages
/// that a plain transport publishes to `events.>` are stored too, and subscribers receive stored messages.
public final class InMemoryStore: DurableEventStore, StreamAdministration {
    let mesh: InMemoryMesh
    let streamName: String

    /// Connects to a mesh; creates nothing.
    ///
    /// - Parameters:
    ///   - mesh: the mesh whose events are stored.
    ///   - streamName: the name of the store's stream; ``open(_:)`` must name the same one.
    public init(
        _ mesh: InMemoryMesh = InMemoryMesh(),
        streamName: String = PersistentEventBus.Configuration().streamName
    ) {
        self.mesh = mesh
        self.streamName = streamName
    }

    /// Creates the stream, or opens the existing one as the configuration's `reconcile` says.
    ///
    /// - Throws: `invalidArgument` when the configuration names another stream or is not valid; `streamMismatch`.
    public func open(_ configuration: PersistentEventBus.Configuration) async throws(MeshEventsError) -> StoreOpening {
        guard configuration.streamName == streamName else {
            throw MeshEventsError(
                .invalidArgument,
                "this store is about the stream \(streamName), not \(configuration.streamName)"
            )
        }
        try configuration.validate()
        let opening = mesh.withStreams { streams, now in
            guard var stream = streams[streamName] else {
                streams[streamName] = InMemoryStream(configuration, created: mesh.nextCreation(now))
                return StoreOpening(created: true, differences: [])
            }
            if configuration.reconcile == .update {
                let storage = stream.configuration.storage
                stream.configuration = configuration
                stream.configuration.storage = storage
                streams[streamName] = stream
            }
            return StoreOpening(created: false, differences: stream.differences(from: configuration))
        }
        try opening.check(configuration)
        return opening
    }

    /// Deletes the stream and its messages; ``open(_:)`` then creates a new one, whose sequences begin at 1.
    ///
    /// - Throws: `streamNotFound`.
    public func deleteStream() async throws(MeshEventsError) {
        _ = try await state()
        mesh.withStreams { streams, _ in streams[streamName] = nil }
        mesh.storeWaiters.wakeAll()
        mesh.streamsChanged()
    }

    /// A report on the stream; its consumers are the durable subscriptions.
    ///
    /// - Throws: `streamNotFound`.
    public func report() async throws(MeshEventsError) -> StreamReport {
        let state = try await state()
        let (configuration, kept, subjects, durables) = mesh.withStreams { streams, _ in
            let stream = streams[streamName]
            return (stream?.configuration, stream?.kept ?? [], stream?.subjects ?? [:], stream?.durables ?? [:])
        }
        return StreamReport(
            state: state,
            configuration: configuration ?? PersistentEventBus.Configuration(streamName: streamName),
            firstTime: kept.first?.storedAt,
            lastTime: kept.last?.storedAt,
            subjects: subjects,
            consumers: durables.values.map { $0.report(kept: kept) }.sorted { $0.name < $1.name }
        )
    }

    /// Deletes the events that match.
    ///
    /// - Throws: `streamNotFound`, `invalidPattern`.
    public func purge(matching pattern: EventPattern) async throws(MeshEventsError) -> UInt64 {
        try pattern.validate()
        _ = try await state()
        let subject = Array(pattern.subject.utf8)
        return mesh.withStreams { streams, _ in streams[streamName]?.purge(subject) ?? 0 }
    }

    /// Stores one message and passes it to the subscribers.
    ///
    /// - Throws: `payloadTooLarge`, `streamNotFound`, `invalidArgument` for a subject outside of `events.>`,
    ///   `duplicateMessageID`, `conflict`.
    public func append(
        _ pending: PendingMessage,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try InMemoryTransport.check(payload: pending.payload.count, mesh.configuration)
        let id = pending.messageID
        var headers: MessageHeaders = ["Nats-Msg-Id": id]
        for field in pending.headers.fields { headers.append(field.name, field.value) }
        let message = InMemoryMesh.Message(
            subject: Array(pending.subject.utf8),
            payload: pending.payload,
            headers: headers.block
        )
        guard SubjectMatcher.isSubject(message.subject) else {
            throw MeshEventsError(.invalidArgument, "not a subject: \(pending.subject)")
        }
        _ = try await state()
        let expected = pending.expectedLastSequence
        guard let position = mesh.publish(message, messageID: id, from: nil, into: streamName, expected: expected)
        else {
            if expected != nil, SubjectMatcher.matches(pattern: Array("events.>".utf8), subject: message.subject) {
                throw MeshEventsError(.conflict, "the newest message to \(pending.subject) is not the expected one")
            }
            throw MeshEventsError(.invalidArgument, "the stream \(streamName) does not take \(pending.subject)")
        }
        guard !position.isDuplicate || pending.mayBeStored else {
            throw .duplicateMessageID(position, "the message to \(pending.subject)")
        }
        return position
    }

    /// The state of the stream.
    ///
    /// - Throws: `streamNotFound`.
    public func state() async throws(MeshEventsError) -> StreamState {
        try read { $0.state }
    }

    /// The newest messages that match and lie below `before`, oldest first, however many bytes they have.
    ///
    /// - Throws: `streamNotFound`, `invalidPattern`, `invalidArgument`.
    public func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        try Self.check(limit, pattern)
        return try read { stream in
            let messages = stream.kept.reversed().lazy
                .filter { $0.sequence < before ?? .max }
                .filter { pattern.matches(subject: $0.subject) }
                .prefix(limit)
            return StoredPart(messages: messages.reversed(), created: stream.state.created)
        }
    }

    /// The first messages that match, from `start` on, oldest first, however many bytes they have.
    ///
    /// - Throws: `streamNotFound`, `invalidPattern`, `invalidArgument`.
    public func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        try Self.check(limit, pattern)
        return try read { stream in
            let matching = stream.kept.lazy
                .filter { message in
                    switch start {
                    case .sequence(let sequence): message.sequence >= sequence
                    case .time(let time): message.storedAt >= time
                    }
                }
                .filter { pattern.matches(subject: $0.subject) }
            let state = stream.state
            return StoredPart(
                messages: Array(matching.prefix(limit)),
                created: state.created,
                firstSequence: state.firstSequence
            )
        }
    }

    func read<Answer: Sendable>(_ body: (InMemoryStream) -> Answer) throws(MeshEventsError) -> Answer {
        let answer = mesh.withStreams { streams, now -> Answer? in
            streams[streamName]?.expire(now)
            return streams[streamName].map(body)
        }
        guard let answer else {
            throw MeshEventsError(.streamNotFound, "the stream \(streamName) does not exist; open it first")
        }
        return answer
    }

    private static func check(_ limit: Int, _ pattern: EventPattern) throws(MeshEventsError) {
        try pattern.validate()
        guard limit > 0 else {
            throw MeshEventsError(.invalidArgument, "the limit must be at least 1, not \(limit)")
        }
    }
}
