import MeshConcurrency
import MeshEvents
import NATSClient
import NIOCore

/// One subscriber of a durable pull consumer.
final class JetStreamDurableConsumer: DurableConsumer {
    /// How long one attempt to answer waits for the confirmation.
    private static let attemptTimeout: Duration = .seconds(2)
    /// How often a connected server may leave an answer unconfirmed. A server that was killed may have forgotten the
    /// delivery, and then never confirms it.
    private static let silencesTolerated = 2
    /// How long a request may take beyond its wait, and how long nothing may come or go after that.
    private static let requestTime: Duration = .seconds(2)

    /// The most messages one request asks for; the consumer's configuration enforces it. A server goes on with a
    /// request even when its client has gone, and sends the messages to any subject that the request names.
    static let largestRequest = 256
    /// A request asks for at most half as many bytes and a quarter of that more, unless a message may be larger.
    private static let mostBytes = 4 << 20

    private let jetStream: JetStream
    private let streamName: String
    private let name: String
    private let inbox: DurableInbox
    private let limits: Locked<PullLimits>
    private let acknowledgementWait: Duration
    /// How much requests ask for, and how many bytes the last request asked for.
    private let size: Locked<(window: PullWindow, asked: Int)>
    /// When the durable's stream was created; `nil` when that is not known.
    private let created: Timestamp?
    /// How long a check of the stream is valid for answers. A stream that was deleted and created again, with the
    /// durable, would take the answer for one to its own event of that sequence.
    private static let lookHolds: Duration = .seconds(2)
    /// Whether the stream may have been replaced since the last check, and when that check was.
    private let look = Locked((isDoubtful: false, at: ContinuousClock.now))
    private let subscription = Locked<NATSSubscriptionHandle?>(nil)
    private let watch: Task<Void, Never>
    private let trouble = StreamTrouble()

    init(
        jetStream: JetStream,
        streamName: String,
        name: String,
        limits: PullLimits,
        acknowledgementWait: Duration,
        created: Timestamp?
    ) {
        self.jetStream = jetStream
        self.streamName = streamName
        self.name = name
        self.limits = Locked(limits)
        self.acknowledgementWait = acknowledgementWait
        size = Locked((PullWindow(most: Self.mostBytes, maximumPayload: jetStream.connection.maximumPayload), 0))
        self.created = created
        let inbox = DurableInbox(jetStream.connection)
        self.inbox = inbox
        let updates = jetStream.connection.statusUpdates()
        let next = Self.nextSubject(jetStream, streamName, name)
        watch = Task {
            for await update in updates {
                switch update {
                // A request does not survive its connection. A refused request has no other answer.
                case .disconnected: inbox.disconnected()
                case .serverError(let error) where error.subject == next: inbox.refused()
                default: break
                }
            }
        }
    }

    deinit {
        watch.cancel()
        subscription.withLock { $0 }?.cancel()
    }

    private static func nextSubject(_ jetStream: JetStream, _ stream: String, _ name: String) -> String {
        "\(jetStream.prefix).CONSUMER.MSG.NEXT.\(stream).\(name)"
    }

    static func missing(_ name: String) -> MeshEventsError {
        MeshEventsError(.durableNotFound, "the durable \(name) does not exist; it may have been deleted")
    }

