/// Looks at the dead letters of a durable, and says what is to be done about them.
///
/// It keeps what it has read of the records, so that deciding about many dead letters reads them once.
package struct DeadLetterDesk: Sendable {
    /// How many messages one request reads.
    private static let part = 500
    /// About how many bytes one request reads.
    private static let partBytes = 8 << 20
    /// How long reading may get nothing.
    private static let patience: Duration = .seconds(30)
    /// How often to decide anew when others decide at the same time.
    private static let attempts = 50

    private let durable: String
    private let history: HistoryStore
    private let records: DeadLetterLogStore
    private let deadline: Duration
    /// What was done, as the stream and its archive have it.
    private var log = DeadLetterLog(keepsSettled: true)
    /// The stream when the records were read; `nil` before that.
    private var stream: StreamState?
    /// The sequence of the newest record that the stream itself has; 0 for none.
    private var newest: UInt64 = 0

    /// - Throws: `invalidArgument` for a name that no durable can have; `closed`.
    package init(_ durable: String, _ bus: PersistentEventBus) throws(MeshEventsError) {
        guard !bus.bus.isClosed else { throw EventBus.closedError }
        try DurableDefinition.check(name: durable)
        self.durable = durable
        history = bus.historyReader.store
        records = DeadLetterLogStore(durable: durable, store: bus.store, bus: bus.bus, messageIDs: bus.messageIDs)
        deadline = bus.configuration.acknowledgementDeadline
    }

    // MARK: Reading

    /// The newest dead letters that lie in the range and are wanted, oldest first.
    package mutating func letters(
        _ limit: Int,
        since: Timestamp? = nil,
        includesSettled: Bool = false
    ) async throws(MeshEventsError) -> [DeadLetter] {
        try await readRecords()
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
                letter.status = status(of: letter.sequence)
                if includesSettled || letter.status.isOpen { found.append(letter) }
            }
            guard let oldest = part.messages.first, part.isCutShort || part.messages.count == Self.part else { break }
            before = oldest.sequence
        }
        return found.reversed()
    }

    /// One dead letter.
    package mutating func letter(_ sequence: UInt64) async throws(MeshEventsError) -> DeadLetter {
        guard let message = try await history.message(sequence, timeout: Self.patience),
            var letter = DeadLetter(message, durable: durable)
        else {
            throw MeshEventsError(
                .eventNotFound,
                "event \(sequence) is no dead letter of the durable \(durable), or the stream no longer has it"
            )
        }
        if stream == nil { try await readRecords() }
        letter.status = status(of: sequence)
        return letter
    }

    /// The message that a dead letter is about; `nil` when neither the stream nor its archive has it.
    package func original(of letter: DeadLetter) async throws(MeshEventsError) -> StoredMessage? {
        guard let found = try await history.message(letter.original.sequence, timeout: Self.patience),
            letter.isAbout(found)
        else { return nil }
        return found
    }

    private func status(of letter: UInt64) -> DeadLetter.Status {
        DeadLetter.Status(log[letter], first: stream?.firstSequence ?? 0)
    }

    /// Takes in the records that were stored since.
    private mutating func readRecords() async throws(MeshEventsError) {
        let state = try await records.store.state()
        try StreamPosition.check(state.created, isOf: stream?.created)
        // The condition of a new record is about the stream alone. Asked for first: what comes after it is read, or
        // makes the store refuse the new record.
        newest = try await records.store.newestMessage(on: records.subject, timeout: Self.patience)?.sequence ?? 0
        let pattern = try EventPattern(subject: records.subject)
        while true {
            let part = try await history.first(
                Self.part,
                maximumBytes: Self.partBytes,
                matching: pattern,
                from: .sequence(log.last.nextSequence),
                timeout: Self.patience
            )
            try StreamPosition.check(part.created, isOf: state.created)
            for message in part.messages { records.take(message, into: &log, verifies: false) }
            guard !part.messages.isEmpty, part.isCutShort || part.messages.count == Self.part else { break }
        }
        stream = state
    }

    // MARK: Deciding

    /// Asks for a retry, unless that was done before.
    package mutating func retry(_ letter: DeadLetter) async throws(MeshEventsError) -> DeadLetter.Change {
        try await decide(letter) { desk, status throws(MeshEventsError) in
            switch status {
            case .retrying, .handled, .failedAgain: return nil
            case .open, .discarded: break
            }
            guard let original = try await desk.original(of: letter) else {
                throw MeshEventsError(
                    .eventNotFound,
                    "event \(letter.original.sequence), which dead letter \(letter.sequence) is about, is gone from the "
                        + "stream, and from its archive if there is one, or is not the event that the letter describes; it "
                        + "cannot be retried, and nothing was changed"
                )
            }
            return .retry(DeadLetterOriginal(sequence: original.sequence, storedAt: original.storedAt))
        }
    }

    /// Discards a dead letter, unless it is settled.
    package mutating func discard(
        _ letter: DeadLetter,
        reason: String
    ) async throws(MeshEventsError) -> DeadLetter.Change {
        guard !reason.isEmpty, reason.count <= DeadLetterRecord.longestReason else {
            throw MeshEventsError(
                .invalidArgument,
                "the reason for discarding a dead letter has 1 to \(DeadLetterRecord.longestReason) characters, not "
                    + "\(reason.count)"
            )
        }
        return try await decide(letter) { desk, status throws(MeshEventsError) in
            switch status {
            case .handled, .failedAgain, .discarded: return nil
            case .open: return .discard(reason: reason)
            case .retrying:
                guard case .delivered? = desk.log[letter.sequence]?.phase else { return .discard(reason: reason) }
                throw MeshEventsError(
                    .conflict,
                    "a handler has the retry of dead letter \(letter.sequence) at the moment; see what becomes of it first",
                    isRetriable: true
                )
            }
        }
    }

    /// Decides with what is known, and stores the decision if nothing was stored meanwhile; else decides again.
    ///
    /// - Parameter decision: what to do in this state; `nil` for nothing.
    private mutating func decide(
        _ letter: DeadLetter,
        _ decision: (DeadLetterDesk, DeadLetter.Status) async throws(MeshEventsError) -> DeadLetterRecord.Action?
    ) async throws(MeshEventsError) -> DeadLetter.Change {
        guard letter.durable == durable else {
            throw MeshEventsError(.invalidArgument, "dead letter \(letter.sequence) is not one of \(durable)")
        }
        var letter = letter
        if stream == nil { try await readRecords() }
        for attempt in 1... {
            letter.status = status(of: letter.sequence)
            guard let action = try await decision(self, letter.status) else {
                return DeadLetter.Change(letter: letter, isNew: false)
            }
            let record = DeadLetterRecord(letter.sequence, action, after: newest)
            do throws(MeshEventsError) {
                let note = try await records.append(record, deadline: deadline)
                newest = note.sequence
                log.take(record, note, now: .now)
                letter.status = status(of: letter.sequence)
                return DeadLetter.Change(letter: letter, isNew: true)
            } catch {
                guard error.code == .conflict, attempt < Self.attempts else { throw error }
                try? await Task.sleep(for: .milliseconds(Int.random(in: 1...20)))
                try await readRecords()
            }
        }
        throw MeshEventsError(.conflict, "others decide about dead letters of \(durable) all the time")
    }
}
