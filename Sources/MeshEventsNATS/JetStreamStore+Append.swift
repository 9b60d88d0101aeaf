public import MeshEvents
import NATSClient
import NIOCore
import Synchronization

extension JetStreamStore {
    /// How long the first attempt waits for its acknowledgement before the message is sent again; each further one
    /// waits twice as long, so that a store that is slow rather than gone is not sent ever more.
    static let attemptTimeout: Duration = .seconds(4)
    /// How long JetStream may be missing altogether, as when a cluster starts, before that counts as the answer.
    private static let absenceTolerated: Duration = .seconds(2)

    /// Stores one message; returns once the stream has acknowledged it.
    ///
    /// An acknowledgement that gets lost is asked for again by sending the message with the same id, across
    /// reconnects and changes of the leader, until the deadline. The stream stores it once: the deadline is kept within
    /// the time the stream remembers ids.
    ///
    /// "Duplicate" is an answer to a retry. To a message that cannot have been stored before it means that the id belongs
    /// to another message.
    ///
    /// - Throws: `timeout` when no acknowledgement came (the message may be stored nevertheless), `duplicateMessageID`
    ///   when another message has its id and it is not stored, `streamNotFound`,
    ///   `streamMismatch`, `storageFull`, `payloadTooLarge`, `persistenceUnavailable`, `permissionDenied`, `closed`.
    public func append(
        _ message: PendingMessage,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try checkAcknowledges()
        let start = ContinuousClock.now
        let end = start + min(deadline, duplicateWindow)
        let body = ByteBuffer(bytes: message.payload)
        var backoff = RetryBackoff(deadline: end)
        var patience = Self.attemptTimeout
        var mayBeStored = message.mayBeStored
        while true {
            let position: StoredPosition
            do throws(JetStreamError) {
                position = try await attempt(
                    message,
                    body,
                    timeout: max(min(patience, end - .now), .milliseconds(1))
                )
            } catch {
                mayBeStored = mayBeStored || !error.meansNotStored
                guard error.isRetriable, !error.errorCode.meansFull else {
                    throw MeshEventsError(error, stream: streamName)
                }
                if error.kind == .timeout { patience *= 2 }
                if error.isNoResponders || error.kind == .timeout {
                    try await explainSilence(about: message.subject, since: start, until: end)
                }
                guard await backoff.wait() else {
                    if Task.isCancelled { throw MeshEventsError(NATSError(.cancelled, "the task was cancelled")) }
                    throw MeshEventsError(
                        .timeout,
                        "stream \(streamName) did not acknowledge the event within \(deadline); it may be stored "
                            + "nevertheless, sending it again with the same message id is safe",
                        underlying: error,
                        isRetriable: true
                    )
                }
                continue
            }
            guard !position.isDuplicate || mayBeStored else {
                throw .duplicateMessageID(position, "the message to \(message.subject)")
            }
            return position
        }
    }

    /// Stores many messages in order, at most `window` under way at once.
    ///
    /// After a failure that may pass, nothing new is sent until the messages without an acknowledgement have been sent
    /// again with the same ids, oldest first.
    public func makeAppender(
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (_ first: Int, _ positions: [StoredPosition]) -> Void
    ) -> any EventAppender {
        PublishPipeline(store: self, window: window, deadline: deadline, onStored: onStored)
    }

    /// Nobody has acknowledged: throws when there is nobody who could, returns when another attempt may succeed.
    private func explainSilence(
        about subject: String,
        since start: ContinuousClock.Instant,
        until end: ContinuousClock.Instant
    ) async throws(MeshEventsError) {
        let remaining = end - .now
        guard remaining > .zero else { return }
        do throws(JetStreamError) {
            let stream = try await jetStream.streamInfo(streamName, timeout: min(remaining, .seconds(2)))
            note(stream)
            noteDomain(stream)
            guard stream.configuration.captures(subject) else {
                throw JetStreamError(code: 400, errorCode: .filterOutsideStream, message: "not a subject of the stream")
            }
        } catch {
            let isAbsent = error.isNoResponders && .now - start > Self.absenceTolerated
            guard isAbsent || !error.isRetriable else { return }
            throw MeshEventsError(error, stream: streamName)
        }
        try checkAcknowledges()
    }

    /// Throws when the stream is known to acknowledge nothing.
    func checkAcknowledges() throws(MeshEventsError) {
        guard acknowledgesNothing.load(ordering: .relaxed) else { return }
        throw MeshEventsError(
            .streamMismatch,
            "stream \(streamName) acknowledges nothing (no_ack), so that whether an event is stored cannot be known; "
                + "remove no_ack from it (`nats stream edit --ack`), or emit without waiting"
        )
    }
}

extension JetStreamError {
    /// Whether the message was not stored by the attempt that this is the answer to, for certain: no stream was there, or
    /// it was at another message with the same id.
    fileprivate var meansNotStored: Bool { isNoResponders || errorCode == .duplicateInProcess }
}

extension NATSHeaders {
    init(_ headers: MessageHeaders) {
        self.init()
        for field in headers.fields { append(field.name, field.value) }
    }
}

extension StoredPosition {
    init(_ acknowledgement: PublishAcknowledgement) {
        self.init(
            stream: acknowledgement.stream,
            sequence: acknowledgement.sequence,
            isDuplicate: acknowledgement.isDuplicate
        )
    }
}
