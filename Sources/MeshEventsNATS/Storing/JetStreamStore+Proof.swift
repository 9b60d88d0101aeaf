import MeshConcurrency
import MeshEvents
import NATSClient
import NIOCore

// Checks that this store's stream stored a message.
extension JetStreamStore {
    /// How long the stream may take to answer a check.
    private static let proofTimeout: Duration = .seconds(2)
    /// How long one attempt waits for further answers when another stream answers too.
    private static let sharedTimeout: Duration = .seconds(2)

    /// Whether another stream than the opened one, such as one of a leaf node, has answered events of this store. Its
    /// acknowledgements do not count.
    public var hasOtherStream: Bool { origin.hasOthers }

    /// Sends a message once; returns its position in this store's stream.
    ///
    /// - Parameters:
    ///   - message: the message.
    ///   - body: its payload.
    ///   - timeout: how long the server may take once it has the message.
    ///   - silence: how long no byte may come or go while it is unknown whether the server has it.
    ///   - isRetry: whether it was sent before. Then it goes out now or not at all: kept for the next connection, it
    ///     could arrive after the stream has forgotten its id.
    func attempt(
        _ message: PendingMessage,
        _ body: ByteBuffer,
        timeout: Duration,
        silence: Duration,
        isRetry: Bool
    ) async throws(JetStreamError) -> StoredPosition {
        guard !origin.isShared else { return try await shared(message, body, timeout, silence, isRetry: isRetry) }
        let origin = origin
        let created = lastKnownPosition.created
        let heard: Heard = try await send(message, body, timeout, silence, isRetry: isRetry) { answer, isFurther in
            guard !isFurther else {
                origin.further(answer)
                return nil
            }
            switch origin.judge(answer) {
            case .foreign: return nil
            case .ours: return Heard(answer: answer, isProven: true)
            case .unproven: return Heard(answer: answer, isProven: false)
            }
        }
        switch heard.answer {
        case .success(let acknowledgement):
            let position = StoredPosition(acknowledgement)
            guard !heard.isProven else { return position }
            guard let isHeld = await holds(message.messageID, at: position) else { throw unreadable }
            if isHeld {
                origin.proven()
                return position
            }
            // The acknowledgement may have been true of a stream that is gone.
            if await !isCreatedAgain(since: created) { origin.contest() }
            let stored = try await shared(message, body, timeout, silence, isRetry: true)
            guard stored.isDuplicate, !isRetry, await isKept(message, at: stored) else { return stored }
            // The sending that another stream answered first has stored it.
            return StoredPosition(stream: streamName, sequence: stored.sequence, isDuplicate: false)
        case .failure(let error):
            // Another stream's error would look the same.
            guard error.kind == .api, let found = await find(message) else { throw error }
            return found
        }
    }

    /// An answer that does not come from another stream.
    private struct Heard: Sendable {
        let answer: Result<PublishAcknowledgement, JetStreamError>
        let isProven: Bool
    }

    private func send<Answer: Sendable>(
        _ message: PendingMessage,
        _ body: ByteBuffer,
        _ timeout: Duration,
        _ silence: Duration,
        isRetry: Bool,
        read: @escaping @Sendable (Result<PublishAcknowledgement, JetStreamError>, _ isFurther: Bool) -> Answer?
    ) async throws(JetStreamError) -> Answer {
        try await jetStream.publish(
            body,
            to: message.subject,
            messageID: message.messageID,
            expectedStream: streamName,
            headers: NATSHeaders(message),
            timeout: timeout,
            silence: silence,
            onlyNow: isRetry,
            read: read
        )
    }

