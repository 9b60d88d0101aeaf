import MeshConcurrency
import MeshEvents

/// The work of a keeper from when it has got the lease until it loses it, or is stopped.
final class KeeperSession: Sendable {
    /// The longest time between two answers of the server, in intervals of a node, that is no interruption for it.
    private static let toleratedIntervals = 0.75
    /// The longest such time for nodes with shorter intervals.
    private static let toleratedSilence: Duration = .seconds(1)
    /// The longest time between two questions for a sign of life.
    private static let longestPause: Duration = .milliseconds(500)
    /// How long the store may take to store an announcement: later it may no longer be true.
    private static let longestAnnouncing: Duration = .seconds(1)
    /// How many entries are written at once.
    private static let writesAtOnce = 32
    /// How many entries are taken together to be written: each time all nodes are looked through.
    private static let writesPerRound = 512
    /// How many writes of others are looked at one by one; with more, the whole table is read.
    private static let mostOthers = 64
    /// How many keys that do not belong there are removed at once.
    private static let removalsAtOnce = 64
    /// After how many events a checkpoint is written at the latest.
    private static let eventsPerCheckpoint: UInt64 = 10_000
    /// How long saving the last changes may take at the end.
    private static let longestEnd: Duration = .seconds(3)
    /// The time between two looks for what has to be done.
    private static let tick: Duration = .milliseconds(250)
    /// The time between two searches for old nodes and tools.
    private static let forgetInterval: Duration = .seconds(600)

    private struct State {
        var ledger: KeeperLedger
        var hearing: Hearing
        /// How far the server's clock is ahead of ``KeeperSession/localTime(_:)``; `nil` until that is known.
        var lead: Duration?
        var isCaughtUp = false
        /// The sequence of the last message that was read and counts for nothing.
        var read: @Sendable () -> UInt64 = { 0 }
        /// The nodes of which an announcement was stored that has not come back yet, with its sequence.
        var announced: [String: UInt64] = [:]
    }

    private let keeper: MeshKeeper
    private let lease: Lease
    private let writer: FencedWriter
    private let stop = OneTimeSignal()
    private let state: Locked<State>
    /// Both clocks at the same moment. This machine's time of day may be set; the other clock is not.
    private let start = (time: Timestamp.now, instant: ContinuousClock.now)

    init(_ keeper: MeshKeeper, _ lease: Lease, _ hearing: Hearing) {
        self.keeper = keeper
        self.lease = lease
        writer = FencedWriter(keeper.store, lease)
        let nothing = SavedMesh(mesh: MeshState(limits: keeper.configuration.limits), checkpoint: nil, revisions: [:])
        let nowhere = StreamState(name: "", messages: 0, bytes: 0, firstSequence: 0, lastSequence: 0)
        let empty = KeeperLedger(nothing, of: nowhere, pace: .init())
        state = Locked(State(ledger: empty, hearing: hearing))
    }

    /// Since when it hears the mesh.
    var hearing: Hearing { state.withLock { $0.hearing } }

    private func localTime(_ instant: ContinuousClock.Instant) -> Timestamp {
        start.time.adding(instant - start.instant)
    }

    // MARK: Running

    /// Works until the lease is lost or the stream ends, or the task is cancelled; then saves what is not saved.
    func run() async throws(MeshEventsError) {
        // Cancelled in the middle it could not save any more.
        let outcome = await withTaskCancellationHandler {
            await uncancelled { await self.outcome() }
        } onCancel: {
            stop.send()
        }
        try outcome.get()
    }

