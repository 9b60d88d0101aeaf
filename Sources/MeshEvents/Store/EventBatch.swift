import MeshConcurrency

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

extension PersistentEventBus {
    /// Emits many events, in order, and returns when all are stored. At most
    /// ``PersistentEventBus/Configuration/acknowledgementWindow`` events are unacknowledged at once; beyond that this
    /// suspends.
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

/// The positions of a batch's events by index, in little memory: events with successive sequences share one entry. A
/// pure value.
struct BatchPositions: Sendable {
    private struct Run: Sendable {
        let first: Int
        let position: StoredPosition
        var count: Int

        /// Whether the event and its position follow directly on this run.
        func isFollowed(by index: Int, _ next: StoredPosition) -> Bool {
            index == first + count && !position.isDuplicate && !next.isDuplicate
                && next.sequence == position.sequence &+ UInt64(count) && next.stream == position.stream
        }

        func position(at offset: Int) -> StoredPosition {
            guard offset > 0 else { return position }
            return StoredPosition(
                stream: position.stream,
                sequence: position.sequence &+ UInt64(offset),
                isDuplicate: position.isDuplicate
            )
        }
    }

    /// Whether all positions are kept; else only those that arrived early.
    let keepsAll: Bool
    /// The events below this index are stored, each in ``runs`` or forgotten.
    private(set) var complete = 0
    private var runs: [Run] = []
    /// Positions that arrived before that of an earlier event.
    private var early: [Int: StoredPosition] = [:]

    init(keepsAll: Bool) { self.keepsAll = keepsAll }

    /// How many entries are kept.
    var entries: Int { runs.count + early.count }
    /// How many are stored.
    var count: Int { complete + early.count }
    /// The events below this index are stored and not kept.
    var forgotten: Int { keepsAll ? 0 : complete }

    /// Adds the position of an event; only the first one for an index counts.
    mutating func add(_ index: Int, _ position: StoredPosition) {
        guard index >= complete else { return }
        guard index == complete else {
            early[index] = early[index] ?? position
            return
        }
        append(index, position)
        while !early.isEmpty, let next = early.removeValue(forKey: complete) { append(complete, next) }
    }

    private mutating func append(_ index: Int, _ position: StoredPosition) {
        complete += 1
        guard keepsAll else { return }
        if let last = runs.indices.last, runs[last].isFollowed(by: index, position) {
            runs[last].count += 1
        } else {
            runs.append(Run(first: index, position: position, count: 1))
        }
    }

    /// The positions that are kept, in the order of the events.
    var all: [StoredPosition] {
        var all: [StoredPosition] = []
        all.reserveCapacity(complete)
        for run in runs { for offset in 0..<run.count { all.append(run.position(at: offset)) } }
        return all + early.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The positions that are kept, by index.
    var byIndex: [Int: StoredPosition] {
        var positions = early
        for run in runs { for offset in 0..<run.count { positions[run.first + offset] = run.position(at: offset) } }
        return positions
    }
}

/// Why a batch was not stored completely, and which of its events are stored.
public struct BatchEmitError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public let cause: MeshEventsError
    /// The events that are stored, by their index in the batch. When the batch was an asynchronous sequence, those
    /// below ``forgotten`` are stored but not listed here.
    public let stored: [Int: StoredPosition]
    /// All events below this index are stored, but their positions are no longer kept. 0 unless the batch was an
    /// asynchronous sequence, which may have no end.
    public let forgotten: Int
    /// The events that were sent but never acknowledged, in order: they may be stored or not.
    public let unconfirmed: [Int]
    /// How many events were sent: those from this index on are not stored.
    public let sent: Int

    /// The first event, by its index, that is not known to be stored: all before it are.
    public var firstNotStored: Int { unconfirmed.first ?? sent }

    /// Creates an error about a batch of which the first `sent` events were sent.
    public init(cause: MeshEventsError, stored: [Int: StoredPosition], sent: Int, forgotten: Int = 0) {
        self.cause = cause
        self.stored = stored
        self.sent = sent
        self.forgotten = forgotten
        unconfirmed = (forgotten..<max(sent, forgotten)).filter { stored[$0] == nil }
    }

    /// The cause, and how many events are stored, unconfirmed and unsent.
    public var description: String {
        "\(cause.code): \(cause.message); \(forgotten + stored.count) events are stored"
            + (unconfirmed.isEmpty ? "" : ", \(unconfirmed.count) were sent but not acknowledged")
            + ", those from index \(sent) on were not sent"
    }
}
