import NIOCore

extension JetStream {
    /// Fetches messages with one pull request; returns what came when the request is filled or the server ends it.
    ///
    /// - Parameters:
    ///   - request: without ``PullRequest/noWait`` and ``PullRequest/expires`` the server would wait for ever; then it
    ///     waits for `timeout`.
    ///   - consumer: the consumer's name.
    ///   - stream: the stream's name.
    ///   - timeout: the deadline, whatever the server does.
    /// - Returns: possibly nothing.
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
        return try await read(
            progress,
            request,
            before: nil,
            delivered: nil,
            from: consumer,
            on: stream,
            deadline: .now + limit + .milliseconds(500)
        ) { JetStreamMessage($0) }.elements
    }

    /// Reads messages that a consumer has at hand: large, overlapping pulls, no waiting, nothing acknowledged.
    ///
    /// Ends after `count` messages, after one behind which nothing is pending, or when the server has no more: the
    /// caller asks for as many as the consumer said to have, so no silence is ever waited for. For the one reader of a
    /// consumer that acknowledges nothing: a delivery that is missing between others is `consumerLost`, since the server
    /// makes each once.
    ///
    /// - Parameters:
    ///   - count: how many messages to read at most, at least 1.
    ///   - before: ends at this sequence, exclusive; `nil` for no end.
    ///   - consumer: the consumer's name.
    ///   - stream: the stream's name.
    ///   - delivered: the number of the consumer's last delivery; 0 for a new one.
    ///   - limits: what one request may ask for; limits that the server names when it refuses a request are learnt.
    ///   - deadline: when to give up.
    ///   - transform: makes an element of each message, in place on the connection's event loop: little, never blocking.
    public func read<Element: Sendable>(
        _ count: Int,
        before: UInt64? = nil,
        from consumer: String,
        on stream: String,
        delivered: UInt64 = 0,
        limits: PullLimits = PullLimits(),
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> [Element] {
        try await reading(
            count,
            before: before,
            from: consumer,
            on: stream,
            delivered: delivered,
            limits: limits,
            deadline: deadline,
            transform: transform
        ).elements
    }

    /// Reads as ``read(_:before:from:on:delivered:limits:deadline:transform:)``, and tells how it ended.
    package func reading<Element: Sendable>(
        _ count: Int,
        before: UInt64?,
        from consumer: String,
        on stream: String,
        delivered: UInt64,
        limits: PullLimits,
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> PullReading<Element> {
        let largest = max(16 << 20, (connection.maximumPayload ?? 0) * 2)
        let request = PullRequest(batch: 1, maximumBytes: largest, noWait: true)
        let progress = PullProgress(total: count, chunk: 4_096, endsWhenNothingPending: true, limits: limits)
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
            (batch: Int, limits: PullLimits) throws(NATSError) in
            var request = template
            request.batch = batch
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
        let result = await withTaskCancellationHandler {
            await reader.result()
        } onCancel: {
            reader.fail(JetStreamError(NATSError(.cancelled, "the task was cancelled")))
        }
        return try result.get()
    }

    /// Ends a reading that has gone quiet: at the deadline, or when the server says that nothing is on its way.
    ///
    /// Servers before 2.10 do not answer a pull at all when the consumer is gone, and pulls get lost with a connection.
    /// But a stream that is flooded may deliver seconds late, so silence alone proves nothing.
    private func watch<Element: Sendable>(
        _ reader: PullReader<Element>,
        of consumer: String,
        on stream: String,
        deadline: ContinuousClock.Instant
    ) async {
        var seen = reader.activity
        var silentChecks = 0
        while true {
            do {
                try await Task.sleep(until: min(deadline, .now + Self.silenceTolerated))
            } catch {
                return
            }
            guard .now < deadline else {
                reader.fail(JetStreamError(.timeout, "the messages did not arrive before the deadline"))
                return
            }
            let activity = reader.activity
            silentChecks = activity == seen ? silentChecks + 1 : 0
            seen = activity
            if silentChecks > 0, let loss = await loss(reader, silentChecks, of: consumer, on: stream) {
                reader.fail(loss)
                return
            }
        }
    }

    /// How long nothing may arrive before the server is asked why.
    private static var silenceTolerated: Duration { .seconds(1) }
    /// How often the server may answer that something is on its way before it counts as lost with a connection.
    private static var maximumSilentChecks: Int { 6 }

    /// Why a quiet reading cannot go on; `nil` when it can.
    private func loss<Element: Sendable>(
        _ reader: PullReader<Element>,
        _ silentChecks: Int,
        of consumer: String,
        on stream: String
    ) async -> JetStreamError? {
        do throws(JetStreamError) {
            let info = try await consumerInfo(consumer, on: stream, timeout: .seconds(1))
            if info.requestsWaiting > 0 { return nil }
            if info.delivered.consumerSequence > reader.lastDelivery,
                silentChecks <= Self.maximumSilentChecks
            {
                return nil
            }
            return JetStreamError(.consumerLost, "the pull request was lost with its connection")
        } catch {
            guard error.errorCode == .consumerNotFound else { return nil }
            return JetStreamError(.consumerLost, "the consumer does not exist any more")
        }
    }
}
