import Locking

/// The events of one call on their way.
@usableFromInline
struct EventBatch {
    private let bus: PersistentEventBus
    private let appender: any EventAppender
    private let progress: Progress

    /// Where events are, by index; filled on the store's threads.
    private final class Progress: Sendable {
        private let state = Locked<(stored: [StoredPosition?], sent: Int)>(([], 0))
        /// When events were handed over that are not acknowledged yet, by index; kept only when somebody listens.
        private let started = Locked<[Int: ContinuousClock.Instant]>([:])
        private let metrics: StoreMetrics?

        init(_ metrics: StoreMetrics?) { self.metrics = metrics }

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
                // Nearly in order; room for those before them that are still on their way.
                while state.stored.count < first { state.stored.append(nil) }
                for (index, position) in zip(first..., positions) {
                    if index < state.stored.count {
                        state.stored[index] = position
                    } else {
                        state.stored.append(position)
                    }
                }
            }
        }

        /// Where the events are that are stored, and how many were sent.
        var outcome: (stored: [StoredPosition?], sent: Int) { state.withLock { $0 } }
    }

    @usableFromInline
    init(bus: PersistentEventBus, onStored: (@Sendable (Int, StoredPosition) -> Void)?) {
        self.bus = bus
        let progress = Progress(bus.metrics)
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
            // What is under way is seen to its end, so that the error can say what became of it.
            try? await appender.finish()
            throw failure(error)
        }
    }

    @usableFromInline
    func finish() async throws(BatchEmitError) -> [StoredPosition] {
        do throws(MeshEventsError) {
            try await appender.finish()
        } catch {
            throw failure(error)
        }
        return progress.outcome.stored.compactMap(\.self)
    }

    private func failure(_ cause: MeshEventsError) -> BatchEmitError {
        progress.noteFailed(cause)
        let (stored, sent) = progress.outcome
        let positions = stored.enumerated().compactMap { index, position in position.map { (index, $0) } }
        return BatchEmitError(
            cause: cause,
            stored: Dictionary(positions, uniquingKeysWith: { first, _ in first }),
            sent: sent
        )
    }
}
