import MeshConcurrency
import NIOCore

/// The work of one iterator of a watch: pull requests one after another, each watched by heartbeats, and a new consumer
/// after a loss.
///
/// Everything but receiving happens in the reader's task, within ``next()``; it has no task of its own.
final class KeyValueWatcher {
    /// The most messages that a request asks for; the bytes limit it when values are large.
    private static let batch = 1_024
    /// The most messages of the first request for values, when their size is not known.
    private static let firstValues = 4
    /// The most bytes that a request for values brings, if each is as large as the server accepts.
    private static let valueBytes = 32 << 20
    private static let heartbeat: Duration = .seconds(1)
    /// How long nothing may arrive before the server is asked why.
    private static let silenceTolerated: Duration = .milliseconds(2_500)
    /// How long a consumer outlives its last request.
    private static let consumerLife: Duration = .seconds(60)
    /// How long the stream may be missing, as when a cluster starts.
    private static let absenceTolerated: Duration = .seconds(2)

    /// A consumer, and where its messages arrive.
    private struct Session {
        let consumer: String
        let inbox: String
        let arrivals: WatchArrivals
        let handle: NATSSubscriptionHandle
        /// How often the connection had been restored when it was made.
        let reconnects: UInt64
    }

    private let watch: KeyValueBucket.Watch
    private var progress: WatchProgress
    private var window: PullWindow
    private var limits = PullLimits()
    private var session: Session?
    private var ready: [KeyValueBucket.Update] = []
    private var taken = 0
    private var isEnded = false
    private var lastArrival = ContinuousClock.now
    private var lastRequest = ContinuousClock.now
    /// How many consumers in a row have delivered nothing.
    private var failures = 0
    /// Whether the server is to be asked what the consumer still has to deliver.
    private var asksPending = false
    /// How often in a row the server has said that a silent request still waits.
    private var silentChecks = 0
    /// Since when the stream is missing.
    private var missingSince: ContinuousClock.Instant?

    private var jetStream: JetStream { watch.bucket.jetStream }
    private var connection: NATSConnection { watch.bucket.jetStream.connection }
    private var stream: String { watch.bucket.stream }

    init(_ watch: KeyValueBucket.Watch) {
        self.watch = watch
        progress = WatchProgress(start: watch.start, last: watch.last)
        window = PullWindow(most: 4 << 20, maximumPayload: watch.bucket.jetStream.connection.maximumPayload)
    }

    deinit { loseSession() }

    /// The next update; `nil` when the task is cancelled, and after an end.
    func next() async throws(KeyValueError) -> KeyValueBucket.Update? {
        do throws(KeyValueError) {
            while !isEnded, !Task.isCancelled {
                if taken < ready.count {
                    taken += 1
                    return ready[taken - 1]
                }
                ready.removeAll(keepingCapacity: true)
                taken = 0
                try await advance()
            }
        } catch {
            end()
            if Task.isCancelled { return nil }
            throw error
        }
        end()
        return nil
    }

    private func end() {
        isEnded = true
        loseSession()
    }

    /// Gives up the present consumer; the next step makes another.
    private func loseSession() {
        guard let lost = session else { return }
        session = nil
        asksPending = false
        lost.handle.cancel()
        jetStream.discardConsumer(lost.consumer, on: stream)
    }

    // MARK: Steps

    /// Does what is due, and waits for what comes; returns after one step.
    private func advance() async throws(KeyValueError) {
        guard let session else { return try await begin() }
        if progress.outstanding == 0 {
            // The reader was away, and the consumer may be gone; old servers do not say so.
            guard .now - max(lastRequest, lastArrival) < Self.consumerLife / 2 else { return loseSession() }
            try request(session)
        }
        if let arrivals = await session.arrivals.next(until: lastArrival + Self.silenceTolerated) {
            lastArrival = .now
            silentChecks = 0
            for arrival in arrivals where self.session != nil { try take(arrival) }
            tellCompletion()
            if asksPending { try await askPending(session) }
        } else if !Task.isCancelled {
            try await probe(session)
        }
    }

    /// Begins with a new consumer.
    private func begin() async throws(KeyValueError) {
        if failures > 0 {
            try? await Task.sleep(for: min(.milliseconds(25) * (1 << min(failures, 6)), .seconds(1)))
            if Task.isCancelled { return }
        }
        failures += 1
        let found: StreamInformation
        let pending: UInt64
        do throws(JetStreamError) {
            pending = try await makeConsumer()
            // Asked after the consumer was made: so it reads the stream that this answer is about.
            found = try await jetStream.streamInfo(stream, timeout: watch.timeout)
        } catch {
            loseSession()
            return try bear(error)
        }
        missingSince = nil
        let isReplaced = !Self.isSame(found.created, watch.created)
        guard !isReplaced, found.state.lastSequence >= progress.newest else { throw replaced(isReplaced) }
        progress.begin(pending: pending)
        tellCompletion()
    }