    private func outcome() async -> Result<Void, MeshEventsError> {
        let outcome: Result<Void, MeshEventsError>
        do throws(MeshEventsError) {
            try await work()
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await lease.release()
        return outcome
    }

    private func work() async throws(MeshEventsError) {
        // Reading what is saved may take longer than the lease lasts.
        try await SessionTasks.firstEnd { group in
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.lease.keep() } }
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.listen() } }
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.keepState() } }
        }
    }

    private func keepState() async throws(MeshEventsError) {
        let stream = try await keeper.store.state()
        let replay = try await begin(stream)
        defer { replay.cancel() }
        state.withLock { $0.read = { [weak replay] in replay?.skipped ?? 0 } }
        try await SessionTasks.firstEnd { group in
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.follow(replay) } }
            // It needs no room in the table, and must not wait while that is cleared of what does not belong there.
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.announce() } }
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.save() } }
        }
    }

    /// Reads what is saved, and opens a replay of what came after.
    private func begin(_ stream: StreamState) async throws(MeshEventsError) -> ReplaySubscription {
        let (store, table, limits) = (keeper.store, keeper.table, keeper.configuration.limits)
        var saved = try await SavedMesh.load(from: table, of: store, limits: limits)
        if saved.checkpoint == nil {
            saved = try await SavedMesh.claim(table, of: store, for: keeper.bus.node, limits: limits)
            // Another stream, or one with its data of before: what was heard until now says nothing about it.
            state.withLock { $0.hearing = Hearing() }
        }
        let ledger = KeeperLedger(
            saved,
            of: stream,
            pace: .init(
                shortest: keeper.configuration.shortestWriteInterval,
                longest: keeper.configuration.checkpointInterval
            )
        )
        state.withLock { $0.ledger = ledger }
        let replay = try await EventReplay(store: store, verification: keeper.verification, logger: keeper.logger).open(
            matching: MeshMonitor.patterns,
            from: saved.checkpoint.map { .sequence($0.sequence.nextSequence) } ?? .beginning
        )
        try StreamPosition.check(try await store.state().created, isOf: stream.created)
        replay.whenTroubled { [weak self] error in
            self?.state.withLock { $0.hearing.troubled(error != nil) }
        }
        return replay
    }

    // MARK: Hearing

    private func follow(_ replay: ReplaySubscription) async throws(MeshEventsError) {
        for try await element in replay {
            switch element {
            case .event(let stored):
                state.withLock { $0.ledger.apply(stored, now: .now) }
                writer.noteRead(stored.event.type, at: stored.sequence)
            case .caughtUp: state.withLock { $0.isCaughtUp = true }
            // Missing events only leave something unknown.
            case .gap: break
            case .reset(let reset): throw MeshEventsError(.streamReplaced, "\(reset)")
            }
        }
        throw MeshEventsError(.closed, "the replay that the keeper reads has ended")
    }

    /// Asks the server again and again for a sign of life, and for its clock.
    private func listen() async throws(MeshEventsError) {
        let pause = min(lease.interval / 5, Self.longestPause)
        while true {
            do throws(MeshEventsError) {
                let look = try await lease.look()
                // Another server may decide about the stream than about the table: both must answer.
                _ = try await keeper.store.state()
                state.withLock { state in
                    state.hearing.answered()
                    if let look { state.lead = look.stored.duration(since: localTime(look.known)) }
                }
            } catch {
                guard error.isRetriable || error.code == .timeout else { throw error }
            }
            guard await !isStopped(within: pause) else { return try await SessionTasks.waitForCancellation() }
        }
    }

    /// Waits; whether the session is to end.
    private func isStopped(within duration: Duration) async -> Bool {
        await stop.value(until: .now + duration) != nil || Task.isCancelled
    }

    // MARK: Saving

    private func save() async throws(MeshEventsError) {
        let interval = keeper.configuration.checkpointInterval
        // The first one at once: without a checkpoint the entries count for nothing.
        var (checkpointAt, checkpointed, forgotAt) = (ContinuousClock.now - interval, UInt64(0), ContinuousClock.now)
        var hasMore = false
        while await !isStopped(within: hasMore ? .zero : Self.tick) {
            guard advance() else { continue }
            hasMore = try await write(all: false)
            let (now, position) = (ContinuousClock.now, state.withLock { $0.ledger.position })
            if now - checkpointAt >= interval || position > checkpointed + Self.eventsPerCheckpoint {
                if try await hasStrangers() { try await reconcile() }
                try await writeCheckpoint()
                (checkpointAt, checkpointed) = (now, position)
            }
            if now - forgotAt >= Self.forgetInterval {
                let retention = keeper.configuration.retention
                state.withLock { $0.ledger.forget(olderThan: $0.ledger.mesh.now.subtracting(retention)) }
                forgotAt = now
            }
        }
        if !Task.isCancelled { try await saveLast() }
    }

    /// Moves the time forward; `false` while the server's time or the stored events are not known.
    private func advance() -> Bool {
        state.withLock { state in
            guard state.isCaughtUp, let lead = state.lead else { return false }
            let now = ContinuousClock.now
            state.ledger.advance(to: localTime(now).adding(lead), now: now)
            return true
        }
    }

    /// Saves what is not saved yet, what was stored until now included, as far as there is time.
    private func saveLast() async throws(MeshEventsError) {
        let end = ContinuousClock.now + Self.longestEnd
        guard lease.isHeld, advance() else { return }
        let last = try await newestLifecycleEvent()
        while state.withLock({ max($0.ledger.position, $0.read()) }) < last, .now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
        if try await hasStrangers() { try await reconcile() }
        while .now < end, try await write(all: true) {}
        try await writeCheckpoint()
    }

    /// Writes the entries that are due.
    ///
    /// - Returns: Whether there were as many as are taken together: there may be more.
    private func write(all: Bool) async throws(MeshEventsError) -> Bool {
        let writes = state.withLock { $0.ledger.takeDue(Self.writesPerRound, all: all, now: .now) }
        guard !writes.isEmpty else { return false }
        let failures = await SessionTasks.failures(of: writes, atOnce: Self.writesAtOnce) {
            write throws(MeshEventsError) in
            try await self.carryOut(write)
        }
        for failure in failures where failure.code != .conflict {
            guard Self.concernsEntry(failure) else { throw failure }
            keeper.tell(failure)
        }
        return failures.isEmpty && writes.count == Self.writesPerRound
    }

    /// Whether an error is about one entry or the room for it: the keeper goes on, and announces what it has to.
    private static func concernsEntry(_ error: MeshEventsError) -> Bool {
        error.code == .payloadTooLarge || error.code == .storageFull
    }

    private func carryOut(_ write: KeeperLedger.Write) async throws(MeshEventsError) {
        do throws(MeshEventsError) {
            var revision: UInt64?
            if let value = write.value {
                revision = try await keeper.table.write(
                    value,
                    signature: nil,
                    to: write.key,
                    expected: write.revision
                )
            } else if let present = write.revision {
                _ = try await keeper.table.delete(write.key, expected: present)
            }
            state.withLock { [revision] in $0.ledger.wrote(write, revision: revision, now: .now) }
        } catch {
            guard error.code == .conflict else {
                state.withLock { state in
                    // An entry that is too large is tried again when the node changes. It must not hold up the others.
                    if Self.concernsEntry(error) {
                        state.ledger.refused(write)
                    } else {
                        state.ledger.failed(write, now: .now)
                    }
                }
                throw error
            }
            // An earlier write whose answer was lost, or another keeper: what is there counts too.
            let entry = try? await keeper.table.entry(write.key)
            state.withLock { state in
                state.ledger.adopt(entry, key: write.key)
                state.ledger.failed(write, now: .now)
            }
            throw error
        }
    }

    private func writeCheckpoint() async throws(MeshEventsError) {
        guard lease.isHeld else { return }
        let (checkpoint, revision) = state.withLock { state -> (Checkpoint?, UInt64?) in
            let ledger = state.ledger
            let checkpoint = ledger.saved.map { position in
                let (keys, entries) = ledger.savedKeys
                return Checkpoint(
                    position: position,
                    at: ledger.mesh.now,
                    keeper: keeper.bus.node,
                    keys: keys,
                    entries: entries
                )
            }
            return (checkpoint, ledger.revisions[StateKey.checkpoint])
        }
        guard let checkpoint else { return }
        do throws(MeshEventsError) {
            let written = try await keeper.table.write(
                checkpoint.json,
                signature: nil,
                to: StateKey.checkpoint,
                expected: revision
            )
            state.withLock { $0.ledger.checkpointed(written) }
        } catch {
            // Another keeper, or something that only spoils it.
            if error.code == .conflict { return try await reconcile() }
            guard Self.concernsEntry(error) else { throw error }
            keeper.tell(error)
        }
    }

    /// Whether something else has written to the table, or may have, beside those who keep the state of alerts there.
    private func hasStrangers() async throws(MeshEventsError) -> Bool {
        guard keeper.table.hasOtherWrites else { return false }
        guard let others = keeper.table.others(Self.mostOthers) else { return true }
        for revision in others {
            // What is written again counts with its last revision.
            guard let key = try await keeper.table.key(of: revision) else { continue }
            guard StateKey.isOfAlerts(key) else { return true }
        }
        keeper.table.excuse(others)
        return false
    }

    /// Looks what else was written to the table, has that replaced, and removes what does not belong there.
    ///
    /// - Throws: `conflict` when another keeper works.
    private func reconcile() async throws(MeshEventsError) {
        // First: what comes behind this write is noticed the next time.
        keeper.table.begin(after: try await lease.renew())
        let known = state.withLock { $0.ledger.revisions }
        var (present, changed) = (Set<String>(), [StateEntry]())
        try await keeper.table.read { entry in
            guard !StateKey.isOfAlerts(entry.key) else { return }
            present.insert(entry.key)
            if known[entry.key] != entry.revision { changed.append(entry.withoutJunk) }
        }
        if let checkpoint = changed.first(where: { $0.key == StateKey.checkpoint }) {
            guard !Checkpoint.isKeepers(checkpoint.value) else {
                throw MeshEventsError(.conflict, "another node keeps the state of the mesh")
            }
            state.withLock { $0.ledger.checkpointed(checkpoint.revision) }
        } else if !present.contains(StateKey.checkpoint) {
            state.withLock { $0.ledger.checkpointed(nil) }
        }
        let strangers = state.withLock { [present, changed] in
            $0.ledger.reconcile(present: present, changed: changed, now: .now)
        }
        await remove(strangers)
    }

    private func remove(_ keys: [String]) async {
        let failures = await SessionTasks.failures(of: keys, atOnce: Self.removalsAtOnce) {
            key throws(MeshEventsError) in
            try await self.keeper.table.remove(key)
        }
        // They say nothing: it is enough to try again when something else is written.
        if let failure = failures.first { keeper.tell(failure) }
    }

    // MARK: Announcing

    private func announce() async throws(MeshEventsError) {
        while await !isStopped(within: Self.tick) {
            if advance() { try await announceDue() }
        }
        try await SessionTasks.waitForCancellation()
    }

    private func announceDue() async throws(MeshEventsError) {
        var due = dueAnnouncements()
        if due.contains(where: { $0.type == .nodeUnreachable }) {
            let silent = Set(due.map(\.node))
            do throws(MeshEventsError) {
                // Their events may be stored and not have arrived here yet. Most often one question is enough.
                if try await keeper.store.state().lastSequence > state.withLock({ $0.ledger.position }) {
                    try await takeIn(upTo: newestLifecycleEvent())
                }
            } catch {
                guard error.isRetriable || error.code == .timeout else { throw error }
                return
            }
            due = dueAnnouncements().filter { silent.contains($0.node) }
        }
        // The rest is looked at again: meanwhile it may no longer be so.
        let end = ContinuousClock.now + Self.tick
        for announcement in due where .now < end { try await emit(announcement) }
    }

    /// What is to be announced now and has not been stored already.
    private func dueAnnouncements() -> [KeeperLedger.Announcement] {
        state.withLock { state in
            guard lease.isHeld else { return [] }
            let position = state.ledger.position
            state.announced = state.announced.filter { $0.value > position }
            let (now, time, hearing) = (ContinuousClock.now, state.ledger.mesh.now, state.hearing)
            return state.ledger.announcements { interval in
                let tolerance = max(interval * Self.toleratedIntervals, Self.toleratedSilence)
                return hearing.duration(at: now, tolerating: tolerance).map { time.subtracting($0) }
            }
            .filter { state.announced[$0.node] == nil }
        }
    }

    /// Waits for a moment until all events up to a sequence are taken in.
    ///
    /// - Throws: `timeout` when they are not.
    private func takeIn(upTo sequence: UInt64) async throws(MeshEventsError) {
        let end = ContinuousClock.now + Self.tick
        while state.withLock({ max($0.ledger.position, $0.read()) }) < sequence {
            guard .now < end, await !isStopped(within: .milliseconds(5)) else {
                throw MeshEventsError(.timeout, "stored events have not arrived yet", isRetriable: true)
            }
        }
    }

    /// The sequence of the newest event of a node or a tool; 0 when the stream has none.
    private func newestLifecycleEvent() async throws(MeshEventsError) -> UInt64 {
        var newest: UInt64 = 0
        for pattern in MeshMonitor.patterns {
            let found = try await keeper.store.newest(1, matching: pattern, before: nil, timeout: lease.interval).last
            newest = max(newest, found?.sequence ?? 0)
        }
        return newest
    }

    /// Stores an announcement, unless another one of its type was stored that is not known here yet.
    private func emit(_ announcement: KeeperLedger.Announcement) async throws(MeshEventsError) {
        let message = try keeper.bus.pending(try announcement.event)
        do throws(MeshEventsError) {
            let stored = try await writer.store(
                announcement.type,
                message,
                takenIn: { state.withLock { max($0.ledger.position, $0.read()) } },
                deadline: Self.longestAnnouncing
            )
            guard let stored else { return }
            state.withLock { $0.announced[announcement.node] = stored.sequence }
        } catch {
            // Another keeper was faster, or it is not known what came of it.
            let passes = error.code == .conflict || error.code == .timeout || error.isRetriable
            guard passes || Self.concernsEntry(error) else { throw error }
            if Self.concernsEntry(error) { keeper.tell(error) }
        }
    }
}

extension KeeperLedger.Announcement {
    /// The node that it is about.
    var node: String {
        switch self {
        case .unreachable(let payload): payload.node
        case .recovered(let payload): payload.node
        }
    }

    /// The type of its event.
    var type: EventType {
        switch self {
        case .unreachable: .nodeUnreachable
        case .recovered: .nodeRecovered
        }
    }

    /// Its event.
    fileprivate var event: Event {
        get throws(MeshEventsError) {
            switch self {
            case .unreachable(let payload): Event(type, data: try payload.eventData())
            case .recovered(let payload): Event(type, data: try payload.eventData())
            }
        }
    }
}
