import Locking
import MeshEvents
import NATSClient

// The task of a follower: it sends requests, checks silent consumers, and replaces lost ones.
extension JetStreamFollower {
    private enum Step {
        case sleep(Completion, until: ContinuousClock.Instant)
        case check
        case request(inbox: String, consumer: String)
        case probe(consumer: String, delivered: UInt64)
        case replace
        case pause(Completion, until: ContinuousClock.Instant)
        case refuse(String)
        case stop
    }

    /// How often the server may say that something is on its way before the request counts as lost.
    private static let maximumSilentChecks = 6

    /// Starts the task; it ends with the follower.
    func run() {
        let connection = store.jetStream.connection
        let watching = Task { [weak self] in
            for await status in connection.statusUpdates() {
                guard let self else { return }
                self.noticed(status)
            }
        }
        Task {
            await self.work()
            watching.cancel()
        }
    }

    private func noticed(_ status: NATSStatus) {
        switch status {
        case .reconnected: lose("the connection was lost")
        case .closed(let error):
            fail(MeshEventsError(error ?? NATSError(.closed, "the connection has been closed")))
        case .serverError(let error):
            // A refused request has no other answer.
            let subject = "CONSUMER.MSG.NEXT.\(store.streamName)."
            if error.subject?.contains(subject) == true { fail(MeshEventsError(error)) }
        default: break
        }
    }

    private func work() async {
        var silentChecks = 0
        while true {
            switch nextStep() {
            case .stop: return
            case .sleep(let completion, let deadline):
                let isWoken = (try? await completion.wait(until: deadline, for: "a message")) != nil
                if isWoken { silentChecks = 0 }
            case .request(let inbox, let consumer): request(inbox, consumer)
            case .check: await check()
            case .pause(let completion, let deadline):
                try? await completion.wait(until: deadline, for: "the next attempt")
            case .refuse(let reason):
                fail(
                    MeshEventsError(
                        .serverRefused,
                        "the server refuses the requests of a replay of stream \(store.streamName) (\(reason)); raise "
                            + "that limit of the server or of the stream's consumers"
                    )
                )
            case .probe(let consumer, let delivered):
                let isSilent = await probe(consumer, delivered, isLast: silentChecks >= Self.maximumSilentChecks)
                silentChecks = isSilent ? silentChecks + 1 : 0
            case .replace:
                silentChecks = 0
                await replace()
            }
        }
    }

    private func nextStep() -> Step {
        let now = ContinuousClock.now
        return state.withLock { state in
            if state.queue.isEnded { return .stop }
            switch state.refusals.verdict(now) {
            case .goOn: break
            case .wait(let until):
                let completion = Completion()
                state.pause = completion
                return .pause(completion, until: until)
            case .giveUp(let reason): return .refuse(reason)
            }
            guard state.loss == nil, let consumer = state.consumer else { return .replace }
            let completion = Completion()
            guard state.isRequestDue else {
                let deadline = state.lastArrival + Self.silenceTolerated
                if deadline <= now { return .probe(consumer: consumer, delivered: state.progress.consumerSequence) }
                state.sleep = completion
                return .sleep(completion, until: deadline)
            }
            guard state.hasRoom else {
                state.sleep = completion
                return .sleep(completion, until: now + .seconds(600))
            }
            // A consumer without requests for long may be gone, and old servers do not say so.
            if now - state.lastRequest > Self.consumerLife / 2, now - state.lastArrival > Self.consumerLife / 2 {
                return .replace
            }
            if state.progress.needsCheck { return .check }
            return .request(inbox: state.inbox, consumer: consumer)
        }
    }

    private func request(_ inbox: String, _ consumer: String) {
        let jetStream = store.jetStream
        let request = state.withLock { state -> PullRequest? in
            guard state.consumer == consumer else { return nil }
            let outstanding = state.progress.outstanding
            // The window counts what is asked for, not what is wished.
            let batch = min(Self.batch, state.limits.batch ?? Self.batch)
            guard let next = state.window.next(outstanding: outstanding, missing: batch) else { return nil }
            let wish = PullRequest(
                batch: next.messages,
                maximumBytes: next.bytes,
                expires: .seconds(30),
                idleHeartbeat: Self.heartbeat
            )
            let request = state.limits.applied(to: wish)
            state.progress.request(request.batch)
            state.lastRequest = .now
            state.lastArrival = .now
            return request
        }
        guard let request else { return }
        do throws(JetStreamError) {
            try jetStream.sendPull(request, to: consumer, on: store.streamName, inbox: inbox)
        } catch {
            if error.isRetriable { lose(error.message) } else { fail(MeshEventsError(error, stream: store.streamName)) }
        }
    }

    /// Checks whether the stream has dropped messages while the consumer stood still.
    private func check() async {
        do throws(JetStreamError) {
            let stream = try await store.jetStream.streamInfo(store.streamName, timeout: .seconds(5))
            guard stream.creation == state.withLock({ $0.created }) else {
                return lose("the stream was created again")
            }
            let found = stream.state
            let first = found.messages == 0 ? found.lastSequence.nextSequence : found.firstSequence
            state.update { state in
                guard state.loss == nil, state.progress.needsCheck else { return }
                for lost in state.progress.check(first: first) { state.queue.append(.lost(lost)) }
                if state.progress.takeCaughtUp() { state.queue.append(.caughtUp) }
            }
        } catch {
            lose(error.message)
        }
    }

    /// Asks whether the request still waits, after nothing has arrived for long. The answer comes behind everything the
    /// server has sent before it; on a slow link, that may be a message that takes seconds.
    ///
    /// - Returns: whether the server has answered, and nothing has come meanwhile.
    private func probe(_ consumer: String, _ delivered: UInt64, isLast: Bool) async -> Bool {
        let begun = ContinuousClock.now
        do throws(JetStreamError) {
            let info = try await store.jetStream.consumerInfo(consumer, on: store.streamName, timeout: .seconds(1))
            let hasArrived = state.withLock { $0.lastArrival > begun }
            if hasArrived { return false }
            // A flooded stream delivers late, and so do its heartbeats.
            if info.requestsWaiting > 0 || info.delivered.consumerSequence > delivered, !isLast {
                state.withLock { $0.lastArrival = .now }
            } else {
                lose("the request was lost")
            }
            return true
        } catch {
            // A missing answer is no loss.
            if error.kind == .timeout { state.withLock { $0.lastArrival = .now } } else { lose(error.message) }
            return false
        }
    }

    /// Replaces the consumer, however long that takes.
    private func replace() async {
        var patience = FollowPatience()
        while !state.withLock({ $0.queue.isEnded }) {
            do throws(JetStreamError) {
                return try await beginSession(timeout: .seconds(5))
            } catch {
                guard await patience.bears(error, store) else {
                    return fail(FollowPatience.explained(error, stream: store.streamName))
                }
            }
        }
    }
}
