import MeshConcurrency
public import MeshEvents

/// The server of an in-memory mesh: it routes messages between the transports made from it, and keeps the streams of
/// its stores.
///
/// It routes as NATS does: to the subscriptions that exist at the time of publishing, and to one member of each queue
/// group. Messages of one emitter arrive in order. Delivery happens in a separate task, as over a network.
///
/// ```swift
/// let mesh = InMemoryMesh()
/// let emitter = EventBus(transport: InMemoryTransport(mesh), node: "node-a")
/// let watcher = EventBus(transport: InMemoryTransport(mesh), node: "node-b")
/// ```
public final class InMemoryMesh: Sendable {
    /// The limits of a mesh and its clock.
    public struct Configuration: Sendable {
        /// The largest payload in bytes. Default 1 MiB, as in nats-server.
        public var maximumPayload: Int
        /// How many bytes of one transport may wait for delivery before `publish` throws `bufferFull`. Default 8 MiB.
        public var outboundBytes: Int
        /// The clock that gives stored messages their times; pass a ``ManualClock``'s timestamp in tests.
        public var now: @Sendable () -> Timestamp
        /// Waits for a duration on the clock of ``now``; stores use it for redeliveries.
        public var sleep: @Sendable (Duration) async throws -> Void

        /// Creates a configuration.
        public init(
            maximumPayload: Int = 1024 * 1024,
            outboundBytes: Int = 8 * 1024 * 1024,
            now: @escaping @Sendable () -> Timestamp = { .now },
            sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
        ) {
            self.maximumPayload = maximumPayload
            self.outboundBytes = outboundBytes
            self.now = now
            self.sleep = sleep
        }
    }

    struct Message: Sendable {
        let subject: [UInt8]
        let payload: [UInt8]
        let headers: [UInt8]

        /// How many bytes it takes in its transport's buffer.
        var size: Int { subject.count + payload.count + headers.count }
    }

    private enum Item {
        case message(Message, [InMemorySubscription], InMemoryLink?)
        case end(InMemorySubscription, MeshEventsError?, OneTimeSignal?)
        case marker(OneTimeSignal)
    }

    private struct State {
        var table = SubscriptionTable()
        var queue: [Item] = []
        var isDelivering = false
        var isPaused = false
        var streams: [String: InMemoryStream] = [:]
        /// Tasks that wait for a change of the streams.
        var watchers: [OneTimeSignal] = []
    }

    let configuration: Configuration
    private let state = Locked(State())
    private let lastCreation = Locked(Timestamp.epoch)
    /// Followers that wait for a new message.
    let storeWaiters = StoreWaiters()

    /// Creates an empty mesh.
    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    /// Holds back deliveries, as a stalled network does: published messages wait, flushes time out.
    public func pause() {
        state.withLock { $0.isPaused = true }
    }

    /// Continues deliveries.
    public func resume() {
        let isIdle = state.withLock { state in
            state.isPaused = false
            return Self.startsDelivering(&state)
        }
        if isIdle { deliver() }
    }

    // MARK: For transports and stores

    /// A time of creation for a stream: unique, even when the clock stands still.
    func nextCreation(_ now: Timestamp) -> Timestamp {
        lastCreation.withLock { last in
            last = max(now, last.adding(.nanoseconds(1)))
            return last
        }
    }

    func subscribe(_ subscription: InMemorySubscription) {
        state.withLock { $0.table.add(subscription) }
    }

    /// Removes a subscription. Its receiver gets the end after the messages in flight, or instead of them when the
    /// subscription has been cancelled.
    func unsubscribe(_ subscription: InMemorySubscription, error: MeshEventsError?, completion: OneTimeSignal? = nil) {
        let isIdle = state.withLock { state in
            guard state.table.remove(subscription) else {
                // It has ended before: the caller only waits for the items queued before.
                if let completion { state.queue.append(.marker(completion)) }
                return Self.startsDelivering(&state)
            }
            state.queue.append(.end(subscription, error, completion))
            return Self.startsDelivering(&state)
        }
        if isIdle { deliver() }
    }

    func publish(_ message: Message, from link: InMemoryLink?) {
        publish(message, messageID: nil, from: link)
    }

