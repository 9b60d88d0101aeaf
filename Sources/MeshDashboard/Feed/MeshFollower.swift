import Locking
import Logging
import MeshEvents
import MeshLifecycle
import MeshLogging
import NIOCore

/// How the mesh is, for as long as the task runs: by the stream, or by what comes while there is none. Begins anew when
/// the monitor cannot go on.
///
/// What it costs to tell browsers of changes does not grow with how many there are: the changes of a moment are told
/// together, each node once, and all nodes at once when it is many.
final class MeshFollower: Sendable {
    /// How long changes are gathered before they are told.
    private static let gathering: Duration = .milliseconds(250)
    /// The whole mesh is told no more often than this.
    private static let wholeInterval: Duration = .seconds(1)
    /// It is told at least this often, however long it takes to tell.
    static let maximumPause: Duration = .seconds(10)
    /// Of so many changed nodes each is told by itself.
    private static let maximumChanged = 64
    /// Changes that may wait to be gathered.
    private static let bufferedUpdates = 256

    /// What the mesh is known by.
    private enum Source: Sendable {
        case nothing
        case monitor(MeshMonitor)
        case live(LiveMesh)

        var state: MeshState {
            switch self {
            case .nothing:
                // What time it is.
                var state = MeshState()
                state.advance(to: .now)
                return state
            case .monitor(let monitor): return monitor.state
            case .live(let live): return live.state
            }
        }

        var rejected: UInt64 {
            switch self {
            case .nothing: 0
            case .monitor(let monitor): monitor.rejected
            case .live(let live): live.rejected
            }
        }
    }

    private struct Known: Sendable {
        var source = Source.nothing
        /// Goes up with every other source.
        var number: UInt64 = 0
        /// How many events former sources have rejected.
        var rejected: UInt64 = 0
    }

    /// What has changed and has not been told.
    struct Changes: Sendable {
        private(set) var names: Set<String> = []
        private(set) var isWhole = false
        /// Whether it is the whole because it is known by something else: that is told at once.
        var isNew = false
        /// When the first of them came; `nil` when there are none.
        private var since: Timestamp?
        /// The same of those that are being told.
        private var telling: Timestamp?

        /// Whether something is being told.
        var isTelling: Bool { telling != nil }

        /// Up to when all changes have been told.
        func toldUntil(_ now: Timestamp = .now) -> Timestamp { telling ?? since ?? now }

        /// Hands over what is to be told now.
        mutating func take() -> Changes {
            defer {
                let began = since
                self = Changes()
                telling = began
            }
            return self
        }

        /// What was handed over has been told.
        mutating func areTold() { telling = nil }

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
    private let verification: SignatureVerification?
    private let maximumBytes: Int
    private let logger: Logger
    private let known = Locked(Known())
    private let changes = Locked(Changes())
    /// Wakes who tells of changes.
    private let wishes: AsyncStream<Void>
    private let wish: AsyncStream<Void>.Continuation
    /// Goes up each time browsers are told of changes.
    private let generation = Locked<UInt64>(0)
    private let cache = Locked<Cache?>(nil)
    private let texts = Locked(MeshDigest.Texts())
    /// One digest is made at a time, for all who ask meanwhile.
    private let gate = QueryGate(maximumRunning: 1, maximumWaiting: 1_024)

    /// - Parameters:
    ///   - verification: looks at signatures. Whatever its policy, an event that is not signed by its node changes
    ///     nothing.
    ///   - maximumBytes: how many bytes of nodes are told at once.
    init(store: any EventStore, verification: SignatureVerification?, maximumBytes: Int, logger: Logger) {
        self.store = store
        self.verification = verification.map {
            var verification = $0
            verification.policy = .reject
            return verification
        }
        self.maximumBytes = maximumBytes
        self.logger = logger
        (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// How many events changed nothing because they are not signed by their node.
    var rejected: UInt64 { known.withLock { $0.rejected + $0.source.rejected } }

    /// Whether the mesh is known by the stream, and has been told.
    var isFollowing: Bool {
        guard case .monitor = known.withLock({ $0.source }) else { return false }
        return changes.withLock { !$0.isWhole && !$0.isTelling }
    }

    /// Up to when all changes have been told.
    var toldUntil: Timestamp { changes.withLock { $0.toldUntil() } }

    // MARK: The whole

    /// The mesh as it is now; empty before anything is known. One that takes long to make may be some seconds old.
    ///
    /// - Throws: as ``QueryGate/run(_:)``.
    func digest() async throws(MeshEventsError) -> MeshDigest {
        if let digest = cached() { return digest }
        return try await gate.run { () async throws(MeshEventsError) in
            if let digest = cached() { return digest }
            return newDigest().digest
        }
    }

    /// How long a digest that took `time` to make is told before the next one is made: four times as long, so that
    /// telling takes a fifth of the time, but never so long that what is shown is out of date.
    static func pause(after time: Duration) -> Duration { min(time * 4, maximumPause) }

    /// Makes a digest, and keeps it for those who ask.
    private func newDigest() -> (digest: MeshDigest, time: Duration) {
        let began = ContinuousClock.now
        let number = generation.withLock { $0 }
        let (source, sourceNumber) = known.withLock { ($0.source, $0.number) }
        var texts = texts.withLock { $0 }
        let digest = MeshDigest(source.state, maximumBytes: maximumBytes, reusing: &texts)
        self.texts.withLock { [texts] in $0 = texts }
        let end = ContinuousClock.now
        // A mesh that takes long to tell is told less often.
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

    // MARK: Knowing

    /// Follows the mesh until the task is cancelled, and tells the browsers of `feed`. For one call.
    func run(telling feed: EventFeed) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followStream() }
            group.addTask { await self.tellChanges(feed) }
        }
    }

