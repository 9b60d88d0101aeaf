public import NIOCore

extension KeyValueBucket {
    /// Sets the value of a key.
    ///
    /// A write whose acknowledgement is lost with the connection is sent again until the deadline, with the same message
    /// id: the bucket stores it once. That holds for all writes.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - value: the value.
    ///   - headers: header fields that are stored with it (``Entry/headers``); none that begin with `Nats-` or `KV-`.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: the new revision.
    /// - Throws: `invalidKey`, `valueTooLarge`, `bucketFull`, `bucketNotFound`, `requestFailed`; `uncertain` when the
    ///   acknowledgement did not come: the value may be stored.
    @discardableResult
    public func put(
        _ key: String,
        _ value: ByteBuffer,
        headers: NATSHeaders = [:],
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        try await write(key, value, .put, headers, expected: nil, timeout)
    }

    /// Sets the value of a key that has none: it was never put, or was deleted.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - value: the value.
    ///   - headers: header fields that are stored with it, as with ``put(_:_:headers:timeout:)``.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: the new revision.
    /// - Throws: `keyExists`, and what ``put(_:_:headers:timeout:)`` throws.
    @discardableResult
    public func create(
        _ key: String,
        _ value: ByteBuffer,
        headers: NATSHeaders = [:],
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        let end = ContinuousClock.now + (timeout ?? jetStream.timeout)
        var left: Duration { max(end - .now, .milliseconds(1)) }
        var expected: UInt64 = 0
        while true {
            do {
                return try await write(key, value, .put, headers, expected: expected, left)
            } catch {
                guard error.code == .wrongRevision else { throw error }
                // The newest revision may be a deletion.
                let present = try await newest(key, timeout: left)?.entry
                guard .now < end || present?.operation == .put else { throw error }
                if present?.operation == .put {
                    throw KeyValueError(
                        .keyExists,
                        "the key \(key) has a value; use update with its revision, or put",
                        revision: present?.revision,
                        underlying: error.underlying
                    )
                }
                expected = present?.revision ?? 0
            }
        }
    }

    /// Sets the value of a key whose newest revision is known.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - value: the value.
    ///   - expectedRevision: the newest revision of the key; 0: the key has none.
    ///   - headers: header fields that are stored with it, as with ``put(_:_:headers:timeout:)``.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: the new revision.
    /// - Throws: `wrongRevision` when the key was changed since, and what ``put(_:_:headers:timeout:)`` throws.
    @discardableResult
    public func update(
        _ key: String,
        _ value: ByteBuffer,
        expectedRevision: UInt64,
        headers: NATSHeaders = [:],
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        try await write(key, value, .put, headers, expected: expectedRevision, timeout)
    }

    /// Deletes the value of a key; older revisions stay, as far as the bucket keeps any. A key without a value may be
    /// deleted too.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - expectedRevision: the newest revision of the key; `nil` for any.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: the revision of the deletion.
    /// - Throws: `wrongRevision` when the key was changed since, and what ``put(_:_:headers:timeout:)`` throws.
    @discardableResult
    public func delete(
        _ key: String,
        expectedRevision: UInt64? = nil,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        try await write(key, ByteBuffer(), .delete, [:], expected: expectedRevision, timeout)
    }

    /// Deletes the value of a key and all older revisions.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - expectedRevision: the newest revision of the key; `nil` for any.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: the revision of the deletion, the only one that stays.
    /// - Throws: `wrongRevision` when the key was changed since, and what ``put(_:_:headers:timeout:)`` throws.
    @discardableResult
    public func purge(
        _ key: String,
        expectedRevision: UInt64? = nil,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        try await write(key, ByteBuffer(), .purge, [:], expected: expectedRevision, timeout)
    }

    /// Publishes one revision, and again with the same message id when its outcome is not known.
    private func write(
        _ key: String,
        _ value: ByteBuffer,
        _ operation: Operation,
        _ fields: NATSHeaders,
        expected: UInt64?,
        _ timeout: Duration?
    ) async throws(KeyValueError) -> UInt64 {
        try KeyRules.validate(key: key)
        var headers = fields
        for field in operation.headers.fields { headers.append(field.name, field.value) }
        if let expected { headers.append("Nats-Expected-Last-Subject-Sequence", "\(expected)") }
        let messageID = UniqueToken.make()
        let begun = ContinuousClock.now
        let end = begun + (timeout ?? jetStream.timeout)
        var left: Duration { max(end - .now, .milliseconds(1)) }
        var pause: Duration = .milliseconds(10)
        var mayBeStored = false
        while true {
            let failure: JetStreamError
            do throws(JetStreamError) {
                let answer = try await jetStream.publish(
                    value,
                    to: writeRoot + key,
                    messageID: messageID,
                    expectedStream: nil,
                    headers: headers,
                    timeout: left,
                    // Sent later, it might come when the stream has forgotten the id.
                    onlyNow: mayBeStored
                ) { answer, _ in answer }
                return try answer.get().sequence
            } catch {
                failure = error
            }
            if mayBeStored, failure.isConflict {
                // The conflict may be with the message itself, when the server has forgotten its id in a restart.
                let present = try? await newest(key, timeout: left)
                if let present, present.messageID == messageID { return present.entry.revision }
                throw Self.uncertain(failure)
            }
            mayBeStored = mayBeStored || failure.leavesOutcomeOpen
            let isRemembered = !mayBeStored || .now - begun < duplicateWindow / 2
            guard failure.isRetriable, !failure.errorCode.meansFull, isRemembered, left > pause else {
                throw mayBeStored ? Self.uncertain(failure) : KeyValueError(failure, bucket: name)
            }
            if failure.isNoResponders, !mayBeStored {
                // No stream takes the subject: the bucket is gone, or its server is away for a moment.
                do throws(KeyValueError) {
                    _ = try await information(timeout: left)
                } catch {
                    if error.code == .bucketNotFound { throw error }
                }
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    private static func uncertain(_ failure: JetStreamError) -> KeyValueError {
        KeyValueError(
            .uncertain,
            "the write may be stored or not (\(failure.message)); get the key before you write again",
            underlying: failure
        )
    }
}

extension KeyValueBucket {
    /// Sets the value of a key to a text in UTF-8, as ``put(_:_:headers:timeout:)`` does.
    @discardableResult
    public func put(_ key: String, text: String, timeout: Duration? = nil) async throws(KeyValueError) -> UInt64 {
        try await put(key, ByteBuffer(string: text), timeout: timeout)
    }

    /// Sets the value of a key that has none to a text in UTF-8, as ``create(_:_:headers:timeout:)`` does.
    @discardableResult
    public func create(_ key: String, text: String, timeout: Duration? = nil) async throws(KeyValueError) -> UInt64 {
        try await create(key, ByteBuffer(string: text), timeout: timeout)
    }

    /// Sets the value of a key whose newest revision is known to a text in UTF-8, as
    /// ``update(_:_:expectedRevision:headers:timeout:)`` does.
    @discardableResult
    public func update(
        _ key: String,
        text: String,
        expectedRevision: UInt64,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> UInt64 {
        try await update(key, ByteBuffer(string: text), expectedRevision: expectedRevision, timeout: timeout)
    }
}