    func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) { trouble.whenTold(tell) }

    func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage] {
        let begun = ContinuousClock.now
        do throws(MeshEventsError) {
            let messages = try await take(limit, wait)
            if !messages.isEmpty || !Task.isCancelled { trouble.answered() }
            return messages
        } catch {
            if !error.isRetriable {
                trouble.answered()
            } else if jetStream.connection.isUp, inbox.end != .disconnected {
                trouble.failed(error, since: begun)
            } else {
                trouble.pause()
            }
            throw error
        }
    }

    private func take(_ limit: Int, _ wait: Duration) async throws(MeshEventsError) -> [DurableMessage] {
        let limit = min(limit, Self.largestRequest)
        if look.withLock({ $0.isDoubtful }) { try await checkStream() }
        do throws(NATSError) {
            try await subscribe()
            let late = inbox.take(limit)
            guard late.isEmpty else { return late }
            let request = nextRequest(limit, wait)
            let (number, ended) = inbox.begin(request.batch)
            try jetStream.connection.publish(
                ByteBuffer(string: request.json),
                to: Self.nextSubject(jetStream, streamName, name),
                replyTo: "\(inbox.subject).\(number)"
            )
            await arrival(ended, wait)
        } catch {
            throw MeshEventsError(error)
        }
        if Task.isCancelled { inbox.abandon() }
        let messages = inbox.take(limit)
        let sizes = messages.map(\.size)
        if let largest = sizes.max() {
            size.withLock { $0.window.took(messages: sizes.count, bytes: sizes.reduce(0, +), largest: largest) }
        }
        guard messages.isEmpty, !Task.isCancelled else { return messages }
        try await explain(inbox.end)
        return []
    }

    /// Makes a request for at most this many messages, and for no more bytes than the link carries soon. Messages that
    /// wait for others to arrive are not handled meanwhile, and are delivered again after the acknowledgement wait.
    private func nextRequest(_ limit: Int, _ wait: Duration) -> PullRequest {
        let waits = wait > .zero
        let request = size.withLock { size in
            let next = size.window.next(outstanding: 0, missing: limit)
            var request = PullRequest(batch: next?.messages ?? limit, expires: waits ? wait : nil, noWait: !waits)
            request.maximumBytes = next?.bytes
            request = limits.withLock { $0 }.applied(to: request)
            size.asked = request.maximumBytes ?? 0
            return request
        }
        return request
    }

    /// Suspends until the request has ended, or the server has sent nothing more for it.
    ///
    /// A message may be on its way for any length of time. So the acknowledgement wait of those that have come, or have
    /// begun to come, is extended meanwhile.
    private func arrival(_ ended: OneTimeSignal, _ wait: Duration) async {
        let purpose = "the messages of a durable"
        let deadline = ContinuousClock.now + wait + Self.requestTime
        let pause = acknowledgementWait / 3
        try? await ended.wait(until: min(deadline, .now + pause), for: purpose)
        guard !ended.isSent, !Task.isCancelled else { return }
        // Runs until the end of this function.
        async let _: Void = extendArriving(each: pause)
        try? await ended.wait(until: deadline, for: purpose)
        guard !ended.isSent, !Task.isCancelled else { return }
        // The answer to a ping comes after everything the server has sent before it.
        try? await jetStream.connection.roundTrip(silence: Self.requestTime)
    }

    private func extendArriving(each pause: Duration) async {
        repeat {
            for token in inbox.tokens { extend(token) }
        } while (try? await Task.sleep(for: pause)) != nil
    }

    private func subscribe() async throws(NATSError) {
        guard subscription.withLock({ $0 == nil }) else { return }
        let handle = try await jetStream.connection.subscribe(
            to: inbox.subject + ".*",
            receiver: inbox,
            timeout: Self.requestTime
        )
        subscription.withLock { $0 = handle }
    }

    /// Handles a request that ended without a message: throws unless the durable had none.
    private func explain(_ end: DurableInbox.End?) async throws(MeshEventsError) {
        switch end {
        case .filled, .status(404, _), .status(408, _):
            return
        case .closed:
            throw MeshEventsError(.closed, "the connection has been closed")
        case .disconnected:
            look.withLock { $0.isDoubtful = true }
            throw MeshEventsError(.connectionFailed, "the connection was lost; it is being restored", isRetriable: true)
        case .refused:
            let subject = Self.nextSubject(jetStream, streamName, name)
            throw MeshEventsError(
                NATSError(
                    .permissionDenied,
                    "the server forbids this user to take events of the durable \(name)",
                    subject: subject
                )
            )
        case .status(409, let words) where words.lowercased().hasPrefix("exceeded maxrequest"):
            // This is a limit of the durable or of the server: the next request keeps it.
            guard limits.withLock({ $0.learn(words) }) != .newLimit else { return }
            throw refusal("409 \(words)")
        case .status(409, let words) where words.lowercased().contains("maxbytes"):
            // The next request asks for more, unless this one asked for the durable's limit or for the largest message
            // there is.
            let most = limits.withLock { $0.bytes } ?? .max
            guard size.withLock({ $0.window.ended() || $0.asked >= most }) else { return }
            throw refusal("409 \(words): its max_bytes is smaller than the next event")
        case .status(400, let words):
            throw refusal("400 \(words)")
        case .status(let code, let words) where words.lowercased().contains("push based"):
            throw MeshEventsError(
                .serverRefused,
                "the consumer \(name) is not a pull consumer (\(code) \(words)); choose another name"
            )
        case .status, nil:
            look.withLock { $0.isDoubtful = true }
            // Newer servers answer 503 for a consumer that is gone, as for one without a leader; older ones do not
            // answer.
            do throws(JetStreamError) {
                _ = try await jetStream.consumerInfo(name, on: streamName, timeout: Self.attemptTimeout)
            } catch  where error.errorCode == .consumerNotFound {
                // Was the durable deleted together with its stream?
                try await checkStream()
                throw Self.missing(name)
            } catch {
                throw MeshEventsError(error, stream: streamName)
            }
            guard case .status(let code, let words) = end else { return }
            throw MeshEventsError(
                .connectionFailed,
                "the server ended the request for events (\(code) \(words)); it will be repeated",
                isRetriable: true
            )
        }
    }

    /// Throws `streamReplaced` when the stream was created again since the durable was opened. The new stream has the
    /// same name, and its sequences begin anew; other processes may have created the durable again in it.
    private func checkStream() async throws(MeshEventsError) {
        guard let created else { return look.withLock { $0 = (false, .now) } }
        let found: Timestamp?
        do throws(JetStreamError) {
            found = try await jetStream.streamInfo(streamName, timeout: Self.attemptTimeout).creation
        } catch {
            // The check is repeated before the next request.
            throw MeshEventsError(error, stream: streamName)
        }
        guard let found, found != created else { return look.withLock { $0 = (false, .now) } }
        look.withLock { $0.isDoubtful = true }
        throw MeshEventsError(
            .streamReplaced,
            "the stream \(streamName) was deleted and created again at \(found); the position of the durable "
                + "\(name) is lost with the former stream; begin again"
        )
    }

    private func refusal(_ said: String) -> MeshEventsError {
        MeshEventsError(
            .serverRefused,
            "the server refuses the requests for events of the durable \(name) (\(said)); raise that limit of the consumer "
                + "or of the server"
        )
    }

    /// Sends an answer as a request, so that the server confirms it: an answer without a confirmation may have been
    /// lost with its connection.
    ///
    /// - Throws: `streamReplaced` when the event's stream was deleted and created again since; nothing is sent then.
    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError) {
        let end = ContinuousClock.now + deadline
        if look.withLock({ $0.isDoubtful || .now - $0.at > Self.lookHolds }) {
            do throws(MeshEventsError) {
                try await checkStream()
            } catch {
                // When the stream does not answer, the result of answering the event says more.
                guard error.code != .streamReplaced else { throw error }
            }
        }
        let payload = ByteBuffer(string: Self.text(answer))
        var backoff = RetryBackoff(deadline: end)
        var silences = 0
        while true {
            do throws(NATSError) {
                _ = try await jetStream.connection.request(
                    payload,
                    to: message.token,
                    timeout: max(min(Self.attemptTimeout, end - .now), .milliseconds(1)),
                    // On a slow link the answer is under way for long.
                    silence: max(end - .now, .milliseconds(1))
                )
                return
            } catch {
                switch error.code {
                case .closed, .cancelled, .permissionDenied: throw MeshEventsError(error)
                case .timeout: silences += 1
                default: break
                }
                guard silences < Self.silencesTolerated, await backoff.wait() else {
                    throw MeshEventsError(
                        .timeout,
                        "stream \(streamName) did not confirm the answer to event \(message.stored.sequence); the event may "
                            + "come again",
                        underlying: error,
                        isRetriable: true
                    )
                }
            }
        }
    }

    func extend(_ message: DurableMessage) { extend(message.token) }

    private func extend(_ token: String) {
        try? jetStream.connection.publish(ByteBuffer(string: Self.text(.inProgress)), to: token)
    }

    private static func text(_ answer: DurableAnswer) -> String {
        let acknowledgement: JetStream.Acknowledgement =
            switch answer {
            case .acknowledge: .done
            case .redeliver(let delay): .again(after: delay)
            case .inProgress: .inProgress
            case .terminate: .terminate()
            }
        return acknowledgement.text
    }
}

extension DurableMessage {
    /// About how many bytes of a request it takes.
    fileprivate var size: Int { stored.payload.count + stored.subject.utf8.count + token.utf8.count }
}