    /// Shows the mesh as it is heard, until it is known by a stream again.
    func show(_ live: LiveMesh) { turn(to: .live(live)) }

    /// Takes note that there is something to tell.
    func changed(_ change: MeshState.Change) { note(change.node) }

    private func followStream() async {
        while !Task.isCancelled {
            let number = known.withLock { $0.number }
            do {
                let monitor = try await MeshMonitor.start(
                    store: store,
                    verification: verification,
                    configuration: .init(bufferedUpdates: Self.bufferedUpdates),
                    logger: logger
                )
                defer { monitor.close() }
                let updates = monitor.updates()
                // The stream that it has read may be gone, and known to be.
                guard turn(to: .monitor(monitor), from: number) else { continue }
                var missed: UInt64 = 0
                for try await update in updates {
                    let isWhole = updates.missed != missed || update.change.kinds.contains(.forgotten)
                    missed = updates.missed
                    note(isWhole ? nil : update.change.node)
                }
            } catch {
                logger.debug("the dashboard cannot follow the mesh", [.error: "\(error)"])
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Knows the mesh by something else from now on.
    ///
    /// - Parameter number: the number of the source that it was; `nil` for any.
    /// - Returns: Whether it was that one.
    @discardableResult
    private func turn(to source: Source, from number: UInt64? = nil) -> Bool {
        let former = known.withLock { known -> Source? in
            guard number == nil || known.number == number else { return nil }
            defer {
                known.rejected += known.source.rejected
                known.source = source
                known.number += 1
            }
            return known.source
        }
        guard let former else { return false }
        if case .monitor(let monitor) = former { monitor.close() }
        cache.withLock { $0 = nil }
        changes.withLock { changes in
            changes.add(nil)
            changes.isNew = true
        }
        wish.yield()
        return true
    }

    /// - Parameter name: the node that has changed; `nil` for all of them.
    private func note(_ name: String?) {
        changes.withLock { $0.add(name) }
        wish.yield()
    }

    // MARK: Telling

    private func tellChanges(_ feed: EventFeed) async {
        for await _ in wishes {
            do {
                if !changes.withLock({ $0.isNew }) { try await Task.sleep(for: Self.gathering) }
                try await tell(feed)
            } catch {
                // Too many ask for the mesh at once, or the task has been cancelled.
                changes.withLock { $0.areTold() }
                note(nil)
                try? await Task.sleep(for: Self.wholeInterval)
            }
        }
    }

    private func tell(_ feed: EventFeed) async throws {
        let gathered = changes.withLock { $0.take() }
        // A browser that comes now asks for a newer digest than one made before this.
        generation.withLock { $0 += 1 }
        guard gathered.isWhole else {
            let state = known.withLock { $0.source }.state
            for name in gathered.names.sorted() {
                guard let node = state.node(name) else { continue }
                feed.say(.notice(ServerSentEvent.buffer("node", MeshDigest.json(node).text.utf8)))
            }
            return changes.withLock { $0.areTold() }
        }
        // As it is at this moment: the last change may be among those that are told so.
        let (digest, time) = try await gate.run { () async throws(MeshEventsError) in newDigest() }
        feed.say(.notice(ServerSentEvent.buffer("mesh", digest.json.utf8)))
        changes.withLock { $0.areTold() }
        try await Task.sleep(for: max(Self.wholeInterval, Self.pause(after: time)))
    }
}
