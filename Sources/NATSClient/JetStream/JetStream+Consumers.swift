import NIOCore

extension JetStream {
    /// What happens when a consumer of that name exists. Servers before 2.10 ignore this, and create or update.
    public enum ConsumerAction: String, Sendable, Hashable, Encodable {
        /// Create only: when one exists with another configuration, the error is `consumerExists`.
        case create
        /// Update only: when none exists, that is an error.
        case update
    }

    /// Creates a pull consumer, or finds the durable one with that name and configuration.
    ///
    /// The answer contains how many messages match from the start on (``ConsumerInformation/pending``).
    ///
    /// - Parameters:
    ///   - configuration: the consumer. To change one, begin with the configuration ``consumerInfo(_:on:timeout:)``
    ///     answered, so that fields this client does not know stay as they are.
    ///   - stream: the stream's name.
    ///   - action: what happens when the consumer exists; `nil` creates one, or updates the one of that name.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    public func createConsumer(
        _ configuration: ConsumerConfiguration,
        on stream: String,
        action: ConsumerAction? = nil,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> ConsumerInformation {
        struct Request: Encodable {
            let stream_name: String
            let config: ConsumerConfiguration
            let action: ConsumerAction?
        }
        try Self.validate(name: stream, of: "stream")
        if let name = configuration.durableName ?? configuration.name { try Self.validate(name: name, of: "consumer") }
        let subject =
            switch (configuration.durableName, configuration.name, configuration.filterSubjects.count) {
            case (let durable?, _, _): "CONSUMER.DURABLE.CREATE.\(stream).\(durable)"
            case (nil, let name?, 1): "CONSUMER.CREATE.\(stream).\(name).\(configuration.filterSubjects[0])"
            case (nil, let name?, _): "CONSUMER.CREATE.\(stream).\(name)"
            case (nil, nil, _): "CONSUMER.CREATE.\(stream)"
            }
        return try await create(
            subject,
            body: Request(stream_name: stream, config: configuration, action: action),
            timeout: timeout
        )
    }

    /// Asks for a consumer's configuration and state.
    ///
    /// - Throws: `consumerNotFound` (10014) when there is none of that name.
    public func consumerInfo(
        _ consumer: String,
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> ConsumerInformation {
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        return try await call("CONSUMER.INFO.\(stream).\(consumer)", timeout: timeout)
    }

    /// Has a consumer deliver nothing for a time (servers from 2.11; an older one does not answer).
    ///
    /// - Parameters:
    ///   - consumer: the consumer's name.
    ///   - stream: the stream's name.
    ///   - until: when it goes on, RFC 3339; `nil` ends a pause.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Returns: whether the consumer pauses.
    @discardableResult
    public func pauseConsumer(
        _ consumer: String,
        on stream: String,
        until: String?,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> Bool {
        struct Request: Encodable { let pause_until: String? }
        struct Answer: Decodable { let paused: Bool }
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        let answer: Answer = try await call(
            "CONSUMER.PAUSE.\(stream).\(consumer)",
            body: Request(pause_until: until),
            timeout: timeout
        )
        return answer.paused
    }

    /// Deletes a consumer.
    public func deleteConsumer(
        _ consumer: String,
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) {
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        let answer: SuccessAnswer = try await call("CONSUMER.DELETE.\(stream).\(consumer)", timeout: timeout)
        guard answer.success else { throw JetStreamError(.invalidAnswer, "the server did not delete \(consumer)") }
    }

    /// Asks the server to delete a consumer that is not needed any more, without waiting for the answer. When the
    /// request gets lost, or the server forbids it to this user, the consumer ends after its inactivity threshold.
    public func discardConsumer(_ consumer: String, on stream: String) {
        // It is sent as a request, so that a refusal does not count as that of a published message.
        connection.requestUnawaited("\(prefix).CONSUMER.DELETE.\(stream).\(consumer)", timeout: timeout)
    }
}

extension JetStream {
    /// Sends one pull request and returns at once. Messages and statuses arrive at `inbox`, which the caller has
    /// subscribed to.
    ///
    /// - Throws: `connection` when the connection is closed or its outbound buffer full; nothing was sent then.
    public func sendPull(
        _ request: PullRequest,
        to consumer: String,
        on stream: String,
        inbox: String
    ) throws(JetStreamError) {
        guard request.batch > 0 else {
            throw JetStreamError(.invalidArgument, "a pull request asks for at least one message")
        }
        try Self.validate(name: stream, of: "stream")
        try Self.validate(name: consumer, of: "consumer")
        do throws(NATSError) {
            try connection.publish(
                ByteBuffer(string: request.json),
                to: "\(prefix).CONSUMER.MSG.NEXT.\(stream).\(consumer)",
                replyTo: inbox
            )
        } catch {
            throw JetStreamError(error)
        }
    }
}