    /// Routes a message and stores it in every stream; returns its position in the stream asked for.
    ///
    /// - Parameter expected: the sequence that the subject's newest message in that stream must have; otherwise nothing
    ///   happens.
    @discardableResult
    func publish(
        _ message: Message,
        messageID: String?,
        from link: InMemoryLink?,
        into streamName: String? = nil,
        expected: UInt64? = nil
    ) -> StoredPosition? {
        let now = configuration.now()
        let (isIdle, position, watchers) = state.withLock { state -> (Bool, StoredPosition?, [OneTimeSignal]) in
            // A message for a stream that is not there is stored in no other, and reaches no subscriber.
            if let streamName {
                guard let stream = state.streams[streamName] else { return (false, nil, []) }
                if let expected, stream.isNew(messageID), stream.lastSequence(of: message.subject) != expected {
                    return (false, nil, [])
                }
            }
            var position: StoredPosition?
            for name in state.streams.keys {
                let stored = state.streams[name]?.append(message, messageID: messageID, now: now)
                if name == streamName { position = stored }
            }
            state.queue.append(.message(message, state.table.route(message.subject), link))
            defer { state.watchers = [] }
            return (Self.startsDelivering(&state), position, state.watchers)
        }
        storeWaiters.wakeAll()
        for watcher in watchers { watcher.send() }
        if isIdle { deliver() }
        return position
    }

    /// Completes `completion` when all messages published before have been delivered.
    func mark(_ completion: OneTimeSignal) {
        let isIdle = state.withLock { state in
            state.queue.append(.marker(completion))
            return Self.startsDelivering(&state)
        }
        if isIdle { deliver() }
    }

    /// Gives `body` access to the streams under the lock; `body` must not call the mesh.
    func withStreams<Result: Sendable>(_ body: (inout [String: InMemoryStream], Timestamp) -> Result) -> Result {
        let now = configuration.now()
        return state.withLock { body(&$0.streams, now) }
    }

    /// Gives `body` access to the streams under the lock; when it returns `watches`, their next change completes
    /// `watcher`.
    func withStreams<Result: Sendable>(
        watcher: OneTimeSignal,
        _ body: (inout [String: InMemoryStream], Timestamp) -> (Result, watches: Bool)
    ) -> Result {
        let now = configuration.now()
        return state.withLock { state in
            let (result, watches) = body(&state.streams, now)
            if watches { state.watchers.append(watcher) }
            return result
        }
    }

    /// Wakes the tasks that wait for a change of the streams.
    func streamsChanged() {
        let watchers = state.withLock { state in
            defer { state.watchers = [] }
            return state.watchers
        }
        for watcher in watchers { watcher.send() }
    }

    // MARK: Delivery

    private static func startsDelivering(_ state: inout State) -> Bool {
        guard !state.isDelivering, !state.isPaused, !state.queue.isEmpty else { return false }
        state.isDelivering = true
        return true
    }

    private func deliver() {
        Task.detached { [self] in
            var batch: [Item] = []
            while takeQueue(&batch) {
                deliver(batch)
                await Task.yield()
            }
        }
    }

    private func takeQueue(_ batch: inout [Item]) -> Bool {
        batch.removeAll(keepingCapacity: true)
        return state.withLock { state in
            if state.isPaused || state.queue.isEmpty {
                state.isDelivering = false
                return false
            }
            swap(&batch, &state.queue)
            return true
        }
    }

    private func deliver(_ batch: [Item]) {
        var touched: [ObjectIdentifier: InMemorySubscription] = [:]
        for item in batch {
            switch item {
            case .message(let message, let subscriptions, let link):
                for subscription in subscriptions {
                    subscription.deliver(message)
                    touched[ObjectIdentifier(subscription)] = subscription
                }
                link?.release(message.size)
            case .end(let subscription, let error, let completion):
                if touched.removeValue(forKey: ObjectIdentifier(subscription)) != nil { subscription.endBatch() }
                subscription.end(error)
                completion?.send()
            case .marker(let completion):
                for subscription in touched.values { subscription.endBatch() }
                touched = [:]
                completion.send()
            }
        }
        for subscription in touched.values { subscription.endBatch() }
    }
}
