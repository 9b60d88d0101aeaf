import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import MeshMonitoring
import NIOCore

/// Follows the state of the mesh while its task runs: by the stream, or by live events while there is none. Begins anew
/// when the monitor fails.
///
/// The cost of telling browsers does not grow with the number of changes: changes are gathered and sent together, each
/// node once, and the whole mesh when many nodes have changed.
final class MeshFollower: Sendable {
    /// How long changes are gathered before they are sent.
    private static let gathering: Duration = .milliseconds(250)
    /// The shortest time between two sendings of the whole mesh.
    private static let wholeInterval: Duration = .seconds(1)
    /// The longest pause after a sending of the whole mesh, however long it took.
    static let maximumPause: Duration = .seconds(10)
    /// Up to this number of changed nodes each is sent by itself.
    private static let maximumChanged = 64
    /// How many changes may wait to be gathered.
    private static let bufferedUpdates = 256

    /// The source of the state of the mesh.
    private enum Source: Sendable {
        /// None yet, since that time.
        case nothing(since: Timestamp)
        case monitor(MeshMonitor)
        /// The last state of a monitor that has ended. Its time stands still.
        case former(MeshState)
        case live(LiveMesh)

        var state: MeshState {
            switch self {
            case .nothing(let begun):
                var state = MeshState()
                state.advance(to: begun)
                return state
            case .monitor(let monitor): return monitor.state
            case .former(let state): return state
            case .live(let live): return live.state
            }
        }

        var rejected: UInt64 {
            switch self {
            case .nothing, .former: 0
            case .monitor(let monitor): monitor.rejected
            case .live(let live): live.rejected
            }
        }
    }

    private struct Known: Sendable {
        var source = Source.nothing(since: .now)
        /// Why the source shows nothing new; `nil` when it does.
        var failure: MeshEventsError?
        /// Since when the source has shown nothing new.
        var since: Timestamp?
        /// Whether the first reading takes longer than a moment.
        var isReading = false
        /// Goes up with every change of the source.
        var number: UInt64 = 0
        /// How many events former sources have rejected.
        var rejected: UInt64 = 0

        /// Why and since when the state is not known; `nil` when it is.
        var problem: DashboardHealth.MeshProblem? {
            if let ignorance { return .init(reason: ignorance.message, since: nil) }
            return failure.map { .init(reason: $0.message, since: since) }
        }

        /// Why nothing at all is known of the state; `nil` when something is, or will be in a moment.
        var ignorance: MeshEventsError? {
            guard case .nothing = source else { return nil }
            return failure ?? (isReading ? MeshFollower.reading : nil)
        }

        /// Until when all changes are known; `nil` for now.
        var limit: Timestamp? {
            if case .nothing(let begun) = source { return begun }
            return since
        }
    }

    /// The changes that have not been sent.
    struct Changes: Sendable {
        private(set) var names: Set<String> = []
        private(set) var isWhole = false
        /// Whether the source has changed: then the whole mesh is sent at once.
        var isNew = false
        /// When the first of them came; `nil` when there are none.
        private var since: Timestamp?
        /// When the first of the changes came that are being sent; `nil` when none are.
        private var telling: Timestamp?

        /// Whether changes are being sent.
        var isTelling: Bool { telling != nil }

        /// Until when all changes have been sent.
        func toldUntil(_ now: Timestamp = .now) -> Timestamp { telling ?? since ?? now }

        /// Takes the changes that are to be sent now.
        mutating func take() -> Changes {
            defer {
                let began = since
                self = Changes()
                telling = began
            }
            return self
        }

        /// Notes that the taken changes have been sent.
        mutating func areTold() { telling = nil }

        /// Adds a change.
        ///
        /// - Parameter name: the node that has changed; `nil` for all of them.
        mutating func add(_ name: String?, at now: Timestamp = .now) {
            since = since ?? now
            isWhole = isWhole || name == nil || names.count >= MeshFollower.maximumChanged
            if isWhole { names = [] } else if let name { names.insert(name) }
        }
    }

