import NIOCore

extension JetStream {
    /// Fetches messages with one pull request; returns what has come once the request is filled or the server ends it.
    ///
    /// - Parameters:
    ///   - request: without ``PullRequest/noWait`` and ``PullRequest/expires`` the server would wait without end; then
    ///     it expires after `timeout`.
    ///   - consumer: the consumer's name.
    ///   - stream: the stream's name.
    ///   - timeout: the deadline, whatever the server does.
    /// - Returns: the messages, possibly none.
    /// - Throws: `consumerLost` when the consumer is gone, `timeout` only when the server did not end the request.
    public func fetch(
        _ request: PullRequest,
        from consumer: String,
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> [JetStreamMessage] {
        let limit = timeout ?? self.timeout
        var request = request
        if !request.noWait, request.expires == nil { request.expires = limit }
        let progress = PullProgress(total: request.batch, chunk: request.batch, endsWhenNothingPending: false)
        let reading = try await read(
            progress,
            request,
            before: nil,
            delivered: nil,
            from: consumer,
            on: stream,
            deadline: .now + limit + .milliseconds(500)
        ) { JetStreamMessage($0) }
        if let error = reading.error { throw error }
        return reading.elements
    }

    /// Reads messages that a consumer has ready: large, overlapping pulls, no waiting, no acknowledgements.
    ///
    /// Ends after `count` messages, after one behind which nothing is pending, or when the server has no more. The
    /// caller asks for as many as the consumer has reported, so the reading never waits for a timeout. It must be the
    /// only reader of a consumer without acknowledgements: the server makes each delivery once, so a missing one is
    /// `consumerLost`.
    ///
    /// - Parameters:
    ///   - count: how many messages to read at most, at least 1.
    ///   - maximumBytes: ends soon after this many bytes have come; at least one message comes.
    ///   - before: ends at this sequence, exclusive; `nil` for no end.
    ///   - consumer: the consumer's name.
    ///   - stream: the stream's name.
    ///   - delivered: the number of the consumer's last delivery; 0 for a new one.
    ///   - limits: what one request may ask for. When the server refuses a request and names a limit, the reading uses
    ///     that.
    ///   - deadline: when to give up if nothing comes; as long as bytes come or go on the connection, it moves on.
    ///   - transform: makes an element of each message, in place on the connection's event loop; must do little and
    ///     never block.
    public func read<Element: Sendable>(
        _ count: Int,
        maximumBytes: Int = .max,
        before: UInt64? = nil,
        from consumer: String,
        on stream: String,
        delivered: UInt64 = 0,
        limits: PullLimits = PullLimits(),
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> [Element] {
        let reading = try await reading(
            count,
            maximumBytes: maximumBytes,
            before: before,
            from: consumer,
            on: stream,
            delivered: delivered,
            limits: limits,
            deadline: deadline,
            transform: transform
        )
        if let error = reading.error { throw error }
        return reading.elements
    }

    /// Reads as ``read(_:maximumBytes:before:from:on:delivered:limits:deadline:transform:)``, and returns an error
    /// together with the messages that came before it: so each attempt on a link that is lost again and again still
    /// brings some.
    package func reading<Element: Sendable>(
        _ count: Int,
        maximumBytes: Int,
        before: UInt64?,
        from consumer: String,
        on stream: String,
        delivered: UInt64,
        limits: PullLimits,
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> PullReading<Element> {
        let request = PullRequest(batch: 1, noWait: true)
        let progress = PullProgress(
            total: count,
            chunk: 4_096,
            endsWhenNothingPending: true,
            maximumBytes: maximumBytes,
            window: PullWindow(most: 16 << 20, maximumPayload: connection.maximumPayload),
            limits: limits
        )
        return try await read(
            progress,
            request,
            before: before,
            delivered: delivered,
            from: consumer,
            on: stream,
            deadline: deadline,
            transform: transform
        )
    }

    private func read<Element: Sendable>(
        _ progress: PullProgress,
        _ template: PullRequest,
        before: UInt64?,
        delivered: UInt64?,
        from consumer: String,
        on stream: String,
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> PullReading<Element> {
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        guard template.batch > 0, progress.total > 0 else {
            throw JetStreamError(.invalidArgument, "a pull request asks for at least one message")
        }
        let inbox = connection.makeInbox()
        let subject = "\(prefix).CONSUMER.MSG.NEXT.\(stream).\(consumer)"
        let connection = connection
        let reader = PullReader(progress: progress, before: before, delivered: delivered) {
            (batch: Int, bytes: Int?, limits: PullLimits) throws(NATSError) in
            var request = template
            request.batch = batch
            request.maximumBytes = bytes ?? template.maximumBytes
            request = limits.applied(to: request)
            try connection.publish(ByteBuffer(string: request.json), to: subject, replyTo: inbox)
        } transform: {
            transform($0)
        }
        let handle: NATSSubscriptionHandle
        do throws(NATSError) {
            let remaining = max(deadline - .now, .zero)
            handle = try await connection.subscribe(to: inbox, receiver: reader, timeout: remaining)
        } catch {
            throw JetStreamError(error)
        }
        defer { handle.cancel() }
        reader.begin()
        let watching = Task { await self.watch(reader, of: consumer, on: stream, deadline: deadline) }
        defer { watching.cancel() }
        return await withTaskCancellationHandler {
            await reader.result()
        } onCancel: {
            reader.fail(JetStreamError(NATSError(.cancelled, "the task was cancelled")))
        }
    }

    /// Ends a reading without progress: at the deadline, or when the server says that nothing is on its way.
    ///
    /// Servers before 2.10 do not answer a pull at all when the consumer is gone, and pulls get lost with a connection.
    /// But a flooded stream may deliver seconds late, so silence alone proves nothing.
    private func watch<Element: Sendable>(
        _ reader: PullReader<Element>,
        of consumer: String,
        on stream: String,
        deadline: ContinuousClock.Instant
    ) async {
        let patience = deadline - .now
        let connections = connection.statistics.reconnects
        var end = deadline
        var quietSince = ContinuousClock.now
        var (seen, moved) = (reader.activity, connection.movedBytes)
        var silence = PullSilence()
        while true {
            do {
                try await Task.sleep(until: min(end, .now + Self.silenceTolerated / 4))
            } catch {
                return
            }
            // A message that takes seconds to come is on its way all that time. The bytes of a question and its answer
            // do not count.
            let nowMoved = connection.movedBytes
            if nowMoved - moved > Self.questionBytes { end = .now + patience }
            moved = nowMoved
            guard .now < end else {
                reader.fail(JetStreamError(.timeout, "the messages did not arrive before the deadline"))
                return
            }
            guard connection.statistics.reconnects == connections else {
                // Messages that were on their way do not come on another connection.
                reader.fail(JetStreamError(.consumerLost, "the pull request was lost with its connection"))
                return
            }
            guard reader.activity == seen else {
                (seen, silence, quietSince) = (reader.activity, PullSilence(), .now)
                continue
            }
            guard .now - quietSince >= Self.silenceTolerated else { continue }
            quietSince = .now
            switch await verdict(on: reader, &silence, of: consumer, on: stream) {
            case .goesOn: break
            case .askAgain: reader.askAgain()
            case .lost(let reason):
                reader.fail(JetStreamError(.consumerLost, reason))
                return
            }
        }
    }

    /// The most bytes that a question to the server moves, with the pings of a connection.
    private static var questionBytes: UInt64 { 2_048 }
    /// How long nothing may arrive before the reader asks the server why.
    private static var silenceTolerated: Duration { .seconds(1) }

    /// Asks the server whether a reading without progress can go on. An answer that does not come is no loss.
    private func verdict<Element: Sendable>(
        on reader: PullReader<Element>,
        _ silence: inout PullSilence,
        of consumer: String,
        on stream: String
    ) async -> PullSilence.Verdict {
        do throws(JetStreamError) {
            let activity = reader.activity
            let info = try await consumerInfo(consumer, on: stream, timeout: .seconds(1))
            // The answer came behind everything the server had sent before it, however long that took.
            guard reader.activity == activity else { return .goesOn }
            return silence.judge(
                requestsWaiting: info.requestsWaiting,
                delivered: info.delivered.consumerSequence,
                arrived: reader.lastDelivery
            )
        } catch {
            return error.errorCode == .consumerNotFound ? .lost("the consumer does not exist any more") : .goesOn
        }
    }
}
