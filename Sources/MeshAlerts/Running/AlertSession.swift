import MeshConcurrency
import MeshEvents
import MeshLogging
import MeshMonitoring

/// The work of a runner from when it has got the lease until it loses it, or is stopped.
final class AlertSession: Sendable {
    /// The time between two questions for the server's clock.
    private static let clockInterval: Duration = .seconds(5)
    /// The time between two looks while something is not known that has to be.
    private static let tick: Duration = .milliseconds(20)
    /// How many keys that say nothing are removed when it begins.
    private static let mostRemovals = 64
    /// How often a key is written against others that write it too.
    private static let mostAttempts = 50
    /// How many entries are written at once.
    private static let writesAtOnce = 32
    /// How many reports are looked at together.
    private static let reportsAtOnce = 256
    /// Up to how many reports are stored one after the other, each under its own condition.
    private static let reportsAlone = 64
    /// How long the store may take to store a report.
    private static let longestReporting: Duration = .seconds(10)
    /// After how many events the position is saved at the latest, though nothing else has changed.
    private static let eventsPerCheckpoint: UInt64 = 10_000
    /// How long events may wait for the answer since when the rules about silence wait.
    private static let longestLook: Duration = .seconds(600)
    /// How long saving the last changes may take at the end.
    private static let longestEnd: Duration = .seconds(3)
    /// How long an answer of a target that is being told may take at the end.
    private static let longestLastNotification: Duration = .seconds(3)

    struct State {
        var book = AlertBook()
        var queues: [String: TargetQueue] = [:]
        /// All events up to this sequence are taken in.
        var position: UInt64 = 0
        /// From where it began to read.
        var begun: UInt64 = 0
        /// The sequence of the last message that was read and counts for nothing.
        var skipped: @Sendable () -> UInt64 = { 0 }
        /// How far the server's clock is ahead of ``AlertSession/localTime(_:)``; `nil` until that is known.
        var lead: Duration?
        var isCaughtUp = false
        var revisions: [String: UInt64] = [:]
        var stream = StreamState(name: "", messages: 0, bytes: 0, firstSequence: 0, lastSequence: 0)
        /// The messages of reports that may be under way, or stored without an answer.
        var messages: [Alert.Identity: PendingMessage] = [:]
        /// The position that was saved last; `nil` before the first.
        var savedPosition: UInt64?
        /// Whether an event changed something since the position was saved.
        var hasNews = false
    }

    let runner: AlertRunner
    let configuration: AlertRunner.Configuration
    let lease: Lease
    let state = Locked(State())
    let stop = OneTimeSignal()
    /// Stores reports.
    private let writer: FencedWriter
    private let work = Wake()
    private let saving = Wake()
    /// Is sent when it is known since when the rules about silence wait.
    private let looked = OneTimeSignal()
    let deliveries: [String: Wake]
    /// Both clocks at the same moment. This machine's time of day may be set; the other clock is not.
    private let start = (time: Timestamp.now, instant: ContinuousClock.now)

    init(_ runner: AlertRunner, _ configuration: AlertRunner.Configuration, _ lease: Lease) {
        self.runner = runner
        self.configuration = configuration
        self.lease = lease
        writer = FencedWriter(runner.store, lease)
        deliveries = Dictionary(configuration.targets.map { ($0.name, Wake()) }) { first, _ in first }
    }

    /// Has the session save what is not saved, and end.
    func end() {
        stop.send()
        wakeAll()
    }

    private func wakeAll() {
        work.send()
        saving.send()
        for wake in deliveries.values { wake.send() }
    }

    // MARK: Running

    /// Works until the lease is lost, the stream ends, ``end()`` is called or the task is cancelled; then saves what is not
    /// saved.
    func run() async throws(MeshEventsError) {
        // Cancelled in the middle it could not save any more.
        let outcome = await withTaskCancellationHandler {
            await uncancelled { await self.outcome() }
        } onCancel: {
            end()
        }
        try outcome.get()
    }

    private func outcome() async -> Result<Void, MeshEventsError> {
        let outcome: Result<Void, MeshEventsError>
        do throws(MeshEventsError) {
            // Reading what is saved may take longer than the lease lasts.
            try await SessionTasks.firstEnd { group in
                group.addTask {
                    await SessionTasks.failure { () throws(MeshEventsError) in try await self.lease.keep() }
                }
                group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.watch() } }
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        keep()
        await lease.release()
        return outcome
    }

