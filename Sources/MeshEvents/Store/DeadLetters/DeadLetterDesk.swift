/// Looks at the dead letters of a durable, and says what is to be done about them.
struct DeadLetterDesk: Sendable {
    /// How many dead letters one request reads.
    private static let part = 200
    /// About how many bytes one request reads.
    private static let partBytes = 8 << 20
    /// How long reading may get nothing.
    private static let patience: Duration = .seconds(30)
    /// How often to decide anew when others decide at the same time.
    private static let attempts = 50

    let durable: String
    let history: HistoryStore
    let log: DeadLetterLogStore
    let deadline: Duration

    init(_ durable: String, _ bus: PersistentEventBus) throws(MeshEventsError) {
        guard !bus.bus.isClosed else { throw EventBus.closedError }
        try DurableDefinition.check(name: durable)
        self.durable = durable
        history = bus.historyReader.store
        log = DeadLetterLogStore(durable: durable, store: bus.store, bus: bus.bus, messageIDs: bus.messageIDs)
        deadline = bus.configuration.acknowledgementDeadline
    }

    /// What was done, as the stream and its archive have it, and the stream's first sequence.
    func records() async throws(MeshEventsError) -> (log: DeadLetterLog, first: UInt64) {
        let state = try await log.store.state()
        var found = DeadLetterLog(keepsSettled: true)
        let pattern = try EventPattern(subject: log.subject)
        var next: UInt64 = 1
        while true {
            let part = try await history.first(
                Self.part,
                maximumBytes: Self.partBytes,
                matching: pattern,
                from: .sequence(next),
                timeout: Self.patience
            )
            try StreamPosition.check(part.created, isOf: state.created)
            for message in part.messages { log.take(message, into: &found, verifies: false) }
            guard let last = part.messages.last, part.isCutShort || part.messages.count == Self.part else { break }
            next = last.sequence.nextSequence
        }
        return (found, state.firstSequence)
    }

    /// The newest dead letters that lie in the range and are wanted, oldest first.
    func letters(_ limit: Int, since: Timestamp?, includesSettled: Bool) async throws(MeshEventsError) -> [DeadLetter] {
        let (log, first) = try await records()
        var found: [DeadLetter] = []
        var before: UInt64?
        let pattern = try DeadLetter.pattern(durable)
        while found.count < limit {
            let part = try await history.newest(
                Self.part,
                maximumBytes: Self.partBytes,
                matching: pattern,
                before: before,
                timeout: Self.patience
            )
            for message in part.messages.reversed() where found.count < limit {
                if let since, message.storedAt < since { return found.reversed() }
                guard var letter = DeadLetter(message, durable: durable) else { continue }
                letter.status = DeadLetter.Status(log[letter.sequence], first: first)
                if includesSettled || letter.status.isOpen { found.append(letter) }
            }
            guard let oldest = part.messages.first, part.isCutShort || part.messages.count == Self.part else { break }
            before = oldest.sequence
        }
        return found.reversed()
    }

    /// One dead letter.
    func letter(_ sequence: UInt64) async throws(MeshEventsError) -> DeadLetter {
        var letter = try await stored(sequence)
        let (log, first) = try await records()
        letter.status = DeadLetter.Status(log[sequence], first: first)
        return letter
    }

    private func stored(_ sequence: UInt64) async throws(MeshEventsError) -> DeadLetter {
        guard let message = try await history.message(sequence, timeout: Self.patience),
            let letter = DeadLetter(message, durable: durable)
        else {
            throw MeshEventsError(
                .eventNotFound,
                "event \(sequence) is no dead letter of the durable \(durable), or the stream no longer has it"
            )
        }
        return letter
    }

    /// The message that a dead letter is about; `nil` when neither the stream nor its archive has it.
    func original(of letter: DeadLetter) async throws(MeshEventsError) -> StoredMessage? {
        guard let found = try await history.message(letter.original.sequence, timeout: Self.patience),
            letter.isAbout(found)
        else { return nil }
        return found
    }

    /// Asks for a retry, unless that was done before.
    func retry(_ sequence: UInt64) async throws(MeshEventsError) -> DeadLetter.Change {
        let letter = try await stored(sequence)
        return try await decide(letter) { status throws(MeshEventsError) in
            switch status {
            case .retrying, .handled, .failedAgain: return nil
            case .open, .discarded: break
            }
            guard let original = try await original(of: letter) else {
                throw MeshEventsError(
                    .eventNotFound,
                    "event \(letter.original.sequence), which dead letter \(sequence) is about, is gone from the stream, "
                        + "and from its archive if there is one; it cannot be retried. Nothing has changed"
                )
            }
            return .retry(DeadLetterOriginal(sequence: original.sequence, storedAt: original.storedAt))
        }
    }

    /// Discards a dead letter, unless it is settled.
    func discard(_ sequence: UInt64, reason: String) async throws(MeshEventsError) -> DeadLetter.Change {
        guard !reason.isEmpty, reason.count <= DeadLetterRecord.longestReason else {
            throw MeshEventsError(
                .invalidArgument,
                "the reason for discarding a dead letter has 1 to \(DeadLetterRecord.longestReason) characters, not "
                    + "\(reason.count)"
            )
        }
        return try await decide(try await stored(sequence)) { status throws(MeshEventsError) in
            switch status {
            case .handled, .failedAgain, .discarded: return nil
            case .open: return .discard(reason: reason)
            case .retrying: return .discard(reason: reason)
            }
        }
    }

    /// Decides with what is known, and stores the decision if nothing was stored meanwhile; else decides again.
    ///
    /// - Parameter decision: what to do in this state; `nil` for nothing.
    private func decide(
        _ letter: DeadLetter,
        _ decision: (DeadLetter.Status) async throws(MeshEventsError) -> DeadLetterRecord.Action?
    ) async throws(MeshEventsError) -> DeadLetter.Change {
        var letter = letter
        for attempt in 1... {
            // The condition is about the stream alone; the state is that of its archive too.
            let newest = try await log.store.newestMessage(on: log.subject, timeout: Self.patience)?.sequence ?? 0
            let (records, first) = try await records()
            let entry = records[letter.sequence]
            letter.status = DeadLetter.Status(entry, first: first)
            guard let action = try await decision(letter.status) else {
                return DeadLetter.Change(letter: letter, isNew: false)
            }
            if case .discard = action, case .delivered? = entry?.phase, case .retrying = letter.status {
                throw MeshEventsError(
                    .conflict,
                    "a handler has the retry of dead letter \(letter.sequence) at the moment; see what becomes of it first",
                    isRetriable: true
                )
            }
            do throws(MeshEventsError) {
                // Records that came after the newest one make the server refuse this one.
                let note = try await log.append(
                    DeadLetterRecord(letter.sequence, action, after: newest),
                    deadline: deadline
                )
                switch action {
                case .discard(let reason):
                    letter.status = .discarded(at: note.storedAt, by: note.node, reason: reason)
                default: letter.status = .retrying(since: note.storedAt, by: note.node, deliveries: 0)
                }
                return DeadLetter.Change(letter: letter, isNew: true)
            } catch {
                guard error.code == .conflict, attempt < Self.attempts else { throw error }
                try? await Task.sleep(for: .milliseconds(Int.random(in: 1...20)))
            }
        }
        throw MeshEventsError(.conflict, "others decide about dead letters of \(durable) all the time")
    }
}
