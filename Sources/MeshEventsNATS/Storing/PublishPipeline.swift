import MeshConcurrency
import MeshEvents
import NATSClient

/// Stores messages in order, many under way at once; see ``PublishWindow`` for the rules.
///
/// What it does beside its caller, such as sending again, ends when the caller is cancelled.
final class PublishPipeline: EventAppender {
    private struct State {
        var window: PublishWindow
        var groups = AcknowledgementGroups()
        /// When the newest group was begun.
        var begun: FirstSending?
        /// How long nothing had come when the messages under way were given up: that much of the deadline is over.
        var silence: Duration = .zero
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// The tasks that work beside the caller.
    private struct Work {
        var isOver = false
        /// Watches for lost acknowledgements, until the pipeline is released.
        var watch: Task<Void, Never>?
        /// Each holds the pipeline until it has ended.
        var tasks: [Int: Task<Void, Never>] = [:]
        var number = 0
    }

    /// The most messages that share a reply subject: larger groups cost no less, and report later.
    private static let largestGroup = 64

    private let store: JetStreamStore
    private let groupLimit: Int
    private let deadline: Duration
    private let onStored: @Sendable (Int, [StoredPosition]) -> Void
    private let state: Locked<State>
    private let work = Locked(Work())

    init(
        store: JetStreamStore,
        window: Int,
        deadline: Duration,
        onStored: @escaping @Sendable (Int, [StoredPosition]) -> Void
    ) {
        self.store = store
        self.deadline = deadline
        self.onStored = onStored
        groupLimit = min(Self.largestGroup, max(1, window / 4))
        state = Locked(State(window: PublishWindow(size: window)))
    }

    deinit { work.withLock { $0.watch }?.cancel() }

    func append(_ message: PendingMessage) async throws(MeshEventsError) {
        try store.checkAcknowledges()
        while true {
            if Task.isCancelled { throw end() }
            guard let (index, place) = add(message) else {
                try await wait { $0.hasRoom }
                continue
            }
            if index == 0 { startWatch() }
            do throws(NATSError) {
                return try send(message, place)
            } catch {
                guard error.code == .bufferFull else { return refused(index, place, error) }
                // The connection is slower than the caller: wait for room.
                let isOut = withdraw(place) { window in
                    window.withdraw(index)
                    return nil
                }
                guard isOut else { return }
                do throws(NATSError) {
                    try await store.jetStream.connection.waitUntilWritable()
                } catch {
                    throw Task.isCancelled ? end() : MeshEventsError(error)
                }
            }
        }
    }

    /// The message's index in the window, and its place in a group; `nil` when the window has no room, or has failed.
    private func add(_ message: PendingMessage) -> (Int, AcknowledgementGroups.Place)? {
        state.withLock { state in
            guard state.window.hasRoom else { return nil }
            let index = state.window.add(message, state.begun)
            let place = state.groups.add(
                index,
                limit: groupLimit,
                mayBeStored: message.mayBeStored,
                bytes: message.payload.count
            )
            if place.reply == nil {
                let sending = FirstSending(after: store.lastKnownPosition)
                state.begun = sending
                state.window.note(sending, of: index)
            }
            return (index, place)
        }
    }

    func finish() async throws(MeshEventsError) {
        state.withLock { $0.window.finish() }
        try await wait { $0.isDone }
    }

