import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import NIOCore

/// One replay of the stream for all browsers, and the index for the histogram; while there is no stream, live events.
final class EventFeed: Sendable {
    private struct State {
        /// The newest sequence that was passed to the clients; `nil` before the stream is followed.
        var position: UInt64?
        /// When the stream of that sequence was created.
        var created: Timestamp?
        var clients: [Int: FeedClient] = [:]
        var lastClient = 0
        var index: EventIndex
        /// The position with its stream.
        var place: StreamPosition? { position.map { StreamPosition($0, created: created) } }
        /// The number of the task that reads the earlier stored events into the index. Those before it have no effect:
        /// they read a stream that was replaced, or were cancelled with their connection.
        var filling = 0
        /// The time without a stream; `nil` when there is one, or that is not known.
        var live: Live?
        var isEnded = false

        /// The start of a client that joins now.
        var start: Start {
            if let live { return .unkept(live) }
            return place.map { .after($0) } ?? .notBegun
        }

        /// Empties the index: the next events are of another stream, or of none.
        mutating func clearIndex() {
            index.removeAll()
            filling += 1
        }
    }

    /// The position at which a client begins.
    enum Start: Sendable {
        /// Not known yet: the client gets it later as ``FeedItem/began(after:)``.
        case notBegun
        /// After this sequence; later events are queued in the client.
        case after(StreamPosition)
        /// With live events: there is no stream.
        case unkept(Live)
    }

    /// A time without a stream.
    struct Live: Sendable {
        /// When it began, by this machine's clock.
        let since: Timestamp
        /// How many events have come since then.
        var count: UInt64 = 0
    }

    private let store: any EventStore
    private let verification: SignatureVerification?
    private let logger: Logger
    private let maximumClients: Int
    private let bufferedEvents: Int
    private let bufferedBytes: Int
    /// Whether a new client always has room, because the oldest one is ended for it.
    private let oldestGivesWay: Bool
    /// Is called when an event about alerts was stored, or may have been, and when the stream is another one.
    private let onAlerts: @Sendable () -> Void
    /// Is called with each event that comes while it runs.
    private let onEvent: @Sendable (Event) -> Void
    /// Is called with the source of the events when it changes.
    private let onSource: @Sendable (EventFeed, DashboardHealth.Source) -> Void
    private let state: Locked<State>
    /// Reports that the stream which is followed does not answer.
    let trouble = StreamTrouble()

    /// - Parameter indexed: how many events the index for the histogram holds; 0 for none.
    init(
        store: any EventStore,
        verification: SignatureVerification?,
        configuration: Dashboard.Configuration,
        logger: Logger,
        indexed: Int = EventIndex.standardCapacity,
        onAlerts: @escaping @Sendable () -> Void = {},
        onEvent: @escaping @Sendable (Event) -> Void = { _ in },
        onSource: @escaping @Sendable (EventFeed, DashboardHealth.Source) -> Void
    ) {
        self.store = store
        self.verification = verification
        self.logger = logger
        self.onAlerts = onAlerts
        self.onEvent = onEvent
        state = Locked(State(index: EventIndex(capacity: indexed)))
        self.onSource = onSource
        maximumClients = configuration.maximumClients
        bufferedEvents = configuration.bufferedEvents
        bufferedBytes = configuration.bufferedBytes
        // Without a login, any program on this machine can take all places; it must not keep them.
        oldestGivesWay = configuration.token == nil
    }

    // MARK: Clients

    var clientCount: Int { state.withLock { $0.clients.count } }

    /// Whether there is room for another client.
    var hasRoom: Bool { state.withLock { !$0.isEnded && (oldestGivesWay || $0.clients.count < maximumClients) } }

