public import Logging
import MeshConcurrency
public import MeshEvents
import MeshLogging

/// Stores lifecycle events without making the caller wait: in order, acknowledged, with the time at which they
/// happened. It keeps them through outages of any length.
///
/// ```swift
/// let emitter = LifecycleEmitter(bus: persistent)
/// Task { await emitter.run() }
/// emitter.emit(ToolStarted(tool: "whisper"))  // returns at once, also while the server is away
/// ```
///
/// Storing an event is retried until it succeeds. It is stored once, unless an acknowledgement is missing for longer
/// than the stream's duplicate window (two minutes by default); then it may be stored twice. When another client has
/// used its message id, it gets a new one, and this is logged. A stream that has vanished, as when a server comes back
/// with an empty store, is created again.
public final class LifecycleEmitter: Sendable {
    /// The limits of an emitter.
    public struct Configuration: Sendable, Hashable {
        /// How many events may wait to be stored, from 2; beyond that the oldest are lost, counted and logged. Default
        /// 10 000.
        public var capacity: Int
        /// The pause after the first failed attempt; each further failure doubles it. Default 100 ms.
        public var minimumRetryDelay: Duration
        /// The longest pause between attempts. Default 1 s.
        public var maximumRetryDelay: Duration

        /// Creates a configuration.
        public init(
            capacity: Int = 10_000,
            minimumRetryDelay: Duration = .milliseconds(100),
            maximumRetryDelay: Duration = .seconds(1)
        ) {
            self.capacity = capacity
            self.minimumRetryDelay = minimumRetryDelay
            self.maximumRetryDelay = maximumRetryDelay
        }
    }

    /// How many events wait, are stored or were lost so far.
    public struct Statistics: Sendable, Hashable {
        /// Events that wait to be stored.
        public let waiting: Int
        /// Events that are stored.
        public let stored: UInt64
        /// Events that were lost because too many waited.
        public let overflowed: UInt64
        /// Events that cannot be stored: too large, not expressible as JSON, or emitted after ``drain(timeout:)``.
        public let refused: UInt64
    }

    private struct State {
        var queue: LifecycleQueue
        var flushes: [(number: UInt64, completion: OneTimeSignal)] = []

        mutating func settled() -> [OneTimeSignal] {
            guard !flushes.isEmpty else { return [] }
            let done = flushes.filter { queue.isSettled($0.number) }.map(\.completion)
            flushes.removeAll { queue.isSettled($0.number) }
            return done
        }
    }