    private struct Cache: Sendable {
        let digest: MeshDigest
        let generation: UInt64
        let validUntil: ContinuousClock.Instant
        let keptUntil: ContinuousClock.Instant
    }

    private let store: any EventStore
    /// Where a keeper saves the state of the mesh; `nil` for nowhere.
    private let table: (any StateStore)?
    /// Rejects what its node has not signed.
    let verification: SignatureVerification?
    private let maximumBytes: Int
    private let logger: Logger
    /// Is called when it has changed whether the state is known.
    private let onProblem: @Sendable (DashboardHealth.MeshProblem?) -> Void
    private let known = Locked(Known())
    private let changes = Locked(Changes())
    /// Wakes the task that sends changes.
    private let wishes: AsyncStream<Void>
    private let wish: AsyncStream<Void>.Continuation
    /// Goes up each time changes are sent to browsers.
    private let generation = Locked<UInt64>(0)
    private let cache = Locked<Cache?>(nil)
    private let texts = Locked(MeshDigest.Texts())
    /// Lets one digest be made at a time, for all requests that wait meanwhile.
    private let gate = QueryGate(maximumRunning: 1, maximumWaiting: 1_024)

    /// - Parameters:
    ///   - verification: checks signatures. Whatever its policy, an event that is not signed by its node changes
    ///     nothing.
    ///   - maximumBytes: how many bytes of nodes are sent at once.
    ///   - onProblem: is called when the state cannot be read, with the reason, and with `nil` when it can.
    init(
        store: any EventStore,
        saved table: (any StateStore)?,
        verification: SignatureVerification?,
        maximumBytes: Int,
        logger: Logger,
        onProblem: @escaping @Sendable (DashboardHealth.MeshProblem?) -> Void
    ) {
        self.store = store
        self.table = table
        self.verification = Self.rejecting(verification)
        self.maximumBytes = maximumBytes
        self.logger = logger
        self.onProblem = onProblem
        (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// The verification with which only what is signed counts.
    static func rejecting(_ verification: SignatureVerification?) -> SignatureVerification? {
        verification.map {
            var verification = $0
            verification.policy = .reject
            return verification
        }
    }

    /// How many events changed nothing because they are not signed by their node.
    var rejected: UInt64 { known.withLock { $0.rejected + $0.source.rejected } }

    /// Whether the state comes from the stream and has been sent to the browsers.
    var isFollowing: Bool {
        guard case .monitor = known.withLock({ $0.source }) else { return false }
        return changes.withLock { !$0.isWhole && !$0.isTelling }
    }

    /// Until when all changes have been sent.
    var toldUntil: Timestamp {
        let told = changes.withLock { $0.toldUntil() }
        return known.withLock { $0.limit }.map { min($0, told) } ?? told
    }

    /// The state now; `nil` before it was read, and while what is known of it is old because it cannot be read.
    var state: MeshState? {
        let source = known.withLock { $0.problem == nil ? $0.source : .nothing(since: .now) }
        if case .nothing = source { return nil }
        return source.state
    }

    /// Why the state of the mesh is not known at all; `nil` when it is.
    var failure: MeshEventsError? { known.withLock { $0.ignorance } }

    private static let reading = MeshEventsError(
        .persistenceUnavailable,
        "their events are still being read",
        isRetriable: true
    )

    // MARK: Digest

    /// The present state of the mesh, at first empty. A digest that takes long to make may be some seconds old.
    ///
    /// - Throws: as ``QueryGate/run(for:_:)``.
    func digest() async throws(MeshEventsError) -> MeshDigest {
        if let digest = cached() { return digest }
        return try await gate.run { () async throws(MeshEventsError) in
            if let digest = cached() { return digest }
            return newDigest().digest
        }
    }

    /// How long to wait before the next digest when the last one took `time`: four times as long, so that a fifth of
    /// the time goes into digests, but at most ``maximumPause``, so that the page stays up to date.
    static func pause(after time: Duration) -> Duration { min(time * 4, maximumPause) }

    /// Makes a digest, and caches it for further requests.
    private func newDigest() -> (digest: MeshDigest, time: Duration) {
        let began = ContinuousClock.now
        let number = generation.withLock { $0 }
        let (source, sourceNumber) = known.withLock { ($0.source, $0.number) }
        var texts = texts.withLock { $0 }
        let digest = MeshDigest(source.state, maximumBytes: maximumBytes, reusing: &texts)
        self.texts.withLock { [texts] in $0 = texts }
        let end = ContinuousClock.now
        // A digest that takes long is made less often.
        let kept = end - began > .milliseconds(500) ? end + Self.pause(after: end - began) : end
        let new = Cache(digest: digest, generation: number, validUntil: end + .seconds(1), keptUntil: kept)
        cache.withLock { if known.withLock({ $0.number }) == sourceNumber { $0 = new } }
        return (digest, end - began)
    }

    private func cached() -> MeshDigest? {
        let now = ContinuousClock.now
        let number = generation.withLock { $0 }
        return cache.withLock { cache in
            guard let cache else { return nil }
            return now < cache.keptUntil || cache.generation == number && now < cache.validUntil ? cache.digest : nil
        }
    }

    // MARK: Following

    /// Follows the mesh until the task is cancelled, and sends changes to the browsers of `feed`. For one call.
    func run(telling feed: EventFeed) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followStream() }
            group.addTask { await self.tellChanges(feed) }
        }
    }

    /// Takes the state from live events until there is a stream again.
    func show(_ live: LiveMesh) { turn(to: .live(live)) }

    /// Notes a change that is to be sent.
    func changed(_ change: MeshState.Change) { note(change.node) }

    /// Follows the mesh until the task is cancelled, without browsers to tell. For one call.
    func followStream() async {
        var delay = Self.delays.first
        while !Task.isCancelled {
            let number = known.withLock { $0.number }
            do {
                let monitor = try await startMonitor()
                defer { monitor.close() }
                delay = Self.delays.first
                let updates = monitor.updates()
                // If the source has changed meanwhile, the stream that this monitor has read is gone.
                guard turn(to: .monitor(monitor), from: number) else { continue }
                monitor.whenTroubled { [weak self] in self?.troubled($0, of: number + 1) }
                var missed: UInt64 = 0
                for try await update in updates {
                    let isWhole = updates.missed != missed || update.change.kinds.contains(.forgotten)
                    missed = updates.missed
                    note(isWhole ? nil : update.change.node)
                }
            } catch {
                if !Task.isCancelled, failed(error) { delay = min(delay * 2, Self.delays.last) }
            }
            try? await Task.sleep(for: delay)
        }
    }

    /// Reads what is stored. That is said when it takes longer than a moment: an empty mesh would be a wrong one.
    private func startMonitor() async throws -> MeshMonitor {
        defer { known.withLock { $0.isReading = false } }
        async let _ = sayThatItReads()
        return try await MeshMonitor.start(
            store: store,
            saved: table,
            verification: verification,
            configuration: .init(bufferedUpdates: Self.bufferedUpdates),
            logger: logger
        )
    }

    private func sayThatItReads() async {
        guard (try? await Task.sleep(for: Self.moment)) != nil else { return }
        known.withLock { $0.isReading = true }
        tellProblem()
    }

    /// How long reading may take without a word about it.
    private static let moment: Duration = .seconds(1)

    /// The first and the longest pause before the next attempt to follow the stream.
    private static let delays = (first: Duration.seconds(1), last: Duration.seconds(8))

    /// Notes that the state cannot be read from the stream; reports that once.
    ///
    /// - Returns: whether that is a problem: not while live events show the state, and not while there is no stream.
    private func failed(_ error: any Error) -> Bool {
        let failure =
            error as? MeshEventsError ?? MeshEventsError(.closed, "reading the state of the mesh has ended: \(error)")
        guard ![.streamNotFound, .streamMismatch].contains(failure.code) else {
            tellProblem()
            logger.debug("the dashboard cannot follow the mesh", [.error: "\(failure)"])
            return false
        }
        let (source, number) = known.withLock { ($0.source, $0.number) }
        let last: MeshState? = if case .monitor(let monitor) = source { monitor.state } else { nil }
        let (isProblem, isNew) = known.withLock { known in
            if case .live = known.source { return (false, false) }
            if let last, known.number == number {
                known.rejected += known.source.rejected
                known.source = .former(last)
            }
            defer { (known.failure, known.since) = (failure, known.since ?? .now) }
            return (true, known.failure?.message != failure.message)
        }
        if last != nil { cache.withLock { $0 = nil } }
        if isNew {
            logger.warning("the dashboard cannot follow the mesh", [.error: "\(failure)"])
            tellProblem()
        }
        return isProblem
    }

    /// Notes that the stream does not answer the monitor, which goes on, or that it answers again.
    ///
    /// - Parameter number: the number of that monitor's source.
    private func troubled(_ error: MeshEventsError?, of number: UInt64) {
        known.withLock { known in
            guard known.number == number else { return }
            known.failure = error
            // The last answer came before the time that is tolerated.
            known.since = error.map { _ in Timestamp.now.subtracting(StreamTrouble.tolerated) }
        }
        tellProblem()
    }

    private func tellProblem() { onProblem(known.withLock { $0.problem }) }

    /// Changes the source of the state.
    ///
    /// - Parameter number: the number that the present source must have; `nil` for any.
    /// - Returns: Whether the source was changed.
    @discardableResult
    private func turn(to source: Source, from number: UInt64? = nil) -> Bool {
        let former = known.withLock { known -> Source? in
            guard number == nil || known.number == number else { return nil }
            defer {
                known.rejected += known.source.rejected
                known.source = source
                known.number += 1
                (known.failure, known.since) = (nil, nil)
            }
            return known.source
        }
        guard let former else { return false }
        if case .monitor(let monitor) = former { monitor.close() }
        tellProblem()
        cache.withLock { $0 = nil }
        changes.withLock { changes in
            changes.add(nil)
            changes.isNew = true
        }
        wish.yield()
        return true
    }

    /// Notes a change and wakes the task that sends changes.
    ///
    /// - Parameter name: the node that has changed; `nil` for all of them.
    private func note(_ name: String?) {
        changes.withLock { $0.add(name) }
        wish.yield()
    }

    // MARK: Sending

    private func tellChanges(_ feed: EventFeed) async {
        for await _ in wishes {
            do {
                if !changes.withLock({ $0.isNew }) { try await Task.sleep(for: Self.gathering) }
                try await tell(feed)
            } catch {
                // Too many requests for the mesh at once, or the task was cancelled.
                changes.withLock { $0.areTold() }
                note(nil)
                try? await Task.sleep(for: Self.wholeInterval)
            }
        }
    }

    private func tell(_ feed: EventFeed) async throws {
        let gathered = changes.withLock { $0.take() }
        // A browser that connects now must get a newer digest than any made before this.
        generation.withLock { $0 += 1 }
        guard gathered.isWhole else {
            let state = known.withLock { $0.source }.state
            for name in gathered.names.sorted() {
                guard let node = state.node(name) else { continue }
                feed.say(.notice(ServerSentEvent.buffer("node", MeshDigest.json(node).text.utf8)))
            }
            return changes.withLock { $0.areTold() }
        }
        // A new digest, not a cached one: it must include the last change.
        let (digest, time) = try await gate.run { () async throws(MeshEventsError) in newDigest() }
        feed.say(.notice(ServerSentEvent.buffer("mesh", digest.json.utf8)))
        changes.withLock { $0.areTold() }
        try await Task.sleep(for: max(Self.wholeInterval, Self.pause(after: time)))
    }
}