    /// Adds a client; `nil` when there are too many and none is ended for it.
    ///
    /// - Returns: The client, in which all events after `start` are queued.
    func join() -> (id: Int, client: FeedClient, start: Start)? {
        let (joined, oldest) = state.withLock {
            state -> ((id: Int, client: FeedClient, start: Start)?, FeedClient?) in
            guard !state.isEnded else { return (nil, nil) }
            var oldest: FeedClient?
            if state.clients.count >= maximumClients {
                guard oldestGivesWay, let first = state.clients.keys.min() else { return (nil, nil) }
                oldest = state.clients.removeValue(forKey: first)
            }
            let client = FeedClient(maximumItems: bufferedEvents, maximumBytes: bufferedBytes)
            state.lastClient += 1
            state.clients[state.lastClient] = client
            return ((state.lastClient, client, state.start), oldest)
        }
        oldest?.giveWay(saying: .notice(ServerSentEvent.buffer("closed", Self.gaveWay.json.utf8)))
        return joined
    }

    private static let gaveWay: EventData = [
        "code": "tooManyClients", "message": "Too many browsers are connected; this one was ended for a newer one.",
    ]

    func leave(_ id: Int) { state.withLock { _ = $0.clients.removeValue(forKey: id) } }

    /// Sends all clients an item that has no position in the stream.
    func say(_ item: FeedItem) {
        let clients = state.withLock { Array($0.clients.values) }
        for client in clients { client.offer(item) }
    }

    /// The newest sequence that was passed to the clients; `nil` before the stream is followed.
    var position: UInt64? { state.withLock { $0.position } }

    func histogram(_ filter: PageFilter, _ range: Range<Int64>, buckets: Int) async throws(MeshEventsError)
        -> Histogram
    {
        let live = state.withLock { state in state.live.map { (state.index, $0) } }
        if let (index, live) = live { return index.histogram(filter, range, buckets: buckets, of: (1, live.count)) }
        let first = try await firstSequence()
        // Both in one step: the index contains exactly the events up to the position.
        let (index, position) = state.withLock { ($0.index, $0.position ?? 0) }
        return index.histogram(filter, range, buckets: buckets, of: (first, position))
    }

    /// The first sequence that the stream still holds. It is 1 for a stream that was just deleted: the clients are told
    /// of that in another way.
    private func firstSequence() async throws(MeshEventsError) -> UInt64 {
        do {
            return try await store.state().firstSequence
        } catch {
            guard error.code == .streamNotFound, state.withLock({ $0.position ?? $0.live?.count }) != nil else {
                throw error
            }
            return 1
        }
    }

    /// Ends all clients and admits no more.
    func end() {
        let clients = state.withLock { state in
            state.isEnded = true
            defer { state.clients = [:] }
            return Array(state.clients.values)
        }
        for client in clients { client.end() }
    }

    // MARK: Reading

    /// Follows the stream until the task is cancelled; reports errors and tries again.
    ///
    /// - Parameter live: the source of live events while there is no stream; `nil` for none.
    func run(live: LiveSource?) async {
        var isAnother = false
        var delay = Duration.milliseconds(250)
        var seam: StreamPosition?
        var failing: ContinuousClock.Instant?
        while !Task.isCancelled {
            let began = ContinuousClock.now
            do throws(MeshEventsError) {
                try await follow(&isAnother, from: seam)
                return
            } catch {
                seam = nil
                if error.code == .closed, Task.isCancelled { return }
                isAnother = isAnother || error.code == .streamNotFound || error.code == .streamMismatch
                logger.debug("the dashboard cannot follow the stream", [.error: "\(error)"])
                if ContinuousClock.now - began > Self.unavailableTolerated { failing = nil }
                let since = failing ?? .now
                failing = since
                if let live, keepsNothing(error, since: since) {
                    do {
                        let found = try await live.run(for: self)
                        seam = StreamPosition(found.lastSequence, created: found.created)
                        continue
                    } catch {
                        if Task.isCancelled { return }
                        logger.debug("the dashboard cannot hear what comes", [.error: "\(error)"])
                    }
                }
                onSource(self, .none(Self.explanation(error)))
            }
            delay = ContinuousClock.now - began > .seconds(10) ? .milliseconds(250) : min(delay * 2, .seconds(4))
            try? await Task.sleep(for: delay)
        }
    }