    /// Makes a consumer behind the last revision; returns how many messages it has to deliver.
    private func makeConsumer() async throws(JetStreamError) -> UInt64 {
        let reconnects = connection.statistics.reconnects
        let (inbox, arrivals) = (connection.makeInbox(), WatchArrivals())
        let handle: NATSSubscriptionHandle
        do throws(NATSError) {
            handle = try await connection.subscribe(to: inbox, receiver: arrivals, timeout: watch.timeout)
        } catch {
            throw JetStreamError(error)
        }
        do throws(JetStreamError) {
            let consumer = try await jetStream.createConsumer(configuration, on: stream, timeout: watch.timeout)
            session = Session(
                consumer: consumer.name,
                inbox: inbox,
                arrivals: arrivals,
                handle: handle,
                reconnects: reconnects
            )
            limits = PullLimits(consumer.configuration)
            (lastArrival, lastRequest) = (.now, .now)
            return consumer.pending
        } catch {
            handle.cancel()
            throw error
        }
    }

    private var configuration: ConsumerConfiguration {
        .reader(
            start: progress.start,
            filterSubjects: [watch.filter],
            headersOnly: watch.withoutValues,
            inactiveThreshold: Self.consumerLife
        )
    }

    /// Throws when trying again does not help.
    private func bear(_ error: JetStreamError) throws(KeyValueError) {
        if error.errorCode == .streamNotFound {
            let since = missingSince ?? .now
            missingSince = since
            if .now - since < Self.absenceTolerated { return }
        } else if connection.isClosed, error.underlying?.code != .closed {
            throw closed(error.underlying)
        } else if error.isRetriable || error.errorCode == .consumerNotFound {
            return
        }
        throw KeyValueError(error, bucket: watch.bucket.name)
    }

    private func request(_ session: Session) throws(KeyValueError) {
        var most = min(Self.batch, limits.batch ?? Self.batch)
        if progress.readsValues { most = min(most, mostValues) }
        guard let next = window.next(outstanding: 0, missing: most) else { return }
        let request = limits.applied(
            to: PullRequest(
                batch: next.messages,
                // Servers drop from a `last_per_subject` consumer each message that does not fit into the bytes.
                maximumBytes: progress.readsValues ? nil : next.bytes,
                expires: .seconds(30),
                idleHeartbeat: Self.heartbeat
            )
        )
        do throws(JetStreamError) {
            try jetStream.sendPull(request, to: session.consumer, on: stream, inbox: session.inbox)
            progress.requested(request.batch)
            (lastArrival, lastRequest) = (.now, .now)
        } catch {
            loseSession()
            try bear(error)
        }
    }

    /// How many messages a request for values asks for at most: it has no other limit.
    private var mostValues: Int {
        guard progress.delivered > 0 else { return Self.firstValues }
        return max(Self.firstValues, Self.valueBytes / max(connection.maximumPayload ?? 1 << 20, 1))
    }

    /// Asks what the consumer still has to deliver, after a heartbeat: servers also send those while a message is larger
    /// than what is left of the request.
    private func askPending(_ session: Session) async throws(KeyValueError) {
        asksPending = false
        do throws(JetStreamError) {
            let found = try await jetStream.consumerInfo(session.consumer, on: stream, timeout: .seconds(2))
            progress.answered(pending: found.pending, delivered: found.delivered.consumerSequence)
            tellCompletion()
        } catch {
            // The next heartbeats tell as well.
            if error.kind != .timeout { loseSession() }
        }
    }

    /// Asks whether the request still waits, after nothing has arrived for long. The answer comes behind everything that
    /// the server has sent before it; on a slow link that may be a message that takes seconds.
    private func probe(_ session: Session) async throws(KeyValueError) {
        guard connection.statistics.reconnects == session.reconnects else { return loseSession() }
        do throws(JetStreamError) {
            let found = try await jetStream.consumerInfo(session.consumer, on: stream, timeout: .seconds(2))
            guard session.arrivals.isEmpty else { return }
            silentChecks += 1
            lastArrival = .now
            let isWaiting = found.requestsWaiting > 0 || found.delivered.consumerSequence > progress.delivered
            if !isWaiting || silentChecks > 6 || connection.statistics.reconnects != session.reconnects {
                loseSession()
            }
        } catch {
            // A missing answer is no loss.
            if error.kind == .timeout { lastArrival = .now } else { loseSession() }
        }
    }

    // MARK: Arrivals

