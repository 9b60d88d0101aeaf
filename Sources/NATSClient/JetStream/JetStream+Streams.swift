import NIOCore

extension JetStream {
    /// Asks for a stream's configuration and state.
    ///
    /// - Throws: `streamNotFound` (10059) when there is none of that name.
    public func streamInfo(_ name: String, timeout: Duration? = nil) async throws(JetStreamError) -> StreamInformation {
        try Self.validate(name: name, of: "stream")
        return try await call("STREAM.INFO.\(name)", timeout: timeout)
    }

    /// Asks for the names of streams, in the server's order.
    ///
    /// - Parameters:
    ///   - subject: only streams that take messages of this subject or pattern; `nil` for all.
    ///   - timeout: how long the server may take for each answer, which holds some thousand names; `nil` for ``timeout``.
    public func streamNames(subject: String? = nil, timeout: Duration? = nil) async throws(JetStreamError) -> [String] {
        struct Request: Encodable {
            let subject: String?
            let offset: Int
        }
        struct Answer: Decodable {
            let total: Int
            let streams: [String]?
        }
        var names: [String] = []
        while true {
            let answer: Answer = try await call(
                "STREAM.NAMES",
                body: Request(subject: subject, offset: names.count),
                timeout: timeout
            )
            let found = answer.streams ?? []
            names += found
            guard !found.isEmpty, names.count < answer.total else { return names }
        }
    }

    /// Creates a stream. A stream that exists with the same configuration counts as created.
    ///
    /// A server that has just deleted a stream of this name removes its files in the background, and may refuse meanwhile:
    /// that is waited for, as long as the request may take.
    ///
    /// - Throws: `streamNameInUse` (10058) when it exists with another configuration.
    public func createStream(
        _ configuration: StreamConfiguration,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> StreamInformation {
        try Self.validate(name: configuration.name, of: "stream")
        return try await create("STREAM.CREATE.\(configuration.name)", body: configuration, timeout: timeout)
    }

    /// Asks for something to be created; again, while the server still removes the files of one that had its name.
    func create<Answer: Decodable>(
        _ subject: String,
        body: some Encodable,
        timeout: Duration?
    ) async throws(JetStreamError) -> Answer {
        let end = ContinuousClock.now + (timeout ?? self.timeout)
        var pause: Duration = .milliseconds(10)
        while true {
            do throws(JetStreamError) {
                return try await call(subject, body: body, timeout: max(end - .now, .milliseconds(1)))
            } catch {
                guard error.isFormerOneInTheWay, .now + pause < end else { throw error }
                try? await Task.sleep(for: pause)
                if Task.isCancelled { throw error }
                pause = min(pause * 2, .seconds(2))
            }
        }
    }

    /// Changes a stream's configuration. Begin with the configuration that ``streamInfo(_:timeout:)`` returned, so that
    /// fields this client does not know stay as they are.
    public func updateStream(
        _ configuration: StreamConfiguration,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> StreamInformation {
        try Self.validate(name: configuration.name, of: "stream")
        return try await call("STREAM.UPDATE.\(configuration.name)", body: configuration, timeout: timeout)
    }

    /// Changes a stream's configuration, or creates the stream when there is none of that name.
    public func createOrUpdateStream(
        _ configuration: StreamConfiguration,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> StreamInformation {
        do throws(JetStreamError) {
            return try await updateStream(configuration, timeout: timeout)
        } catch {
            guard error.errorCode == .streamNotFound else { throw error }
            return try await createStream(configuration, timeout: timeout)
        }
    }

    /// Deletes a stream and all it holds.
    public func deleteStream(_ name: String, timeout: Duration? = nil) async throws(JetStreamError) {
        try Self.validate(name: name, of: "stream")
        let answer: SuccessAnswer = try await call("STREAM.DELETE.\(name)", timeout: timeout)
        guard answer.success else { throw JetStreamError(.invalidAnswer, "the server did not delete stream \(name)") }
    }

    /// Deletes messages of a stream; their sequences are not used again.
    ///
    /// - Parameters:
    ///   - name: the stream's name.
    ///   - subject: only messages that match this pattern; `nil` for all.
    ///   - before: only messages below this sequence; `nil` for all.
    ///   - keeping: how many of the newest stay; `nil` for none. Not together with `before`.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Returns: how many messages were deleted.
    @discardableResult
    public func purgeStream(
        _ name: String,
        subject: String? = nil,
        before: UInt64? = nil,
        keeping: UInt64? = nil,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> UInt64 {
        struct Request: Encodable {
            let filter: String?
            let seq: UInt64?
            let keep: UInt64?
        }
        struct Answer: Decodable {
            let success: Bool
            let purged: UInt64
        }
        try Self.validate(name: name, of: "stream")
        let answer: Answer = try await call(
            "STREAM.PURGE.\(name)",
            body: Request(filter: subject, seq: before, keep: keeping),
            timeout: timeout
        )
        return answer.purged
    }
}

extension JetStream {
    /// Counts a stream's messages by subject; fetches all pages of the answer.
    ///
    /// - Parameters:
    ///   - stream: the stream's name.
    ///   - filter: the subjects that count, as a pattern.
    ///   - timeout: how long the server may take for each page; `nil` for ``timeout``.
    public func subjectCounts(
        of stream: String,
        matching filter: String = ">",
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> [String: UInt64] {
        struct Request: Encodable {
            let subjects_filter: String
            let offset: Int
        }
        struct Answer: Decodable {
            struct State: Decodable { let subjects: [String: UInt64]? }
            let state: State
            let total: Int?
        }
        try Self.validate(name: stream, of: "stream")
        var counts: [String: UInt64] = [:]
        while true {
            let answer: Answer = try await call(
                "STREAM.INFO.\(stream)",
                body: Request(subjects_filter: filter, offset: counts.count),
                timeout: timeout
            )
            let page = answer.state.subjects ?? [:]
            counts.merge(page) { $1 }
            guard !page.isEmpty, counts.count < answer.total ?? 0 else { return counts }
        }
    }

    /// Lists every consumer of a stream; fetches all pages of the answer.
    public func consumers(
        on stream: String,
        timeout: Duration? = nil
    ) async throws(JetStreamError) -> [ConsumerInformation] {
        struct Request: Encodable { let offset: Int }
        struct Answer: Decodable {
            let consumers: [ConsumerInformation]?
            let total: Int?
        }
        try Self.validate(name: stream, of: "stream")
        var consumers: [ConsumerInformation] = []
        while true {
            let answer: Answer = try await call(
                "CONSUMER.LIST.\(stream)",
                body: Request(offset: consumers.count),
                timeout: timeout
            )
            let page = answer.consumers ?? []
            consumers += page
            guard !page.isEmpty, consumers.count < answer.total ?? 0 else { return consumers }
        }
    }
}