    /// How long a server without JetStream, or without the right to read the stream, may be one that is just starting.
    private static let unavailableTolerated: Duration = .seconds(3)

    /// Whether the error means that no stream keeps the events of this mesh.
    private func keepsNothing(_ error: MeshEventsError, since failing: ContinuousClock.Instant) -> Bool {
        switch error.code {
        case .streamNotFound: true
        case .persistenceUnavailable, .permissionDenied: ContinuousClock.now - failing > Self.unavailableTolerated
        default: false
        }
    }

    private static func explanation(_ error: MeshEventsError) -> String {
        guard error.code == .streamNotFound else { return error.message }
        return
            "No events are kept yet: start a node with `mesh-events serve`, or emit one with `mesh-events emit --ack`."
    }

    /// Follows the stream.
    ///
    /// - Parameter seam: the last event that was shown live, when it was in the stream; later ones are replayed.
    private func follow(_ isAnother: inout Bool, from seam: StreamPosition?) async throws(MeshEventsError) {
        let found = try await store.state()
        let last = found.lastSequence
        let (known, created) = state.withLock { ($0.position, $0.created) }
        if created != nil, created != found.created { isAnother = true }
        if let known, isAnother || known > last { reset(after: last, created: found.created) }
        state.withLock { $0.created = found.created }
        let place = seam.flatMap { $0.created == found.created ? $0.sequence : nil }
        let start = min(place ?? (isAnother ? last : known ?? last), last)
        let replay = try await EventReplay(store: store, verification: verification, logger: logger)
            .open(from: .sequence(start.next))
        defer { replay.cancel() }
        isAnother = false
        begin(after: start)
        onSource(self, .stream)
        defer { trouble.answered() }
        replay.whenTroubled { [weak self] error in
            guard let self else { return }
            self.trouble.note(error, reader: 0)
            self.onSource(self, error.map { .silentStream($0.reason) } ?? .stream)
        }
        // Not a child task: a reset replaces it.
        var filling = Task { await fill(before: start.next) }
        defer { filling.cancel() }
        for try await element in replay {
            switch element {
            case .event(let stored): take(stored)
            case .gap(let gap): handOver(.gap(gap), position: gap.sequences.upperBound)
            case .reset(let another):
                filling.cancel()
                reset(after: another.next - 1, created: another.created)
                filling = Task { await fill(before: another.next) }
            case .caughtUp: break
            }
        }
        if !Task.isCancelled { throw MeshEventsError(.closed, "the replay of the stream has ended") }
    }

    private func take(_ stored: StoredEvent) {
        onEvent(stored.event)
        let (clients, created) = state.withLock { state in
            state.position = stored.sequence
            state.index.append(stored)
            return (Array(state.clients.values), state.created)
        }
        defer { if stored.event.type.rawValue.hasPrefix("alert.") { onAlerts() } }
        guard !clients.isEmpty, let item = Self.item(stored, created: created) else { return }
        for client in clients { client.offer(item) }
    }

    /// The item of an event.
    ///
    /// - Parameter created: when its stream was created.
    static func item(_ stored: StoredEvent, created: Timestamp? = nil) -> FeedItem? {
        guard let json = try? EventJSONFormatter.summary(stored) else { return nil }
        return .event(stored, ServerSentEvent.buffer(id: StreamPosition(stored.sequence, created: created), json))
    }

    private func begin(after start: UInt64) {
        // Under the lock, so that a client that joins meanwhile either has its start or is told it.
        let (clients, place) = state.withLock { state -> ([FeedClient], StreamPosition) in
            let place = StreamPosition(start, created: state.created)
            guard state.position == nil else { return ([], place) }
            if state.live != nil {
                state.live = nil
                state.clearIndex()
            }
            state.position = start
            return (Array(state.clients.values), place)
        }
        for client in clients { client.offer(.began(after: place)) }
        onAlerts()
    }