    /// The same when another stream answers too. An error counts only when all have answered and none has the event.
    /// When nothing tells the streams apart, each acknowledgement is compared with the stream's contents.
    private func shared(
        _ message: PendingMessage,
        _ body: ByteBuffer,
        _ timeout: Duration,
        _ silence: Duration,
        isRetry: Bool
    ) async throws(JetStreamError) -> StoredPosition {
        let origin = origin
        let heard = Locked(Answers())
        var failure: JetStreamError?
        do throws(JetStreamError) {
            try await send(message, body, min(timeout, Self.sharedTimeout), silence, isRetry: isRetry) {
                answer,
                isFurther -> Void? in
                guard !isFurther else { return nil }
                let verdict = origin.judge(answer)
                let isDone = heard.withLock { $0.add(answer, verdict) }
                return isDone ? () : nil
            }
        } catch {
            failure = error
        }
        let answers = heard.withLock { $0 }
        if let stored = answers.ours { return StoredPosition(stored) }
        for acknowledgement in answers.unproven {
            let position = StoredPosition(acknowledgement)
            if await holds(message.messageID, at: position) == true {
                if answers.count > 1 { origin.contest() } else { origin.heardAlone() }
                return position
            }
        }
        if let found = await find(message) { return found }
        throw answers.error ?? failure
            ?? JetStreamError(.timeout, "another stream than \(streamName) has acknowledged the event")
    }

    /// The answers of several streams to one message.
    private struct Answers: Sendable {
        private(set) var count = 0
        /// The acknowledgement that certainly comes from the opened stream.
        private(set) var ours: PublishAcknowledgement?
        private(set) var unproven: [PublishAcknowledgement] = []
        private(set) var error: JetStreamError?

        /// Adds an answer; returns whether no further answers are needed.
        mutating func add(
            _ answer: Result<PublishAcknowledgement, JetStreamError>,
            _ verdict: AcknowledgementOrigin.Verdict
        ) -> Bool {
            count += 1
            switch (answer, verdict) {
            case (.failure(let error), _): self.error = self.error ?? error
            case (.success(let acknowledgement), .ours): ours = acknowledgement
            case (.success(let acknowledgement), .unproven): unproven.append(acknowledgement)
            case (.success, .foreign): break
            }
            return ours != nil || count >= 2
        }
    }

    /// Whether the stream has the message of this id at this position. A user who may not look gets `true`.
    ///
    /// - Returns: `nil` when another stream answers too, and this one cannot be read: it may be gone, and its leader with it,
    ///   while the other goes on acknowledging. `nil`, too, when the task is cancelled before the stream has answered.
    func holds(_ messageID: String, at position: StoredPosition) async -> Bool? {
        do throws(JetStreamError) {
            if let found = try await message(at: position) { return found.messageID == messageID }
            // The stream's limits may have removed it by now.
            let state = try await jetStream.streamInfo(streamName, timeout: Self.proofTimeout).state
            return position.sequence <= state.lastSequence && !origin.isContested
        } catch {
            switch error.underlying?.code {
            case .permissionDenied?: return true
            case .cancelled?: return nil
            default: return origin.hasOthers ? nil : true
            }
        }
    }

    /// Why an acknowledgement counts for nothing although it may be true.
    private var unreadable: JetStreamError {
        JetStreamError(
            .timeout,
            "another stream than \(streamName) acknowledges the events too, and \(streamName) cannot be read to see whether it "
                + "has this one"
        )
    }

    /// Whether the stream has exactly this message at a position.
    private func isKept(_ message: PendingMessage, at position: StoredPosition) async -> Bool {
        guard let found = try? await self.message(at: position) else { return false }
        return found.messageID == message.messageID && found.payload == message.payload
    }

    /// The message at a position; `nil` when it is gone.
    private func message(at position: StoredPosition) async throws(JetStreamError) -> StreamMessage? {
        let found = try await jetStream.message(
            atOrAfter: position.sequence,
            matching: ">",
            on: streamName,
            timeout: Self.proofTimeout
        )
        return found?.sequence == position.sequence ? found : nil
    }

    /// Whether the stream was created again since `created`.
    func isCreatedAgain(since created: Timestamp?) async -> Bool {
        guard let created, let stream = try? await jetStream.streamInfo(streamName, timeout: Self.proofTimeout) else {
            return false
        }
        note(stream)
        return stream.creation.map { $0 != created } ?? false
    }

    /// The position of a message that is the last of its subject; `nil` when it is not, or this user may not look.
    private func find(_ message: PendingMessage) async -> StoredPosition? {
        let last = try? await jetStream.lastMessage(
            to: message.subject,
            on: streamName,
            timeout: Self.proofTimeout
        )
        guard let found = last ?? nil, found.messageID == message.messageID, found.payload == message.payload else {
            return nil
        }
        return StoredPosition(stream: streamName, sequence: found.sequence, isDuplicate: false)
    }
}
