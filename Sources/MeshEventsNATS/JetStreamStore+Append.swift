public import MeshEvents
import NATSClient
import NIOCore
import Synchronization

extension JetStreamStore {
    /// How long the first attempt waits for its acknowledgement, once the server has the message, before it is sent again;
    /// each further one waits twice as long, so that a store that is slow rather than gone is not sent ever more.
    static let attemptTimeout: Duration = .seconds(4)
    /// From how many bytes on it matters that a message goes over the way once.
    private static let largePayload = 64 << 10
    /// How long JetStream may be missing altogether, as when a cluster starts, before that counts as the answer.
    private static let absenceTolerated: Duration = .seconds(2)

    /// Stores one message; returns once the stream has acknowledged it.
    ///
    /// An acknowledgement that gets lost is asked for again by sending the message with the same id, across
    /// reconnects and changes of the leader, until the deadline. Until a ping behind the message is answered it is under
    /// way, and is not sent again on the same connection; while something comes or goes, that time does not count. The
    /// stream stores it once: when the message was first sent longer ago than the stream remembers ids, the stream is read
    /// to see whether it is there.
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
        try await append(message, deadline: deadline, sent: nil)
    }

    /// The same for a message that has perhaps been sent before.
    ///
    /// - Parameters:
    ///   - sent: when that was.
    ///   - silence: how much of the deadline is over: so long nothing has come. One attempt is made at least.
    func append(
        _ message: PendingMessage,
        deadline: Duration,
        sent: FirstSending?,
        silence: Duration = .zero
    ) async throws(MeshEventsError) -> StoredPosition {
        try checkAcknowledges()
        let start = ContinuousClock.now
        var end = start + (deadline - min(silence, max(deadline - Self.attemptTimeout, .zero)))
        var first = sent ?? FirstSending(after: lastKnownPosition)
        var wasSent = sent != nil
        let body = ByteBuffer(bytes: message.payload)
        var backoff = RetryBackoff(deadline: end)
        var patience = Self.attemptTimeout
        var mayBeStored = message.mayBeStored
        while true {
            if wasSent { await renew() }
            if wasSent, first.isForgotten(window: duplicateWindow) {
                let look = ContinuousClock.now
                let found = try await find(
                    [message.messageID],
                    on: [message.subject],
                    after: first.after,
                    patience: deadline
                )
                if let sequence = found.positions[message.messageID] {
                    return StoredPosition(stream: streamName, sequence: sequence, isDuplicate: true)
                }
                guard !found.hasGaps else { throw outcomeLost() }
                first = FirstSending(after: found.last, at: look)
            }
            let isRetry = wasSent
            wasSent = true
            let position: StoredPosition
            var onTheWay: Duration = .zero
            do throws(JetStreamError) {
                let left = max(end - .now, .milliseconds(1))
                position =
                    body.readableBytes >= Self.largePayload
                    ? try await patientAttempt(message, body, patience, left, isRetry: isRetry, &onTheWay)
                    : try await quickAttempt(message, body, patience, left, isRetry: isRetry, &onTheWay)
            } catch {
                mayBeStored = mayBeStored || !error.meansNotStored
                guard error.isRetriable, !error.errorCode.meansFull else {
                    throw MeshEventsError(error, stream: streamName)
                }
                if error.kind == .timeout {
                    // The time on a slow way does not count.
                    end += onTheWay
                    backoff.deadline = end
                    patience *= 2
                }
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
            note(sequence: position.sequence)
            return position
        }
    }

    /// One attempt that is over when the server that we are connected to has had the message for a while. That may be a leaf
    /// node, and the stream behind a line that takes longer: then the next attempt waits longer, and costs little.
    private func quickAttempt(
        _ message: PendingMessage,
        _ body: ByteBuffer,
        _ patience: Duration,
        _ left: Duration,
        isRetry: Bool,
        _ onTheWay: inout Duration
    ) async throws(JetStreamError) -> StoredPosition {
        let (begun, moved) = (ContinuousClock.now, movedBytes)
        defer { if movedBytes != moved { onTheWay = max(.now - begun - patience, .zero) } }
        return try await attempt(message, body, timeout: min(patience, left), silence: left, isRetry: isRetry)
    }

    /// One attempt that is over when the *stream* has had the message for a while: sending it again would cost a slow line
    /// behind a leaf node as much as sending it did.
    private func patientAttempt(
        _ message: PendingMessage,
        _ body: ByteBuffer,
        _ patience: Duration,
        _ left: Duration,
        isRetry: Bool,
        _ onTheWay: inout Duration
    ) async throws(JetStreamError) -> StoredPosition {
        enum Part: Sendable {
            case answer(Result<StoredPosition, JetStreamError>)
            case silence(onTheWay: Duration)
        }
        let (answer, way) = await withTaskGroup(of: Part.self) { group in
            group.addTask {
                do throws(JetStreamError) {
                    // How long it may take is decided beside it.
                    let endless = left + .seconds(24 * 3_600)
                    return .answer(
                        .success(
                            try await self.attempt(message, body, timeout: endless, silence: left, isRetry: isRetry)
                        )
                    )
                } catch {
                    return .answer(.failure(error))
                }
            }
            group.addTask {
                let connection = self.jetStream.connection
                var end = ContinuousClock.now + left
                try? await Task.sleep(for: min(patience, left))
                let begun = ContinuousClock.now
                guard (try? await connection.roundTrip(silence: end - .now)) != nil else {
                    return .silence(onTheWay: .zero)
                }
                let onTheWay = ContinuousClock.now - begun
                end += onTheWay
                if await self.reachStream(within: end - .now) {
                    try? await Task.sleep(for: min(patience, end - .now))
                    try? await connection.roundTrip(silence: patience)
                }
                return .silence(onTheWay: onTheWay)
            }
            var (answer, way) = (Result<StoredPosition, JetStreamError>?.none, Duration.zero)
            for await part in group {
                switch part {
                case .answer(let result): answer = result
                case .silence(let onTheWay): way = onTheWay
                }
                group.cancelAll()
            }
            return (answer, way)
        }
        switch answer {
        case .success(let position)?: return position
        // Given up beside it.
        case .failure(let error)? where error.underlying?.code == .cancelled && !Task.isCancelled:
            onTheWay = way
            throw JetStreamError(.timeout, "the stream has the message and did not acknowledge it")
        case .failure(let error)?: throw error
        case nil: throw JetStreamError(NATSError(.cancelled, "the task was cancelled"))
        }
    }

    /// Suspends until the stream's servers have answered a question that follows all that was sent so far, and so have that
    /// too; at most for so long.
    ///
    /// A ping is answered by the next server, which may be a leaf node. Questions and answers get lost when a cluster changes
    /// its leader, so it is asked again, each time with twice the patience.
    ///
    /// - Returns: whether there was an answer.
    func reachStream(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        var patience = Self.attemptTimeout
        while !Task.isCancelled, .now < end {
            do throws(JetStreamError) {
                note(try await jetStream.streamInfo(streamName, timeout: min(patience, end - .now)))
                return true
            } catch {
                // Any other answer is one too, and to a user who may not ask none comes.
                guard error.kind == .timeout else { return true }
                patience *= 2
            }
        }
        return false
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
