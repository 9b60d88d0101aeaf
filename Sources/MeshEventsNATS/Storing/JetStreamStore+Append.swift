public import MeshEvents
import NATSClient
import NIOCore
import Synchronization

extension JetStreamStore {
    /// How long the first attempt waits for its acknowledgement, once the server has the message, before the message is
    /// sent again. Each further attempt waits twice as long, so that a store that is slow does not get more and more
    /// copies.
    static let attemptTimeout: Duration = .seconds(4)
    /// From how many bytes on a message should be sent only once.
    private static let largePayload = 64 << 10
    /// How long JetStream may be missing, as when a cluster starts, before the error counts.
    private static let absenceTolerated: Duration = .seconds(2)

    /// Stores one message; returns once the stream has acknowledged it.
    ///
    /// When an acknowledgement gets lost, the message is sent again with the same id, across reconnects and changes of
    /// the leader, until the deadline. Until the server answers a ping behind the message, the message is under way,
    /// and is not sent again on the same connection; while bytes come or go, that time does not count. The stream
    /// stores it once. When the message was first sent longer ago than the stream remembers ids, the stream is searched
    /// for it.
    ///
    /// To a retry, "duplicate" is a normal answer. To a message that cannot have been stored before, it means that the
    /// id belongs to another message.
    ///
    /// - Throws: `timeout` when no acknowledgement came (the message may be stored nevertheless), `duplicateMessageID`
    ///   when another message has its id and it is not stored, `conflict` when the subject's newest message is not the
    ///   expected one, `streamNotFound`,
    ///   `streamMismatch`, `storageFull`, `payloadTooLarge`, `persistenceUnavailable`, `permissionDenied`, `closed`.
    public func append(
        _ message: PendingMessage,
        deadline: Duration
    ) async throws(MeshEventsError) -> StoredPosition {
        try await append(message, deadline: deadline, sent: nil)
    }

    /// The same for a message that may have been sent before.
    ///
    /// - Parameters:
    ///   - sent: when it was first sent; `nil` when it was not.
    ///   - silence: how long nothing has come; that much of the deadline is over. At least one attempt is made.
    func append(
        _ message: PendingMessage,
        deadline: Duration,
        sent: FirstSending?,
        silence: Duration = .zero
    ) async throws(MeshEventsError) -> StoredPosition {
        try checkAcknowledges()
        let start = ContinuousClock.now
        var end = start + max(deadline - silence, min(deadline, Self.attemptTimeout))
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
                    // The time on a slow link does not count.
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

    /// Makes one attempt that ends when the connected server has had the message for a while. That server may be a leaf
    /// node, with the stream behind a slower line: then the next attempt waits longer, and costs little.
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

    /// Makes one attempt that ends when the *stream* has had the message for a while: on a slow line behind a leaf
    /// node, sending it again would cost as much as the first time.
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
                    // The other task decides how long it may take.
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
        // The other task has ended it.
        case .failure(let error)? where error.underlying?.code == .cancelled && !Task.isCancelled:
            onTheWay = way
            throw JetStreamError(.timeout, "the stream has the message and did not acknowledge it")
        case .failure(let error)?: throw error
        case nil: throw JetStreamError(NATSError(.cancelled, "the task was cancelled"))
        }
    }

    /// Suspends until the stream's servers have answered a request that follows everything sent so far, and so have
    /// received that too; at most for `limit`.
    ///
    /// A ping is answered by the connected server, which may be a leaf node. Requests and answers get lost when a
    /// cluster changes its leader, so the request is repeated, each time with twice the patience.
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
                // Any other error is an answer too; a user who may not ask gets none.
                guard error.kind == .timeout else { return true }
                patience *= 2
            }
        }
        return false
    }

    /// Stores many messages in order, at most `window` under way at once.
    ///
    /// After a failure that can pass, nothing new is sent until the messages without an acknowledgement have been sent
    /// again with the same ids, oldest first.
    public func makeAppender(
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (_ first: Int, _ positions: [StoredPosition]) -> Void
    ) -> any EventAppender {
        PublishPipeline(store: self, window: window, deadline: deadline, onStored: onStored)
    }

    /// Asks the stream why no acknowledgement came: throws when none can come, returns when another attempt may
    /// succeed.
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

    /// Throws when the stream is known to send no acknowledgements.
    func checkAcknowledges() throws(MeshEventsError) {
        guard acknowledgesNothing.load(ordering: .relaxed) else { return }
        throw MeshEventsError(
            .streamMismatch,
            "stream \(streamName) sends no acknowledgements (no_ack), so it cannot be known whether an event is "
                + "stored; remove no_ack from it (`nats stream edit --ack`), or emit without waiting"
        )
    }
}

extension JetStreamError {
    /// Whether this answer to an attempt proves that the attempt did not store the message: there was no stream, or the
    /// stream was storing another message with the same id.
    fileprivate var meansNotStored: Bool { isNoResponders || errorCode == .duplicateInProcess }
}

extension NATSHeaders {
    /// The header fields of a message, its condition among them.
    init(_ message: PendingMessage) {
        self.init()
        for field in message.headers.fields { append(field.name, field.value) }
        if let expected = message.expectedLastSequence { append("Nats-Expected-Last-Subject-Sequence", "\(expected)") }
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