    /// Starts the task that watches for lost acknowledgements.
    ///
    /// Acknowledgements come in the order of the messages. When the oldest does not come for a while, the task asks the
    /// server, and then the stream behind it, for a round trip. Until that is over, the message is under way, on a slow
    /// link for long. When the stream has had it for a while, and everything sent meanwhile has come, the
    /// acknowledgement is lost, as in a change of the stream's leader. Then the messages under way are given up and
    /// sent again. A store that is merely slow goes on acknowledging, and is left alone.
    private func startWatch() {
        let (store, connection, patience) = (store, store.jetStream.connection, deadline)
        let time = JetStreamStore.attemptTimeout
        work.withLock { work in
            guard work.watch == nil, !work.isOver else { return }
            work.watch = Task { [weak self] in
                var last: (oldest: Int, since: ContinuousClock.Instant)?
                while (try? await Task.sleep(for: .milliseconds(500))) != nil {
                    guard let oldest = self.map({ $0.oldestUnderWay }) else { return }
                    guard let oldest else {
                        last = nil
                        continue
                    }
                    guard let seen = last, seen.oldest == oldest else {
                        last = (oldest, .now)
                        continue
                    }
                    guard .now - seen.since > time else { continue }
                    last = nil
                    var heard = seen.since
                    for pause in [time, .zero] {
                        let left = max(patience - (.now - heard), time)
                        guard (try? await connection.roundTrip(silence: left)) != nil,
                            await store.reachStream(within: left)
                        else { break }
                        heard = .now
                        try? await Task.sleep(for: pause)
                    }
                    guard let self, oldestUnderWay == oldest else { continue }
                    let silence = ContinuousClock.now - heard
                    state.withLock { $0.silence = silence }
                    let error = NATSError(.timeout, "an acknowledgement is missing", isRetriable: true)
                    connection.endReplies(of: ObjectIdentifier(self), error: error)
                }
            }
        }
    }

    private var oldestUnderWay: Int? { state.withLock { $0.window.oldestUnderWay } }

    private func send(_ message: PendingMessage, _ place: AcknowledgementGroups.Place) throws(NATSError) {
        var reply = place.reply
        if reply == nil { reply = try open(place.group) }
        guard let reply else { return }
        try store.jetStream.publish(
            message.payload,
            to: message.subject,
            messageID: message.messageID,
            expectedStream: store.streamName,
            headerLines: message.headers.isEmpty ? "" : message.headers.lines,
            replyTo: reply
        )
    }

    /// Opens a group's reply subject; `nil` when the group has ended at once, with all its messages.
    private func open(_ group: Int) throws(NATSError) -> SharedReply? {
        let connection = store.jetStream.connection
        let reply = try connection.openReply(owner: ObjectIdentifier(self)) { subject in
            self.state.withLock { state in
                state.groups.indexes(of: group).contains { state.window.message($0)?.subject == subject }
            }
        } handler: { answer in
            self.answered(group, answer)
        } late: { [origin = store.origin] message in
            let answer = message.payloadBytes
            origin.further(Result { () throws(JetStreamError) in try PublishAcknowledgement(answer: answer) })
        }
        guard state.withLock({ $0.groups.opened(reply, for: group) }) else {
            connection.closeReply(reply)
            return nil
        }
        return reply
    }

    private func answered(_ group: Int, _ answer: SharedAnswer) {
        if case .ended(let error) = answer { return change(group) { $0.ended(group, JetStreamError(error)) } }
        let result = PublishAcknowledgement.result(of: answer)
        switch store.origin.judge(result) {
        // It comes from another stream: the messages still wait for their own.
        case .foreign: break
        case .ours: change(group) { $0.answer(group, result.map { StoredPosition($0) }) }
        case .unproven: change(group) { $0.answer(group, result.map { StoredPosition($0) }, isProven: false) }
        }
    }

    private func change(
        _ group: Int,
        _ body: (inout AcknowledgementGroups) -> AcknowledgementGroup.Outcome?
    ) {
        let (outcome, reply) = state.withLock { state in
            let reply = state.groups.reply(of: group)
            return (body(&state.groups), reply)
        }
        guard let outcome else { return }
        if let reply { store.jetStream.connection.closeReply(reply) }
        if case .stored(let first, let positions, isProven: false) = outcome {
            run { await self.prove(first, positions) }
        } else {
            settle(outcome)
        }
    }

    /// Settles a group when the stream has its last message at the acknowledged position. The positions came in
    /// ascending order, one for each message: then all come from this stream.
    private func prove(_ first: Int, _ positions: [StoredPosition]) async {
        let index = first + positions.count - 1
        let (last, sent) = state.withLock { ($0.window.message(index)?.messageID, $0.window.first(of: index)) }
        if let last, let position = positions.last {
            let isHeld = await store.holds(last, at: position)
            if isHeld == false, await !store.isCreatedAgain(since: sent?.after.created) { store.origin.contest() }
            guard isHeld == true else { return settle(.missed(count: positions.count, nil)) }
        }
        store.origin.proven()
        settle(.stored(first: first, positions, isProven: true))
    }

