extension PersistentEventBus {
    /// Emits many events, in order, and returns when all are stored. At most
    /// ``PersistenceConfiguration/acknowledgementWindow`` events are unacknowledged at once; beyond that this suspends.
    ///
    /// When an acknowledgement is lost, the event is sent again with the same message id, across reconnects, until the
    /// configuration's deadline. No event is stored twice. Events are stored in the order of the batch, unless a
    /// cluster changes its leader between two of them.
    ///
    /// - Parameters:
    ///   - events: the batch; may be empty.
    ///   - onStored: called for each event when it is stored, with its index, from 0; it must be quick.
    /// - Returns: the positions of the events, in the order of the batch. They are kept until then, in little memory
    ///   while no other emitter's events come between. For a sequence without an end use an asynchronous one.
    /// - Throws: ``BatchEmitError``, which says which events are stored.
    @discardableResult
    @inlinable  // so that events are not read through protocol witnesses
    public func emit(
        contentsOf events: some Sequence<Event>,
        onStored: (@Sendable (_ index: Int, _ position: StoredPosition) -> Void)? = nil
    ) async throws(BatchEmitError) -> [StoredPosition] {
        let batch = EventBatch(bus: self, keepsAll: true, onStored: onStored)
        for event in events { try await batch.emit(event) }
        return try await batch.finishAll()
    }

    /// Emits the events of an asynchronous sequence as they arrive, and returns when it has ended and all are stored.
    ///
    /// When the sequence throws, the events before are stored first, then its error is thrown. The sequence may be
    /// endless: the memory this takes does not grow with it.
    ///
    /// - Parameters:
    ///   - events: the events to emit; read no faster than they are stored.
    ///   - onStored: called for each event when it is stored, with its index, from 0; it must be quick.
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