    private func take(_ arrival: WatchArrivals.Arrival) throws(KeyValueError) {
        switch arrival {
        case .message(let message):
            window.took(message.payload.readableBytes + message.subject.utf8.count)
            let verdict = progress.take(
                delivery: message.position.consumerSequence,
                revision: message.position.streamSequence,
                pending: message.position.pending
            )
            guard verdict != .restart else { return loseSession() }
            failures = 0
            if verdict == .deliver, let entry = watch.bucket.entry(message),
                entry.operation == .put || !watch.ignoresDeletes
            {
                ready.append(.entry(entry))
            }
            tellCompletion()
        case .status(let status): try take(status)
        case .ended(let error):
            loseSession()
            if let error, error.code == .permissionDenied { try bear(JetStreamError(error)) }
            throw closed(error)
        }
    }

    /// Takes a status instead of a message (NATS ADR-13).
    private func take(_ status: NATSMessage) throws(KeyValueError) {
        let words = status.statusDescription ?? ""
        let text = words.lowercased()
        switch status.status {
        case 100?:
            failures = 0
            let last = status.headers["Nats-Last-Consumer"].flatMap { UInt64($0) }
            switch progress.heartbeat(delivery: last) {
            case .restart: loseSession()
            case .ask: asksPending = true
            case .deliver, .ignore: break
            }
        case 404?, 408?: progress.requestEnded()
        case 409? where text.hasPrefix("exceeded max"):
            // The whole request was refused: the next one keeps the limit that the server names.
            guard limits.learn(words) == .newLimit else { throw refused(words) }
            progress.requestEnded()
        case 409? where text.contains("maxbytes"):
            progress.requestEnded(isCut: true)
            if window.ended() { throw refused(words) }
            // The consumer limits the bytes of requests.
            if progress.readsValues {
                progress.leaveValues()
                loseSession()
            }
        case 409? where text.contains("batch completed"): progress.requestEnded()
        default: loseSession()
        }
    }

    private func tellCompletion() {
        guard session != nil else { return }
        if progress.takeCompletion() { ready.append(.initialValuesComplete) }
        if progress.needsConsumer {
            failures = 0
            loseSession()
        }
    }

    // MARK: Endings

    /// The connection was closed, or has given up for this reason.
    private func closed(_ reason: NATSError?) -> KeyValueError {
        let error = reason.map { NATSError(.closed, "the connection is closed: \($0.message)", underlying: $0) }
        return KeyValueError(JetStreamError(error ?? .closed), bucket: watch.bucket.name)
    }

    private func refused(_ words: String) -> KeyValueError {
        let reason = JetStreamError(.refused, "the server refuses the requests of a watch: 409 \(words)")
        return KeyValueError(reason, bucket: watch.bucket.name)
    }

    private func replaced(_ isReplaced: Bool) -> KeyValueError {
        let name = watch.bucket.name
        return KeyValueError(
            .bucketReplaced,
            isReplaced
                ? "bucket \(name) was deleted and created again; forget its values, and watch it anew"
                : "bucket \(name) has lost its newest revisions; forget its values, and watch it anew"
        )
    }

    private static func isSame(_ created: String?, _ other: String?) -> Bool {
        created == other || created.flatMap(ServerTime.nanoseconds) == other.flatMap(ServerTime.nanoseconds)
    }
}

/// Keeps what arrives for one consumer of a watch until its reader takes it.
///
/// It is `@unchecked Sendable` because the connection never calls it concurrently, which protects its batch.
private final class WatchArrivals: NATSMessageReceiver, @unchecked Sendable {
    enum Arrival: Sendable {
        case message(JetStreamMessage)
        case status(NATSMessage)
        /// The subscription has ended; no error after a drain.
        case ended(NATSError?)
    }

    private struct State: AwaitableState {
        var arrivals: [Arrival] = []

        mutating func takeAnswer() -> [Arrival]? {
            guard !arrivals.isEmpty else { return nil }
            defer { arrivals = [] }
            return arrivals
        }
    }

    private let state = Awaitable(State())
    private var batch: [Arrival] = []

    /// What has arrived; waits while there is nothing. `nil` at the deadline, and when the task is cancelled.
    func next(until deadline: ContinuousClock.Instant) async -> [Arrival]? { await state.next(until: deadline) }

    /// Whether nothing waits.
    var isEmpty: Bool { state.withLock { $0.arrivals.isEmpty } }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyTo) else {
            batch.append(.status(message.copied()))
            return
        }
        batch.append(.message(JetStreamMessage(JetStreamMessageView(message, position: position))))
    }

    func receiveBatchEnd() {
        guard !batch.isEmpty else { return }
        let arrived = batch
        batch.removeAll(keepingCapacity: true)
        state.update { $0.arrivals += arrived }
    }

    func receiveEnd(_ error: NATSError?) {
        state.update { $0.arrivals.append(.ended(error)) }
    }
}