    private func settle(_ outcome: AcknowledgementGroup.Outcome) {
        switch outcome {
        case .stored(let first, let positions, _):
            if let last = positions.last { store.note(sequence: last.sequence) }
            onStored(first, positions)
            act { $0.stored(first..<first + positions.count) }
        case .missed(let count, let error):
            let final = error.flatMap { error in
                // The next attempt examines an error that a server answered, because it may be another stream's.
                error.isRetriable || error.kind == .api ? nil : MeshEventsError(error, stream: store.streamName)
            }
            act { $0.missed(count, final: final) }
        case .refused(let count, let position):
            let what = count == 1 ? "one event" : "one of \(count) events that were sent together"
            act { $0.missed(count, final: .duplicateMessageID(position, what)) }
        }
    }

    private func act(_ change: (inout PublishWindow) -> PublishWindow.Event?) {
        perform(state.withLock { change(&$0.window) })
    }

    private func perform(_ event: PublishWindow.Event?) {
        switch event {
        case .wake: wake()
        case .recover(let indexes): run { await self.recover(indexes) }
        case nil: break
        }
    }

    /// Runs a piece of work beside the caller, which waits for it in ``finish()`` at the latest.
    private func run(_ piece: @escaping @Sendable () async -> Void) {
        work.withLock { work in
            guard !work.isOver else { return }
            work.number += 1
            let number = work.number
            work.tasks[number] = Task {
                await piece()
                self.work.withLock { $0.tasks[number] = nil }
            }
        }
    }

    /// Ends all work, because the caller is cancelled: nothing is sent again, and acknowledgements that still come count for
    /// nothing.
    ///
    /// - Returns: what the caller throws.
    private func end() -> MeshEventsError {
        let cause = NATSError(.cancelled, "the task was cancelled")
        let error = MeshEventsError(cause)
        let (watch, tasks) = work.withLock { work in
            work.isOver = true
            defer { (work.watch, work.tasks) = (nil, [:]) }
            return (work.watch, work.tasks.values)
        }
        state.withLock { $0.window.fail(error) }
        watch?.cancel()
        for task in tasks { task.cancel() }
        // They hold this until they are answered, which may be never.
        store.jetStream.connection.endReplies(of: ObjectIdentifier(self), error: cause)
        return error
    }

    /// Resumes the waiting caller, which checks again.
    private func wake() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Handles a message that the connection did not take. When the connection is down, the message waits for the next
    /// one like those under way; for any other reason it fails for good.
    private func refused(_ index: Int, _ place: AcknowledgementGroups.Place, _ error: NATSError) {
        let final = error.isRetriable ? nil : MeshEventsError(error)
        _ = withdraw(place) { $0.missed(1, final: final) }
    }

    /// Removes a message that was not sent from its group, and changes the window; `false` when the group has ended
    /// before and has counted the message among the missed.
    private func withdraw(
        _ place: AcknowledgementGroups.Place,
        _ change: (inout PublishWindow) -> PublishWindow.Event?
    ) -> Bool {
        let (withdrawal, event, reply) = state.withLock { state in
            let reply = state.groups.reply(of: place.group)
            let withdrawal = state.groups.withdraw(from: place.group)
            var event: PublishWindow.Event?
            if case .done = withdrawal { event = change(&state.window) }
            return (withdrawal, event, state.groups.reply(of: place.group) == nil ? reply : nil)
        }
        if let reply { store.jetStream.connection.closeReply(reply) }
        guard case .done(let outcome) = withdrawal else { return false }
        if let outcome { settle(outcome) }
        perform(event)
        return true
    }

