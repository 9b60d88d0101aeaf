import NIOCore

extension JetStream {
    /// Fetches messages with one pull request; returns what came when the request is filled or the server ends it.
    ///
    /// - Parameters:
    ///   - request: without ``PullRequest/noWait`` and ``PullRequest/expires`` the server would wait for ever; then it
    ///     waits for `timeout`.
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
            from: consumer,
            on: stream,
            deadline: .now + limit + .milliseconds(500),
            stall: limit + .milliseconds(500)
        ) { JetStreamMessage($0) }
    }

    /// Reads messages that a consumer has at hand: large, overlapping pulls, no waiting, nothing acknowledged.
    ///
    /// Ends after `count` messages, after one behind which nothing is pending, or when the server has no more: the
    /// caller asks for as many as the consumer said to have, so no silence is ever waited for.
    ///
    /// - Parameters:
    ///   - count: how many messages to read at most, at least 1.
    ///   - before: ends at this sequence, exclusive; `nil` for no end.
    ///   - transform: makes an element of each message, in place on the connection's event loop: little, never blocking.
    public func read<Element: Sendable>(
        _ count: Int,
        before: UInt64? = nil,
        from consumer: String,
        on stream: String,
        deadline: ContinuousClock.Instant,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> [Element] {
        let largest = max(16 << 20, (connection.maximumPayload ?? 0) * 2)
        let request = PullRequest(batch: 1, maximumBytes: largest, noWait: true)
        let progress = PullProgress(total: count, chunk: 4_096, endsWhenNothingPending: true)
        return try await read(
            progress,
            request,
            before: before,
            from: consumer,
            on: stream,
            deadline: deadline,
            stall: .seconds(2),
            transform: transform
        )
    }

    private func read<Element: Sendable>(
        _ progress: PullProgress,
        _ template: PullRequest,
        before: UInt64?,
        from consumer: String,
        on stream: String,
        deadline: ContinuousClock.Instant,
        stall: Duration,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) async throws(JetStreamError) -> [Element] {
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        guard template.batch > 0, progress.total > 0 else {
            throw JetStreamError(.invalidArgument, "a pull request asks for at least one message")
        }
        let inbox = connection.makeInbox()
        let subject = "\(prefix).CONSUMER.MSG.NEXT.\(stream).\(consumer)"
        let connection = connection
        let reader = PullReader(progress: progress, before: before) { (batch: Int) throws(NATSError) in
            var request = template
            request.batch = batch
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
        let watch = Task { await Self.watch(reader, deadline: deadline, stall: stall) }
        defer { watch.cancel() }
        let result = await withTaskCancellationHandler {
            await reader.result()
        } onCancel: {
            reader.fail(JetStreamError(NATSError(.cancelled, "the task was cancelled")))
        }
        return try result.get()
    }

    /// Ends a reading that has gone quiet: at the deadline, or when nothing has arrived for `stall`. Servers before
    /// 2.10 do not answer at all when the consumer is gone.
    private static func watch<Element: Sendable>(
        _ reader: PullReader<Element>,
        deadline: ContinuousClock.Instant,
        stall: Duration
    ) async {
        var seen = reader.activity
        while true {
            let wake = min(deadline, .now + stall)
            do {
                try await Task.sleep(until: wake)
            } catch {
                return
            }
            if .now >= deadline {
                reader.fail(JetStreamError(.timeout, "the messages did not arrive before the deadline"))
                return
            }
            let activity = reader.activity
            if activity == seen {
                reader.fail(JetStreamError(.consumerLost, "the consumer has sent nothing for \(stall)"))
                return
            }
            seen = activity
        }
    }
}
