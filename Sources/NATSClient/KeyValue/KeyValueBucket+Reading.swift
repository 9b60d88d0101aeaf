import NIOCore

extension KeyValueBucket {
    /// Gets the value of a key.
    ///
    /// In a cluster the answer of a replica may be older than the newest write; see
    /// ``Configuration/allowsDirectGet``.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: `nil` when the key has no value: it was never put, or was deleted, or has expired.
    /// - Throws: `invalidKey`, `bucketNotFound`, `requestFailed`.
    public func get(_ key: String, timeout: Duration? = nil) async throws(KeyValueError) -> Entry? {
        try KeyRules.validate(key: key)
        let entry = try await direct(.last(root + key), timeout) { timeout throws(JetStreamError) in
            try await jetStream.lastMessage(to: root + key, on: stream, timeout: timeout)
        }
        return entry?.operation == .put ? entry : nil
    }

    /// Gets the value that a key had with a revision.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - revision: the revision, from 1.
    ///   - timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Returns: `nil` when the revision belongs to another key, deleted the key, or is not kept any more.
    /// - Throws: `invalidKey`, `bucketNotFound`, `requestFailed`.
    public func get(
        _ key: String,
        revision: UInt64,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> Entry? {
        try KeyRules.validate(key: key)
        guard revision > 0 else { return nil }
        let entry = try await direct(.sequence(revision), timeout) { timeout throws(JetStreamError) in
            try await jetStream.message(atOrAfter: revision, matching: root + key, on: stream, timeout: timeout)
        }
        guard let entry, entry.key == key, entry.revision == revision, entry.operation == .put else { return nil }
        return entry
    }

    /// Gets the newest revision of a key, a deletion too, from the server that decides the order of writes.
    func newest(_ key: String, timeout: Duration?) async throws(KeyValueError) -> (entry: Entry, messageID: String?)? {
        do throws(JetStreamError) {
            let message = try await jetStream.lastMessage(to: root + key, on: stream, timeout: timeout)
            guard let message, let entry = self.entry(message) else { return nil }
            return (entry, message.messageID)
        } catch {
            throw KeyValueError(error, bucket: name)
        }
    }

    /// Gets the newest revision of a key, a deletion too, from the server that decides the order of writes. It needs the
    /// right to read single messages only.
    ///
    /// - Returns: `nil` when the key was never put, or was purged long ago.
    package func newest(_ key: String) async throws(KeyValueError) -> Entry? {
        try KeyRules.validate(key: key)
        return try await newest(key, timeout: nil)?.entry
    }

    /// Gets what a revision wrote, a deletion too, from the server that decides the order of writes. It needs the right to
    /// read single messages only.
    ///
    /// - Returns: `nil` when the revision is not kept any more.
    package func entry(of revision: UInt64) async throws(KeyValueError) -> Entry? {
        guard revision > 0, let entry = try await next(from: revision, upTo: revision, matching: ">") else {
            return nil
        }
        return entry
    }

    /// Gets what the bucket holds now, deletions too, in any order; the newest revision of each key, for a bucket without
    /// history. What is written meanwhile may come too, and a key may come twice. It needs the rights to ask what the
    /// stream holds and to read single messages only, and asks for several at once.
    ///
    /// The server could list the keys. But that list has no bound, and a server closes a connection that is slow to take
    /// it.
    ///
    /// - Parameters:
    ///   - pattern: which keys: `*` for a token, `>` at the end for the rest.
    ///   - body: gets each entry.
    /// - Throws: `bucketNotFound`, `requestFailed`.
    package func readSingly(_ pattern: String = ">", _ body: (Entry) -> Void) async throws(KeyValueError) {
        var next: UInt64 = 1
        // A key that was read is written again perhaps, behind what was there: then also what is read after that.
        for _ in 0..<Self.mostRounds {
            let state = try await information(timeout: nil).state
            let first = max(next, state.firstSequence)
            guard first <= state.lastSequence else { return }
            try await readSingly(first...state.lastSequence, pattern, body)
            next = state.lastSequence + 1
        }
    }

    /// Reads a range of revisions, in parts that are read at the same time.
    private func readSingly(
        _ range: ClosedRange<UInt64>,
        _ pattern: String,
        _ body: (Entry) -> Void
    ) async throws(KeyValueError) {
        let part = (range.upperBound - range.lowerBound) / UInt64(Self.partsAtOnce) + 1
        let failure = await withTaskGroup(of: Result<(Entry, UInt64)?, KeyValueError>.self) { group -> KeyValueError? in
            func ask(_ revision: UInt64, _ last: UInt64) {
                group.addTask {
                    do throws(KeyValueError) {
                        return .success(
                            try await next(from: revision, upTo: last, matching: pattern).map { ($0, last) }
                        )
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for first in stride(from: range.lowerBound, through: range.upperBound, by: Int(clamping: part)) {
                ask(first, min(range.upperBound, first + (part - 1)))
            }
            for await result in group {
                switch result {
                case .success(let (entry, last)?):
                    body(entry)
                    if entry.revision < last { ask(entry.revision + 1, last) }
                case .success(nil): break
                case .failure(let error):
                    group.cancelAll()
                    return error
                }
            }
            return nil
        }
        if let failure { throw failure }
    }

    /// The first revision of any key of a pattern in a range.
    private func next(
        from revision: UInt64,
        upTo last: UInt64,
        matching pattern: String
    ) async throws(KeyValueError) -> Entry? {
        do throws(JetStreamError) {
            let message = try await jetStream.message(atOrAfter: revision, matching: root + pattern, on: stream)
            return message.flatMap { $0.sequence <= last ? entry($0) : nil }
        } catch {
            throw KeyValueError(error, bucket: name)
        }
    }

    private static let partsAtOnce = 64
    private static let mostRounds = 4

    /// Lists the keys that have a value, in alphabetical order.
    ///
    /// - Parameters:
    ///   - pattern: which keys: `*` for a token, `>` at the end for the rest; `>`, the default, for all.
    ///   - timeout: how long nothing may come; `nil` for the time of ``jetStream``.
    /// - Throws: `invalidKey`, `bucketNotFound`, `requestFailed`.
    public func keys(matching pattern: String = ">", timeout: Duration? = nil) async throws(KeyValueError) -> [String] {
        try KeyRules.validate(pattern: pattern)
        // All revisions, not `last_per_subject`: servers drop from that what does not fit into the bytes of a request.
        let found = try await entries(pattern, headersOnly: true, timeout)
        // The last entry of a key counts.
        var operations: [String: Operation] = [:]
        for entry in found { operations[entry.key] = entry.operation }
        return operations.filter { $0.value == .put }.keys.sorted()
    }

    /// Gets all revisions of a key that the bucket keeps, oldest first, deletions too.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - timeout: how long nothing may come; `nil` for the time of ``jetStream``.
    /// - Throws: `invalidKey`, `bucketNotFound`, `requestFailed`.
    public func history(_ key: String, timeout: Duration? = nil) async throws(KeyValueError) -> [Entry] {
        try KeyRules.validate(key: key)
        return try await entries(key, headersOnly: false, timeout)
    }

    /// Reads what the bucket holds now with a consumer; reads again when that gets lost.
    private func entries(
        _ pattern: String,
        headersOnly: Bool,
        _ timeout: Duration?
    ) async throws(KeyValueError) -> [Entry] {
        let limit = timeout ?? jetStream.timeout
        let end = ContinuousClock.now + limit
        let configuration = ConsumerConfiguration.reader(
            start: .all,
            filterSubjects: [root + pattern],
            headersOnly: headersOnly
        )
        while true {
            do throws(JetStreamError) {
                let consumer = try await jetStream.createConsumer(configuration, on: stream, timeout: limit)
                defer { jetStream.discardConsumer(consumer.name, on: stream) }
                guard consumer.pending > 0 else { return [] }
                return try await jetStream.read(
                    Int(clamping: consumer.pending),
                    from: consumer.name,
                    on: stream,
                    limits: PullLimits(consumer.configuration),
                    deadline: .now + limit
                ) { entry(JetStreamMessage($0)) }.compactMap { $0 }
            } catch {
                guard error.kind == .consumerLost, .now < end else { throw KeyValueError(error, bucket: name) }
            }
        }
    }

    /// Asks any server with a copy, if the bucket allows that and a server answers; else asks as `other` does.
    private func direct(
        _ position: DirectGet,
        _ timeout: Duration?,
        else other: (Duration) async throws(JetStreamError) -> StreamMessage?
    ) async throws(KeyValueError) -> Entry? {
        let limit = timeout ?? jetStream.timeout
        let end = ContinuousClock.now + limit
        do throws(JetStreamError) {
            if allowsDirectGet {
                do throws(JetStreamError) {
                    return try await jetStream.directMessage(position, on: stream, timeout: limit / 2).flatMap {
                        entry($0)
                    }
                } catch {
                    // The bucket is gone, which servers before 2.10 do not answer; or it was changed.
                    guard error.isNoResponders || error.kind == .timeout else { throw error }
                }
            }
            return try await other(max(end - .now, .zero)).flatMap { entry($0) }
        } catch {
            throw KeyValueError(error, bucket: name)
        }
    }
}

/// Which message a direct get asks for.
enum DirectGet {
    /// The newest to a subject.
    case last(String)
    /// The one at a sequence.
    case sequence(UInt64)
}

extension JetStream {
    /// Gets a message from any server that keeps a copy of its stream; servers from 2.9.
    ///
    /// - Returns: `nil` when there is none.
    /// - Throws: a `connection` error without responders when the stream does not allow this, or does not exist.
    func directMessage(
        _ position: DirectGet,
        on stream: String,
        timeout: Duration?
    ) async throws(JetStreamError) -> StreamMessage? {
        let answer: NATSMessage
        do throws(NATSError) {
            let (subject, body) =
                switch position {
                case .last(let subject): (".\(subject)", "")
                case .sequence(let sequence): ("", "{\"seq\":\(sequence)}")
                }
            answer = try await connection.request(
                ByteBuffer(string: body),
                to: "\(prefix).DIRECT.GET.\(stream)\(subject)",
                timeout: timeout ?? self.timeout,
                silence: Self.silence(timeout ?? self.timeout)
            )
        } catch {
            throw JetStreamError(error)
        }
        return try StreamMessage(direct: answer)
    }
}

extension StreamMessage {
    /// Reads the answer to a direct get; `nil` when it says that there is no such message.
    fileprivate init?(direct answer: NATSMessage) throws(JetStreamError) {
        if let status = answer.status {
            if status == 404 { return nil }
            let text = answer.statusDescription ?? "no description"
            throw JetStreamError(code: status, errorCode: .init(rawValue: 0), message: text)
        }
        // The server appends its fields; the writer may have used the same names.
        func field(_ name: String) -> String? { answer.headers.values(of: name).last }
        guard let subject = field("Nats-Subject"), let time = field("Nats-Time-Stamp"),
            let sequence = field("Nats-Sequence").flatMap({ UInt64($0) }), sequence > 0
        else {
            throw JetStreamError(.invalidAnswer, "the answer to a direct get has no subject, sequence or time")
        }
        self.init(
            subject: subject,
            sequence: sequence,
            time: time,
            headerBlock: answer.headers.block,
            payload: Array(answer.payload.readableBytesView)
        )
    }
}