    private let bus: PersistentEventBus
    private let configuration: Configuration
    private let clock: any Clock<Duration>
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let state: Locked<State>
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    /// Creates an emitter; events wait until ``run()`` is called.
    ///
    /// - Parameters:
    ///   - bus: stores the events, under its node's name.
    ///   - configuration: the limits.
    ///   - clock: measures the pauses between attempts.
    ///   - now: the time an event gets.
    ///   - logger: logs outages and lost events.
    public init(
        bus: PersistentEventBus,
        configuration: Configuration = Configuration(),
        clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Timestamp = { .now },
        logger: Logger = Logger(label: "mesh-events.lifecycle")
    ) {
        self.bus = bus
        self.configuration = configuration
        self.clock = clock
        self.now = now
        self.logger = logger
        state = Locked(State(queue: LifecycleQueue(capacity: configuration.capacity)))
        (wakeUps, wakeUp) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// How many events wait, are stored or were lost so far.
    public var statistics: Statistics {
        let queue = state.withLock { $0.queue }
        return Statistics(
            waiting: queue.waiting,
            stored: queue.stored,
            overflowed: queue.overflowed,
            refused: queue.refused
        )
    }

    /// How often an event is made again because others came between.
    private static let snapshotAttempts = 10

    /// Takes an event that happens now. Never blocks and never fails; what cannot be stored is counted and logged.
    public func emit(_ payload: any EventPayload) { _ = take(payload, after: nil) }

    /// Takes an event that says how things are now. It is made again when another event was taken meanwhile: readers
    /// believe the later event, so it must know all that the earlier ones say.
    ///
    /// An earlier one that waits and was not tried yet is dropped for it.
    ///
    /// - Parameter shorten: makes smaller data of data that is larger than the server or the stream accepts; the event
    ///   is tried again with it. With `nil` the event is refused.
    func emit(
        snapshot make: () -> any EventPayload,
        shorten: @escaping LifecycleQueue.Shortening = { _, _ in nil }
    ) {
        for _ in 0..<Self.snapshotAttempts {
            let newest = state.withLock { $0.queue.newest }
            if take(make(), after: newest, shorten: shorten) { return }
        }
        _ = take(make(), after: nil, shorten: shorten)
    }

    /// Takes an event that happens now.
    ///
    /// - Parameters:
    ///   - newest: the event that has to be the newest one still; `nil` for any.
    ///   - shorten: makes a snapshot smaller; `nil` for other events.
    /// - Returns: `false` when another one is: nothing was done.
    private func take(
        _ payload: any EventPayload,
        after newest: UInt64?,
        shorten: LifecycleQueue.Shortening? = nil
    ) -> Bool {
        let event: Event
        do throws(MeshEventsError) {
            event = try Event(payload)
            try event.validate()
        } catch {
            state.withLock { $0.queue.refuse() }
            logger.error(
                "a lifecycle event cannot be sent",
                [.type: "\(type(of: payload).eventType)", .error: "\(error.message)"]
            )
            return true
        }
        // Another thread may overtake this one here: the queue keeps the times in the order of the events.
        let time = now()
        let taken = state.withLock { state -> (LifecycleQueue.Admission, [OneTimeSignal])? in
            if let newest, newest != state.queue.newest { return nil }
            return (state.queue.append(event, at: time, shorten: shorten), state.settled())
        }
        guard let (admission, completions) = taken else { return false }
        for completion in completions { completion.send() }
        switch admission {
        case .taken: break
        case .replacedOldest(let count):
            // The 1st, 2nd, 4th, 8th … time.
            if count & (count - 1) == 0 {
                logger.error(
                    "too many lifecycle events wait to be stored; the oldest are lost",
                    [.lost: "\(count)"]
                )
            }
        case .refused:
            logger.warning("a lifecycle event came after the node had left", [.type: "\(event.type)"])
        }
        wakeUp.yield()
        return true
    }

    /// Stores events as they are emitted; returns after ``drain(timeout:)``, when the bus is closed, or when the task
    /// is cancelled. Call it once.
    public func run() async {
        for await _ in wakeUps {
            while let entry = state.withLock({ $0.queue.front }) {
                guard await store(entry) else { return }
            }
        }
    }

    /// Suspends until everything emitted before is stored.
    ///
    /// - Throws: `timeout` with the reason the store gave, `closed` when the task is cancelled.
    public func flush(timeout: Duration) async throws(MeshEventsError) {
        let completion = state.withLock { state -> OneTimeSignal? in
            let newest = state.queue.newest
            guard !state.queue.isSettled(newest) else { return nil }
            let completion = OneTimeSignal()
            state.flushes.append((newest, completion))
            return completion
        }
        guard let completion else { return }
        defer { state.withLock { $0.flushes.removeAll { $0.completion === completion } } }
        do throws(MeshEventsError) {
            try await completion.wait(until: .now + timeout, for: "the node's events to be stored")
        } catch {
            guard error.code == .timeout else { throw error }
            let (count, reason) = state.withLock { ($0.queue.waiting, $0.queue.lastError) }
            throw MeshEventsError(
                .timeout,
                "\(count) events of the node were not stored within \(timeout): "
                    + (reason?.message ?? "the store has not answered"),
                underlying: reason,
                isRetriable: true
            )
        }
    }

    /// Takes no more events and suspends until those that wait are stored; then ``run()`` returns.
    ///
    /// - Returns: the events that were not stored within `timeout`, oldest first; empty when all went well.
    public func drain(timeout: Duration) async -> [Event] {
        state.withLock { $0.queue.finish() }
        try? await flush(timeout: timeout)
        wakeUp.finish()
        return state.withLock { $0.queue.rest }
    }

    /// The error of the last failed attempt.
    var lastError: MeshEventsError? { state.withLock { $0.queue.lastError } }

    // MARK: Storing

    /// Stores the front of the queue, with as many attempts as needed; `false` when the bus is closed or the task
    /// cancelled.
    private func store(_ entry: LifecycleQueue.Entry) async -> Bool {
        var event = entry.event
        var message: PendingMessage?
        var delay = configuration.minimumRetryDelay
        var attempts = 0
        while true {
            attempts += 1
            do throws(MeshEventsError) {
                // Made once: a retry carries the same message id.
                let pending = if let message { message } else { try bus.pending(event, at: event.timestamp) }
                message = pending
                try await bus.store(pending)
                settle { $0.frontStored() }
                if attempts > 1 {
                    logger.notice("lifecycle events are stored again", [.attempts: "\(attempts)"])
                }
                return true
            } catch {
                guard !Task.isCancelled, error.code != .closed else {
                    // That this attempt was cancelled is not why the event is not stored.
                    if !Task.isCancelled {
                        state.withLock { state in
                            if state.queue.lastError == nil { state.queue.frontFailed(error) }
                        }
                    }
                    return false
                }
                if error.code == .payloadTooLarge, let data = entry.shorten?(event.data, error) {
                    event.data = data
                    message = nil
                    attempts -= 1
                    continue
                }
                if Self.isFinal(error) {
                    settle { $0.frontRefused(error) }
                    logger.error(
                        "a lifecycle event cannot be stored",
                        [.type: "\(event.type)", .error: "\(error.message)"]
                    )
                    return true
                }
                state.withLock { $0.queue.frontFailed(error) }
                if error.code == .duplicateMessageID {
                    logger.error(
                        "another client has used the message id of a lifecycle event; it is sent again with a new one",
                        [.type: "\(event.type)", .error: "\(error.message)"]
                    )
                    message = nil
                } else {
                    message?.mayBeStored = true
                }
                if attempts == 1 {
                    logger.warning(
                        "lifecycle events cannot be stored for now; they are kept and tried again",
                        [.type: "\(event.type)", .error: "\(error.message)"]
                    )
                }
                if error.code == .streamNotFound { try? await bus.reopenStore() }
                do { try await clock.sleep(for: delay) } catch { return false }
                delay = min(delay * 2, configuration.maximumRetryDelay)
            }
        }
    }

    private func settle(_ change: (inout LifecycleQueue) -> Void) {
        let completions = state.withLock { state in
            change(&state.queue)
            return state.settled()
        }
        for completion in completions { completion.send() }
    }

    /// Whether the event itself is at fault, so that retrying cannot help.
    private static func isFinal(_ error: MeshEventsError) -> Bool {
        switch error.code {
        case .invalidEventType, .invalidData, .invalidArgument, .payloadTooLarge: true
        default: false
        }
    }
}