    /// Sends messages without an acknowledgement again. The oldest goes first, until it is stored or its deadline is
    /// over; then the others, each with its own reply subject, so that its outcome is known exactly. From here on they
    /// may be stored.
    private func recover(_ indexes: [Int]) async {
        var left = indexes
        await store.renew()
        do throws(MeshEventsError) {
            left = try await withoutStored(left)
            if let oldest = left.first {
                await restore(oldest)
                // That may have taken long, so check again.
                left = try await withoutStored(Array(left.dropFirst()))
            }
        } catch {
            state.withLock { $0.window.fail(error) }
        }
        // The stream must remember their ids until they arrive.
        var room = resendBytes
        var isWhole = true
        for index in left {
            guard room > 0 else {
                isWhole = false
                break
            }
            if store.origin.hasOthers, state.withLock({ $0.window.phase == .recovering }) {
                // When another stream answers too, the outcome is known only for a message that is sent alone.
                await restore(index)
                continue
            }
            let next = state.withLock { state in
                state.window.resend(index).map { ($0, state.groups.add(index, limit: 1, mayBeStored: true)) }
            }
            guard let (message, place) = next else { break }
            room -= message.payload.count + Self.headBytes
            do throws(NATSError) {
                try send(message, place)
            } catch {
                // A full buffer also ends this round; the next begins when everything under way is answered.
                refused(index, place, error)
            }
        }
        act { $0.recovered(isWhole: isWhole) }
    }

    /// How many bytes are sent again at once: as many as a link of 20 KB/s carries in the part of the duplicate window
    /// that is left for the way.
    private var resendBytes: Int {
        let seconds = Double(store.duplicateWindow.components.seconds)
        return Int(min(max(seconds / 4 * 20_000, 4_096), 4_194_304))
    }

    /// About how many bytes a message takes beside its payload.
    private static let headBytes = 200

    /// Sends one message again, alone, until it is stored or its deadline has come.
    private func restore(_ index: Int) async {
        let (found, sent, silence) = state.withLock { state in
            defer { state.silence = .zero }
            return (state.window.message(index), state.window.first(of: index), state.silence)
        }
        guard var message = found else { return }
        message.mayBeStored = true
        do throws(MeshEventsError) {
            let position = try await store.append(message, deadline: deadline, sent: sent, silence: silence)
            onStored(index, [position])
            state.withLock { $0.window.restored(index) }
        } catch {
            state.withLock { $0.window.fail(error) }
        }
    }

    /// Looks in the stream for the messages without an acknowledgement, when one of them was first sent longer ago than
    /// the stream remembers ids: sent again, it could be stored twice.
    ///
    /// - Returns: the messages to send again.
    /// - Throws: when the stream cannot be read, or has removed messages that may have included one of these.
    private func withoutStored(_ indexes: [Int]) async throws(MeshEventsError) -> [Int] {
        let window = store.duplicateWindow
        let suspects = state.withLock { state in
            indexes.compactMap { index -> UncertainMessage? in
                guard let message = state.window.message(index), let first = state.window.first(of: index) else {
                    return nil
                }
                return UncertainMessage(message, index, first, isForgotten: first.isForgotten(window: window))
            }
        }
        guard suspects.contains(where: \.isForgotten), let after = StreamPosition.lowest(suspects.map(\.first.after))
        else {
            return indexes
        }
        let look = ContinuousClock.now
        let found = try await store.find(
            Set(suspects.map(\.messageID)),
            on: Set(suspects.map(\.subject)),
            after: after,
            patience: deadline
        )
        let outcome = found.outcome(of: suspects, subjectLimit: store.subjectLimit)
        for (index, sequence, isReplaced) in outcome.stored {
            onStored(
                index,
                [StoredPosition(stream: store.streamName, sequence: sequence, isDuplicate: !isReplaced)]
            )
            state.withLock { $0.window.restored(index) }
        }
        guard !outcome.isUnknown else { throw store.outcomeLost() }
        state.withLock { state in
            for index in outcome.absent { state.window.note(FirstSending(after: found.last, at: look), of: index) }
        }
        let stored = Set(outcome.stored.map(\.index))
        return indexes.filter { !stored.contains($0) }
    }

    /// Suspends until `ready` holds.
    ///
    /// - Throws: the window's failure; `closed` when the task is cancelled.
    private func wait(until ready: @escaping @Sendable (PublishWindow) -> Bool) async throws(MeshEventsError) {
        while true {
            if Task.isCancelled || work.withLock({ $0.isOver }) { throw end() }
            let (isReady, failure) = state.withLock { (ready($0.window), $0.window.failure) }
            if let failure { throw failure }
            if isReady { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        let goesOn = ready(state.window) || state.window.failure != nil || Task.isCancelled
                        if !goesOn { state.waiter = continuation }
                        return goesOn
                    }
                    if goesOn { continuation.resume() }
                }
            } onCancel: {
                wake()
            }
        }
    }
}
