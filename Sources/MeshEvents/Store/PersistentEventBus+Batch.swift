extension PersistentEventBus {
    /// Emits many events, in order, and returns when all are stored: many are under way at once, at most
    /// ``PersistenceConfiguration/acknowledgementWindow``; beyond that this suspends.
    ///
    /// A lost acknowledgement is asked for again with the same message id, across reconnects, until the configuration's
    /// deadline; no event is stored twice, and none before an earlier one of the batch, short of a cluster that changes
    /// its leader between two of them.
    ///
    /// - Parameters:
    ///   - events: the batch; may be empty.
    ///   - onStored: called for each event as it is stored, with its index, from 0; it must be quick.
    /// - Returns: where the events are, in the order of the batch. Until then this is kept, in little memory as long as no
    ///   other emitter's events come between; for a sequence without an end use an asynchronous one.
    /// - Throws: ``BatchEmitError``, which says what became of each event.
    @discardableResult
    @inlinable  // or each event would be asked for through the sequence's witnesses
    public func emit(
        contentsOf events: some Sequence<Event>,
        onStored: (@Sendable (_ index: Int, _ position: StoredPosition) -> Void)? = nil
    ) async throws(BatchEmitError) -> [StoredPosition] {
        let batch = EventBatch(bus: self, keepsAll: true, onStored: onStored)
        for event in events { try await batch.emit(event) }
        return try await batch.finishAll()
    }

    /// Emits the events of an asynchronous sequence as they come, and returns when it has ended and all are stored.
    ///
    /// When the sequence throws, the events before are stored first, then its error is thrown. The sequence may be
    /// endless: the memory this takes does not grow with it.
    ///
    /// - Parameters:
    ///   - events: what to emit; taken no faster than it is stored.
    ///   - onStored: called for each event as it is stored, with its index, from 0; it must be quick.
    /// - Returns: how many events were stored.
    /// - Throws: ``BatchEmitError``, or what the sequence throws.
    @discardableResult
    public func emit<Events: AsyncSequence>(
        contentsOf events: Events,
        onStored: (@Sendable (_ index: Int, _ position: StoredPosition) -> Void)? = nil
    ) async throws -> Int where Events.Element == Event {
        let batch = EventBatch(bus: self, keepsAll: false, onStored: onStored)
        var failure: (any Error)?
        do {
            for try await event in events { try await batch.emit(event) }
        } catch let error as BatchEmitError {
            throw error
        } catch {
            failure = error
        }
        let count = try await batch.finish()
        if let failure { throw failure }
        return count
    }
}
