extension PersistentEventBus {
    /// The newest dead letters of a durable, oldest first, and what was done about each.
    ///
    /// They come from the stream, and from its archive where the stream does not reach.
    ///
    /// - Parameters:
    ///   - durable: the durable's name. It need not exist any more.
    ///   - since: only those stored at this time or later; `nil` for all.
    ///   - limit: how many at most, from 1. Default 50.
    ///   - includesSettled: also those that were handled by a retry, have become another dead letter, or were discarded.
    ///     Default `false`.
    /// - Throws: `invalidArgument` for a name that no durable can have, and for a limit below 1; what the store throws
    ///   (`streamNotFound`, `timeout`, `permissionDenied` …); `closed`.
    public func deadLetters(
        of durable: String,
        since: Timestamp? = nil,
        limit: Int = 50,
        includesSettled: Bool = false
    ) async throws(MeshEventsError) -> [DeadLetter] {
        guard limit > 0 else {
            throw MeshEventsError(.invalidArgument, "the limit must be at least 1, not \(limit)")
        }
        var desk = try DeadLetterDesk(durable, self)
        return try await desk.letters(limit, since: since, includesSettled: includesSettled)
    }

    /// One dead letter of a durable.
    ///
    /// - Parameters:
    ///   - sequence: its own sequence in the stream, not that of the original.
    ///   - durable: the durable's name.
    /// - Throws: `eventNotFound` when there is no such dead letter; as ``deadLetters(of:since:limit:includesSettled:)``.
    public func deadLetter(_ sequence: UInt64, of durable: String) async throws(MeshEventsError) -> DeadLetter {
        var desk = try DeadLetterDesk(durable, self)
        return try await desk.letter(sequence)
    }

    /// The message that was given up, as the stream or its archive keeps it; `nil` when neither has it any more.
    ///
    /// - Throws: as ``deadLetters(of:since:limit:includesSettled:)``.
    public func original(of letter: DeadLetter) async throws(MeshEventsError) -> StoredMessage? {
        try await DeadLetterDesk(letter.durable, self).original(of: letter)
    }

    /// Has the original of a dead letter delivered again, to the handlers of its durable alone.
    ///
    /// The handlers get the event as it is stored: with its sequence, its time and its header fields. Deliveries count
    /// from 1 again, ``DurableDelivery/deadLetter`` tells that it is a retry, and when it fails as often as the durable
    /// allows, it is another dead letter. When no handler runs, the retry waits for one, as long as the stream keeps the
    /// record of it. Asking again, here or elsewhere, changes nothing: each dead letter is retried once.
    ///
    /// - Returns: the dead letter as it is now. A retry that was asked for before is no error; see
    ///   ``DeadLetter/Change/isNew``.
    /// - Throws: `eventNotFound` when the original is neither in the stream nor in its archive (nothing is changed then);
    ///   `permissionDenied` for a user who may not emit `dead_letter.<durable>`;
    ///   `conflict` when others decide all the time; as ``emit(_:)-(Event)`` and
    ///   ``deadLetters(of:since:limit:includesSettled:)``.
    @discardableResult
    public func retry(_ letter: DeadLetter) async throws(MeshEventsError) -> DeadLetter.Change {
        var desk = try DeadLetterDesk(letter.durable, self)
        return try await desk.retry(letter)
    }

    /// Notes that a dead letter is not to be retried. It stays in the stream; a list leaves it out.
    ///
    /// A retry that no handler has taken yet is taken back. A discarded dead letter can be retried later.
    ///
    /// - Parameters:
    ///   - letter: the dead letter.
    ///   - reason: why, from 1 to 2 000 characters.
    /// - Returns: the dead letter as it is now; one that is settled stays as it is.
    /// - Throws: `invalidArgument` for the reason; `conflict` while a handler has the retry; as ``retry(_:)``.
    @discardableResult
    public func discard(_ letter: DeadLetter, reason: String) async throws(MeshEventsError) -> DeadLetter.Change {
        var desk = try DeadLetterDesk(letter.durable, self)
        return try await desk.discard(letter, reason: reason)
    }
}