    /// Goes on with another stream.
    ///
    /// - Parameter created: when that stream was created.
    private func reset(after last: UInt64, created: Timestamp?) {
        state.withLock { state in
            state.clearIndex()
            state.created = created
        }
        handOver(.reset(after: StreamPosition(last, created: created)), position: last)
    }

    private func handOver(_ item: FeedItem, position: UInt64) {
        let clients = state.withLock { state in
            state.position = position
            return Array(state.clients.values)
        }
        for client in clients { client.offer(item) }
        onAlerts()
    }

    // MARK: Live events

    /// Switches to live events because there is no stream, until a stream is followed.
    func beginLive() {
        let live = Live(since: .now)
        let clients = state.withLock { state in
            (state.position, state.created, state.live) = (nil, nil, live)
            state.clearIndex()
            return Array(state.clients.values)
        }
        for client in clients { client.offer(.unkept(live)) }
        onSource(self, .live)
        onAlerts()
    }

    /// Takes in a live event that no stream keeps.
    func take(live event: Event) {
        let received = Timestamp.now
        onEvent(event)
        let (clients, number) = state.withLock { state in
            state.live?.count += 1
            let number = state.live?.count ?? 0
            state.index.append(StoredEvent(event: event, sequence: number, storedAt: received))
            return (Array(state.clients.values), number)
        }
        guard !clients.isEmpty, let json = try? EventJSONFormatter.live(event, number: number, received: received)
        else {
            return
        }
        let item = FeedItem.live(event, ServerSentEvent.buffer("live", json))
        for client in clients { client.offer(item) }
    }

    /// Tells clients that an unknown number of live events may be lost; does nothing while there is a stream.
    func missLive() {
        guard let live = state.withLock({ $0.live }) else { return }
        let json: EventData = ["live": JSONValue(live.count), "count": .null]
        say(.notice(ServerSentEvent.buffer("missed", json.json.utf8)))
    }

    /// Tells clients that this number of live events was lost.
    func miss(live count: UInt64) {
        let number = state.withLock { state in
            state.live?.count += count
            return state.live?.count ?? 0
        }
        let json: EventData = ["live": JSONValue(number), "count": JSONValue(count)]
        say(.notice(ServerSentEvent.buffer("missed", json.json.utf8)))
    }

    // MARK: The index

    /// Reads the earlier stored events into the index, once and as one replay, from the oldest event for which the
    /// index has room.
    private func fill(before end: UInt64) async {
        let begun = state.withLock { state -> (capacity: Int, end: UInt64, number: Int)? in
            guard !state.index.isComplete else { return nil }
            state.filling += 1
            state.index.beginFilling()
            // Of an earlier connection the index has newer events already.
            return (state.index.capacity, min(end, state.index.firstNewer ?? end), state.filling)
        }
        guard let (capacity, end, number) = begun else { return }
        do {
            let first = try await store.state().firstSequence
            let start = max(first, 1, end - min(end, UInt64(capacity)))
            if start < end { try await fill(start..<end, number) }
            state.withLock { if $0.filling == number { $0.index.isComplete = true } }
        } catch {
            // Tried again the next time the stream is followed.
            logger.debug("the dashboard cannot read what is stored", [.error: "\(error)"])
        }
    }

    private func fill(_ range: Range<UInt64>, _ number: Int) async throws {
        let replay = try await EventReplay(store: store, verification: verification, logger: logger)
            .open(from: .sequence(range.lowerBound))
        defer { replay.cancel() }
        for try await element in replay {
            switch element {
            case .event(let stored):
                guard stored.sequence < range.upperBound else { return }
                state.withLock { if $0.filling == number { $0.index.fill(stored) } }
            case .gap(let gap):
                if gap.sequences.upperBound >= range.upperBound - 1 { return }
            // At a reset the main replay begins anew and starts a new filling.
            case .caughtUp, .reset: return
            }
        }
        try Task.checkCancellation()
    }
}