    /// Keeps what it knows for the next session.
    private func keep() {
        let known = state.withLock { state -> SavedAlerts? in
            // It has not begun: what the one before knew still counts.
            guard !state.stream.name.isEmpty else { return nil }
            var kept = SavedAlerts()
            kept.position = SavedPosition(
                stream: state.stream.name,
                created: state.stream.created,
                sequence: state.position
            )
            for (rule, groups) in state.book.states {
                for (group, alert) in groups { kept.states[AlertKey(rule: rule, group: group)] = alert }
            }
            kept.silences = state.book.silences
            kept.places = state.queues.mapValues(\.place)
            return kept
        }
        if let known { runner.kept = known }
    }

    private func watch() async throws(MeshEventsError) {
        let replay = try await begin()
        runner.began()
        defer { replay.cancel() }
        state.withLock { $0.skipped = { [weak replay] in replay?.skipped ?? 0 } }
        try await SessionTasks.firstEnd { group in
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.follow(replay) } }
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.askForTime() } }
            group.addTask { await SessionTasks.failure { () throws(MeshEventsError) in try await self.act() } }
            group.addTask {
                await SessionTasks.failure { () throws(MeshEventsError) in try await self.saveAgainAndAgain() }
            }
            group.addTask {
                await SessionTasks.failure { () throws(MeshEventsError) in try await self.lookForSilence() }
            }
            for target in configuration.targets {
                group.addTask {
                    await SessionTasks.failure { () throws(MeshEventsError) in try await self.deliver(to: target) }
                }
            }
        }
    }

    // MARK: Beginning

    /// Reads what is saved, and opens a replay of what came after.
    private func begin() async throws(MeshEventsError) -> ReplaySubscription {
        var saved = try await SavedAlerts.load(from: runner.table)
        let stream = try await runner.store.state()
        // The table is gone, or was emptied: what the last session knew is not.
        let kept =
            saved.position == nil ? runner.kept.flatMap { $0.position?.holds(for: stream) == true ? $0 : nil } : nil
        if let kept {
            let revisions = saved.revisions
            saved = kept
            saved.revisions = revisions
        }
        // Something was there that says nothing: another party has spoilt it. All is read again then; what is reported already
        // is known by its id.
        if !saved.junk.isEmpty || saved.position == nil && !saved.revisions.isEmpty {
            saved.position = SavedPosition(stream: stream.name, created: stream.created, sequence: 0)
        }
        let isSame = saved.position?.holds(for: stream) ?? false
        // The first time it begins with what comes from now on; in another stream, with its beginning.
        let position = isSame ? saved.position?.sequence ?? 0 : saved.position == nil ? stream.lastSequence : 0
        let now = try await serverTime()
        state.withLock { state in
            state.stream = stream
            state.position = position
            state.begun = position
            state.savedPosition = isSame ? position : nil
            state.revisions = saved.revisions
            var states = saved.states
            if !isSame { for key in states.keys { states[key]?.sequence = 0 } }
            state.book.restore(states, silences: saved.silences)
            if kept != nil { state.book.keepChanged(states.keys) }
            state.book.use(configuration.rules, now: now)
            for target in configuration.targets {
                // A new target is told of what comes.
                let unknown = TargetQueue.Place(position: isSame ? stream.lastSequence : position)
                let place = isSame ? saved.places[target.name] ?? unknown : unknown
                state.queues[target.name] = TargetQueue(target, at: place)
            }
        }
        for key in saved.junk.prefix(Self.mostRemovals) { try? await runner.table.remove(key) }
        try await readUndelivered(upTo: position)
        // A runner that takes over counts from here too, however soon that is. The position first: places without one look spoilt.
        try await save()
        for target in configuration.targets where !isSame || kept != nil || saved.places[target.name] == nil {
            try await savePlace(of: target.name)
        }
        let replay = try await EventReplay(
            store: runner.store,
            verification: runner.verification,
            logger: runner.logger
        )
        .open(from: .sequence(position == .max ? position : position + 1))
        try StreamPosition.check(try await runner.store.state().created, isOf: stream.created)
        return replay
    }

    /// Reads the reports that are stored and not told yet.
    private func readUndelivered(upTo position: UInt64) async throws(MeshEventsError) {
        let first = state.withLock { state in state.queues.values.map(\.place.position).min() ?? position }
        guard first < position else { return }
        let reports = history.events(
            matching: [.alertFired, .alertResolved],
            after: first,
            before: position == .max ? nil : position + 1
        )
        for try await stored in reports { state.withLock { state in _ = queue(stored, &state) } }
        state.withLock { state in
            for name in state.queues.keys { state.queues[name]?.read(to: position) }
        }
    }

    /// Looks when the events were stored last for which rules wait. Those behind the first position are taken in anyway.
    private func lookForSilence() async throws(MeshEventsError) {
        let position = state.withLock { $0.begun }
        for rule in state.withLock({ $0.book.silenceRules() }) {
            var isDone = false
            while !isDone, !stop.isSent, !Task.isCancelled {
                try await passing { () throws(MeshEventsError) in
                    let query = EventHistory.Query(
                        matching: rule.patterns,
                        filter: rule.filter,
                        limit: 1,
                        before: position == .max ? nil : position + 1
                    )
                    let found = try await history.page(query).events.last
                    state.withLock { state in
                        state.book.seen(rule.name, at: found?.storedAt, sequence: found?.sequence ?? max(position, 1))
                        state.hasNews = true
                    }
                    isDone = true
                }
            }
        }
        looked.send()
        work.send()
        // So that the next runner need not look again.
        saving.send()
        try await SessionTasks.waitForCancellation()
    }

    private var history: EventHistory {
        EventHistory(store: runner.store, verification: runner.verification, logger: runner.logger)
    }

    // MARK: Time

    private func localTime(_ instant: ContinuousClock.Instant) -> Timestamp {
        start.time.adding(instant - start.instant)
    }

    /// The server's time now, as far as it is known.
    func now() -> Timestamp {
        let lead = state.withLock { $0.lead ?? .zero }
        return localTime(.now).adding(lead)
    }

    /// When a time of the server's clock comes.
    func instant(of time: Timestamp) -> ContinuousClock.Instant {
        // A time far away would overflow.
        .now + min(max(time.duration(since: now()), .zero), .seconds(3_600))
    }

    /// Asks for the server's clock.
    private func serverTime() async throws(MeshEventsError) -> Timestamp {
        if let look = try await lease.look() {
            state.withLock { $0.lead = look.stored.duration(since: localTime(look.known)) }
        }
        return now()
    }

    private func askForTime() async throws(MeshEventsError) {
        while !stop.isSent {
            do throws(MeshEventsError) {
                _ = try await serverTime()
            } catch {
                guard error.isRetriable || error.code == .timeout else { throw error }
            }
            _ = await stop.value(until: .now + Self.clockInterval)
            if Task.isCancelled { return }
        }
        try await SessionTasks.waitForCancellation()
    }

    // MARK: Events

    private func follow(_ replay: ReplaySubscription) async throws(MeshEventsError) {
        // Behind another runner: what that one has reported of a silence is known by when the silence began. When it began has
        // to be known before later events are taken in.
        if state.withLock({ $0.begun < $0.stream.lastSequence }) {
            _ = await looked.value(until: .now + Self.longestLook)
        }
        for try await element in replay {
            switch element {
            case .event(let stored): take(stored)
            case .caughtUp:
                state.withLock { $0.isCaughtUp = true }
                wakeAll()
            // What is gone cannot be told of.
            case .gap: break
            case .reset(let reset): throw MeshEventsError(.streamReplaced, "\(reset)")
            }
        }
        throw MeshEventsError(.closed, "the replay that the runner reads has ended")
    }

    private func take(_ stored: StoredEvent) {
        let (hasWork, told) = state.withLock { state -> (Bool, [String]) in
            let before = state.book.nextDeadline
            state.book.take(stored)
            let isEarlier = state.book.nextDeadline.map { next in before.map { next < $0 } ?? true } ?? false
            state.position = max(state.position, stored.sequence)
            if state.book.hasChanged { state.hasNews = true }
            return (state.book.hasReports || isEarlier, queue(stored, &state))
        }
        writer.noteRead(stored.event.type, at: stored.sequence)
        if hasWork { work.send() }
        for name in told { deliveries[name]?.send() }
    }

    /// Gives a stored report to the queues of its targets.
    ///
    /// - Returns: their names.
    private func queue(_ stored: StoredEvent, _ state: inout State) -> [String] {
        guard var alert = Alert(stored.event), !Alert.isSilenced(stored.event),
            let rule = state.book.rule(named: alert.rule)
        else { return [] }
        if alert.status == .firing { alert.at = stored.storedAt }
        let isExpired = Alert.isExpired(stored.event)
        let item = TargetQueue.Item(
            sequence: stored.sequence,
            alert: alert,
            heldUntil: rule.quiet?.end(of: stored.storedAt) ?? .epoch
        )
        let told = configuration.targets.filter { target in
            rule.targets.contains(target.name) && (!isExpired || target.isToldOfExpiry)
        }
        for target in told { state.queues[target.name]?.add(item) }
        return told.map(\.name)
    }

    // MARK: Acting

    /// Stores reports, moves the time forward, and saves.
    private func act() async throws(MeshEventsError) {
        while !stop.isSent, !Task.isCancelled {
            let (isReady, next) = state.withLock { ($0.isCaughtUp && $0.lead != nil, $0.book.nextDeadline) }
            if isReady {
                try await passing { () throws(MeshEventsError) in
                    try await moveTime()
                    try await report()
                }
            }
            var deadline = ContinuousClock.now + .seconds(3_600)
            if isReady, let next { deadline = min(deadline, max(instant(of: next), .now + Self.tick)) }
            if isReady, state.withLock({ $0.book.hasReports }) { deadline = .now + Self.tick }
            await work.wait(until: deadline)
        }
        guard !Task.isCancelled, lease.isHeld else { return }
        let end = ContinuousClock.now + Self.longestEnd
        // What is being told is waited for a moment, so that it need not be told again.
        while .now < end, state.withLock({ $0.queues.values.contains { $0.isTelling } }) {
            try? await Task.sleep(for: Self.tick)
        }
        // A slow link must not hold up the end: what is not saved is read again.
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = await SessionTasks.failure { () throws(MeshEventsError) in
                    try await self.report(isLast: true)
                    try await self.save(all: true)
                }
            }
            group.addTask { try? await Task.sleep(until: end + Self.longestEnd) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Saves what has changed, from time to time. It holds up nothing else.
    private func saveAgainAndAgain() async throws(MeshEventsError) {
        while !stop.isSent, !Task.isCancelled {
            await saving.wait(until: .now + configuration.checkpointInterval)
            guard !stop.isSent, !Task.isCancelled else { break }
            guard state.withLock({ $0.isCaughtUp }) else { continue }
            try await passing { () throws(MeshEventsError) in try await save() }
        }
        try await SessionTasks.waitForCancellation()
    }

    /// Carries something out that is tried again when it fails for a reason that passes.
    private func passing(_ body: () async throws(MeshEventsError) -> Void) async throws(MeshEventsError) {
        do throws(MeshEventsError) {
            try await body()
        } catch {
            guard error.isRetriable || [.timeout, .storageFull, .payloadTooLarge].contains(error.code) else {
                throw error
            }
            runner.tell(error)
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Moves the time forward, when something is due and all events stored until now were taken in.
    private func moveTime() async throws(MeshEventsError) {
        let time = now()
        guard let due = state.withLock({ $0.book.nextDeadline }), due <= time else { return }
        let last = try await runner.store.state().lastSequence
        let end = ContinuousClock.now + .seconds(5)
        while state.withLock({ max($0.position, $0.skipped()) }) < last {
            guard .now < end, !stop.isSent, !Task.isCancelled else { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
        state.withLock { state in
            state.book.advance(to: time)
            if state.book.hasChanged { state.hasNews = true }
        }
    }

    /// Stores reports, unless another runner has stored some that are not known here yet: then these are looked at again when
    /// they are.
    ///
    /// - Parameter isLast: whether it goes on although the session is to end.
    private func report(isLast: Bool = false) async throws(MeshEventsError) {
        while lease.isHeld, isLast || !stop.isSent {
            let reports = state.withLock { $0.book.reports(Self.reportsAtOnce) }
            guard !reports.isEmpty, try await store(reports) else { return }
        }
    }

    /// Stores reports, each under the condition that it follows what is known: else what a successor has stored is found out.
    /// In a storm only the first of each type has it. The others need not wait for each other's answers then, and are sent only
    /// while no other runner can have taken the lease.
    ///
    /// - Returns: whether all are stored.
    private func store(_ reports: [(key: AlertKey, report: AlertState.Report)]) async throws(MeshEventsError) -> Bool {
        let isStorm = reports.count > Self.reportsAlone
        var (rest, fenced) = (reports[...], Set<EventType>())
        while let next = rest.first {
            if fenced.insert(next.report.type).inserted || !isStorm {
                guard try await storeAlone(next) else { return false }
                rest = rest.dropFirst()
            } else {
                let group = Array(rest.prefix { fenced.contains($0.report.type) })
                try await storeTogether(group)
                rest = rest.dropFirst(group.count)
            }
        }
        return true
    }

    private func storeAlone(
        _ entry: (key: AlertKey, report: AlertState.Report)
    ) async throws(MeshEventsError) -> Bool {
        do throws(MeshEventsError) {
            let stored = try await writer.store(
                entry.report.type,
                try message(entry.report),
                takenIn: { state.withLock { max($0.position, $0.skipped()) } },
                deadline: Self.longestReporting
            )
            guard stored != nil else { return false }
        } catch {
            guard error.code == .conflict else { throw error }
            return false
        }
        note([entry], at: now())
        return true
    }

    private func storeTogether(_ reports: [(key: AlertKey, report: AlertState.Report)]) async throws(MeshEventsError) {
        let time = now()
        let deadline = min(Self.longestReporting, lease.remaining)
        let appender = runner.store.makeAppender(window: 64, deadline: deadline) { first, positions in
            let stored = reports[first..<min(first + positions.count, reports.count)]
            for (entry, position) in zip(stored, positions) {
                self.writer.noteStored(entry.report.type, at: position.sequence)
            }
            self.note(stored, at: time)
        }
        for (_, report) in reports { try await appender.append(try message(report)) }
        try await appender.finish()
    }

    /// Notes that reports are stored.
    private func note(_ reports: some Sequence<(key: AlertKey, report: AlertState.Report)>, at time: Timestamp) {
        state.withLock { state in
            for (key, report) in reports {
                state.book.stored(key, report.alert.identity, at: time)
                state.messages[report.alert.identity] = nil
            }
        }
    }

    /// The message that stores a report: its id cannot be foreseen, or others could have it taken for stored, and is the same
    /// when it is sent again.
    private func message(_ report: AlertState.Report) throws(MeshEventsError) -> PendingMessage {
        let identity = report.alert.identity
        if var sent = state.withLock({ $0.messages[identity] }) {
            sent.mayBeStored = true
            return sent
        }
        let message = try runner.bus.pending(try report.event)
        state.withLock { state in
            // What came back as an event needs no message any more.
            if state.messages.count > 2 * Self.reportsAtOnce { state.messages = [:] }
            state.messages[identity] = message
        }
        return message
    }

    // MARK: Saving

    /// Saves what has changed, then the position up to which that is complete.
    private func save(all: Bool = false) async throws(MeshEventsError) {
        guard lease.isHeld else { return }
        let (changed, silences, position, isDue) = state.withLock { state in
            // Before the entries: they may know more, which does no harm.
            let position = state.position
            let moved = position - min(state.savedPosition ?? 0, position)
            let isDue =
                all && moved > 0 || state.hasNews || state.savedPosition == nil || moved >= Self.eventsPerCheckpoint
            state.hasNews = false
            return (
                state.book.takeChanged(), state.book.hasChangedSilences ? state.book.silences : nil, position, isDue
            )
        }
        do throws(MeshEventsError) {
            try await write(changed)
            if let silences {
                try await write(StateKeys.silences, ["silences": .array(silences.map { JSONValue($0.json) })])
                state.withLock { $0.book.savedSilences(true) }
            }
            guard isDue else { return }
            let stream = state.withLock { $0.stream }
            let saved = SavedPosition(stream: stream.name, created: stream.created, sequence: position)
            try await write(StateKeys.position, EventData(JSONObject(saved.members)))
            state.withLock { $0.savedPosition = position }
        } catch {
            state.withLock { state in
                state.book.keepChanged(changed.keys)
                state.hasNews = true
            }
            throw error
        }
    }

    /// Writes entries, some at once: on a slow link each takes a while.
    private func write(_ changed: [AlertKey: AlertState?]) async throws(MeshEventsError) {
        let failures = await SessionTasks.failures(of: Array(changed), atOnce: Self.writesAtOnce) {
            entry throws(MeshEventsError) in
            try await self.write(StateKeys.state(entry.key), entry.value.map { $0.json(entry.key) })
        }
        if let failure = failures.first { throw failure }
    }

    /// Writes an entry, or deletes it.
    func write(_ key: String, _ data: EventData?) async throws(MeshEventsError) {
        guard lease.isHeld else { throw MeshEventsError(.conflict, "another node watches the alerts") }
        let known = state.withLock { $0.revisions[key] }
        var (expected, attempts) = (known, 0)
        while true {
            do throws(MeshEventsError) {
                return try await write(key, data, expected)
            } catch {
                // An earlier write whose answer was lost, or what does not belong there: while the lease lasts no other runner
                // writes.
                attempts += 1
                guard error.code == .conflict, attempts < Self.mostAttempts else { throw error }
                expected = try await runner.table.entry(key)?.revision
                guard lease.isHeld else { throw error }
            }
        }
    }

    private func write(_ key: String, _ data: EventData?, _ expected: UInt64?) async throws(MeshEventsError) {
        var revision: UInt64?
        if let data {
            revision = try await runner.table.write(Array(data.json.utf8), signature: nil, to: key, expected: expected)
        } else if let expected {
            _ = try await runner.table.delete(key, expected: expected)
        }
        state.withLock { [revision] in $0.revisions[key] = revision }
    }
}
