extension PersistentEventBus {
    /// Emits many events, in order, and returns when all are stored: many are under way at once, at most
    /// ``PersistenceConfiguration/acknowledgementWindow``; beyond that this suspends.
    ///
    /// A lost acknowledgement is asked for again with the same message id, across reconnects, until the configuration's
    /// deadline; no event is stored twice, and none before an earlier one of the batch, short of a cluster that changes
    /// its leader between two of them.
    ///
    /// - Parameter onStored: called for each event as it is stored, with its index, from 0; it must be quick.
    /// - Returns: where the events are, in the order of the batch.
    /// - Throws: ``BatchEmitError``, which says what became of each event.
    @discardableResult
    public func emit(
        contentsOf events: some Sequence<Event>,
        onStored: (@Sendable (_ index: Int, _ position: StoredPosition) -> Void)? = nil
    ) async throws(BatchEmitError) -> [StoredPosition] {
        let batch = Batch(bus: self, onStored: onStored)
        for event in events { try await batch.emit(event) }
        return try await batch.finish()
    }

    /// Emits the events of an asynchronous sequence as they come, and returns when it has ended and all are stored.
    ///
    /// When the sequence throws, the events before are stored first, then its error is thrown.
    ///
    /// - Parameter onStored: called for each event as it is stored, with its index, from 0; it must be quick.
    /// - Returns: how many events were stored.
    /// - Throws: ``BatchEmitError``, or what the sequence throws.
    @discardableResult
    public func emit<Events: AsyncSequence>(
        contentsOf events: Events,
        onStored: (@Sendable (_ index: Int, _ position: StoredPosition) -> Void)? = nil
    ) async throws -> Int where Events.Element == Event {
        let batch = Batch(bus: self, onStored: onStored)
        var failure: (any Error)?
        do {
            for try await event in events { try await batch.emit(event) }
        } catch let error as BatchEmitError {
            throw error
        } catch {
            failure = error
        }
        let positions = try await batch.finish()
        if let failure { throw failure }
        return positions.count
    }
}

/// The events of one call on their way.
private struct Batch {
    private let bus: PersistentEventBus
    private let appender: any EventAppender
    private let progress: Progress

    /// Where events are, by index; filled on the store's threads.
    private final class Progress: Sendable {
        private let state = Locked<(stored: [StoredPosition?], sent: Int)>(([], 0))

        func noteSent() { state.withLock { $0.sent += 1 } }

        func noteStored(_ index: Int, _ position: StoredPosition) {
            state.withLock { state in
                // Nearly in order; room for those before it that are still on their way.
                while state.stored.count < index { state.stored.append(nil) }
                if index < state.stored.count {
                    state.stored[index] = position
                } else {
                    state.stored.append(position)
                }
            }
        }

        /// Where the events are that are stored, and how many were sent.
        var outcome: (stored: [StoredPosition?], sent: Int) { state.withLock { $0 } }
    }

    init(bus: PersistentEventBus, onStored: (@Sendable (Int, StoredPosition) -> Void)?) {
        self.bus = bus
        let progress = Progress()
        self.progress = progress
        appender = bus.makeAppender { index, position in
            progress.noteStored(index, position)
            onStored?(index, position)
        }
    }

    func emit(_ event: Event) async throws(BatchEmitError) {
        do throws(MeshEventsError) {
            let message = try bus.pending(event)
            try await appender.append(message)
            progress.noteSent()
        } catch {
            // What is under way is seen to its end, so that the error can say what became of it.
            try? await appender.finish()
            throw failure(error)
        }
    }

    func finish() async throws(BatchEmitError) -> [StoredPosition] {
        do throws(MeshEventsError) {
            try await appender.finish()
        } catch {
            throw failure(error)
        }
        return progress.outcome.stored.compactMap(\.self)
    }

    private func failure(_ cause: MeshEventsError) -> BatchEmitError {
        let (stored, sent) = progress.outcome
        let positions = stored.enumerated().compactMap { index, position in position.map { (index, $0) } }
        return BatchEmitError(
            cause: cause,
            stored: Dictionary(positions, uniquingKeysWith: { first, _ in first }),
            sent: sent
        )
    }
}
