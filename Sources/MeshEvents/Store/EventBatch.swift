import Locking

/// The events of one batch call while they are being stored.
@usableFromInline
struct EventBatch {
    private let bus: PersistentEventBus
    private let appender: any EventAppender
    private let progress: Progress

    /// The positions of the events by index; filled on the store's threads.
    private final class Progress: Sendable {
        private let state: Locked<(positions: BatchPositions, sent: Int)>
        /// The times when unacknowledged events were handed to the store, by index; kept only when metrics are on.
        private let started = Locked<[Int: ContinuousClock.Instant]>([:])
        private let metrics: StoreMetrics?

        init(_ metrics: StoreMetrics?, keepsAll: Bool) {
            self.metrics = metrics
            state = Locked((BatchPositions(keepsAll: keepsAll), 0))
        }

        func noteSending() {
            guard metrics != nil else { return }
            let index = state.withLock { $0.sent }
            started.withLock { $0[index] = .now }
        }

        func noteSent() { state.withLock { $0.sent += 1 } }

        func noteAcknowledged(_ first: Int, _ count: Int) {
            guard let metrics else { return }
            let start = started.withLock { started in
                defer { for index in first..<first + count { started[index] = nil } }
                return started[first]
            }
            if let start { metrics.acknowledged(count, since: start) }
        }

        func noteFailed(_ error: MeshEventsError) { metrics?.failed(error) }

        func noteStored(_ first: Int, _ positions: [StoredPosition]) {
            state.withLock { state in
                for (index, position) in zip(first..., positions) { state.positions.add(index, position) }
            }
        }

        /// The positions of the stored events, and how many events were sent.
        var outcome: (positions: BatchPositions, sent: Int) { state.withLock { $0 } }
    }

    /// - Parameter keepsAll: whether to keep the positions of all events to the end. Otherwise a position is dropped as
    ///   soon as all events before it are stored: a sequence may have no end.
    @usableFromInline
    init(bus: PersistentEventBus, keepsAll: Bool, onStored: (@Sendable (Int, StoredPosition) -> Void)?) {
        self.bus = bus
        let progress = Progress(bus.metrics, keepsAll: keepsAll)
        self.progress = progress
        appender = bus.makeAppender { first, positions in
            progress.noteStored(first, positions)
            progress.noteAcknowledged(first, positions.count)
            guard let onStored else { return }
            for (index, position) in zip(first..., positions) { onStored(index, position) }
        }
    }

    @usableFromInline
    func emit(_ event: Event) async throws(BatchEmitError) {
        do throws(MeshEventsError) {
            let message = try bus.pending(event)
            progress.noteSending()
            try await appender.append(message)
            progress.noteSent()
        } catch {
            // Waits for the messages already sent, so that the error can say which are stored.
            try? await appender.finish()
            throw failure(error)
        }
    }

    /// Returns how many events were stored, once all are.
    func finish() async throws(BatchEmitError) -> Int {
        do throws(MeshEventsError) {
            try await appender.finish()
        } catch {
            throw failure(error)
        }
        return progress.outcome.positions.count
    }

    /// Returns the positions of the events, once all are stored.
    @usableFromInline
    func finishAll() async throws(BatchEmitError) -> [StoredPosition] {
        _ = try await finish()
        return progress.outcome.positions.all
    }

    private func failure(_ cause: MeshEventsError) -> BatchEmitError {
        progress.noteFailed(cause)
        let (positions, sent) = progress.outcome
        return BatchEmitError(cause: cause, stored: positions.byIndex, sent: sent, forgotten: positions.forgotten)
    }
}
