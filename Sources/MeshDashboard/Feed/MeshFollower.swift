import Locking
import Logging
import MeshEvents
import MeshLifecycle
import MeshLogging
import NIOCore

/// How the mesh is, for as long as the task runs; begins anew when the monitor cannot go on.
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

    private struct Changes {
        var names: Set<String> = []
        var isWhole = false
    }

    private struct Cache {
        let digest: MeshDigest
        let generation: UInt64
        let validUntil: ContinuousClock.Instant
        let keptUntil: ContinuousClock.Instant
    }

    private let store: any EventStore
    private let verification: SignatureVerification?
    private let maximumBytes: Int
    private let logger: Logger
    private let monitor = Locked<MeshMonitor?>(nil)
    private let changes = Locked(Changes())
    /// Goes up each time browsers are told of changes.
    private let generation = Locked<UInt64>(0)
    private let cache = Locked<Cache?>(nil)
    private let texts = Locked(MeshDigest.Texts())
    /// One digest is made at a time, for all who ask meanwhile.
    private let gate = QueryGate(maximumRunning: 1, maximumWaiting: 1_024)

    /// - Parameters:
    ///   - verification: looks at signatures. Whatever its policy, an event that is not signed by its node changes nothing.
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
    }

    /// How many events changed nothing because they are not signed by their node.
    var rejected: UInt64 { monitor.withLock { $0 }?.rejected ?? 0 }

    /// Whether the mesh is known by the stream.
    var isFollowing: Bool { monitor.withLock { $0 != nil } }

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
        let state = monitor.withLock { $0 }?.state ?? Self.unknown
        var texts = texts.withLock { $0 }
        let digest = MeshDigest(state, maximumBytes: maximumBytes, reusing: &texts)
        self.texts.withLock { [texts] in $0 = texts }
        let end = ContinuousClock.now
        // A mesh that takes long to tell is told less often.
        let kept = end - began > .milliseconds(500) ? end + Self.pause(after: end - began) : end
        cache.withLock {
            $0 = Cache(digest: digest, generation: number, validUntil: end + .seconds(1), keptUntil: kept)
        }
        return (digest, end - began)
    }

    /// What is known before there is a stream: what time it is.
    private static var unknown: MeshState {
        var state = MeshState()
        state.advance(to: .now)
        return state
    }

    private func cached() -> MeshDigest? {
        let now = ContinuousClock.now
        let number = generation.withLock { $0 }
        return cache.withLock { cache in
            guard let cache else { return nil }
            return now < cache.keptUntil || cache.generation == number && now < cache.validUntil ? cache.digest : nil
        }
    }

    /// Follows the mesh until the task is cancelled, and tells the browsers of `feed`.
    func run(telling feed: EventFeed) async {
        while !Task.isCancelled {
            do {
                let started = try await MeshMonitor.start(
                    store: store,
                    verification: verification,
                    configuration: .init(bufferedUpdates: Self.bufferedUpdates),
                    logger: logger
                )
                defer { started.close() }
                let updates = started.updates()
                monitor.withLock { $0 = started }
                try await tellWhole(feed)
                try await follow(updates, started, feed)
            } catch {
                logger.debug("the dashboard cannot follow the mesh", [.error: "\(error)"])
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func follow(_ updates: MeshUpdates, _ monitor: MeshMonitor, _ feed: EventFeed) async throws {
        let (signals, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var missed: UInt64 = 0
                for try await update in updates {
                    self.gather(
                        update.node.name,
                        isWhole: updates.missed != missed || update.change.kinds.contains(.forgotten)
                    )
                    missed = updates.missed
                    continuation.yield()
                }
            }
            group.addTask {
                for await _ in signals {
                    try await Task.sleep(for: Self.gathering)
                    try await self.tell(monitor, feed)
                }
            }
            defer {
                continuation.finish()
                group.cancelAll()
            }
            try await group.next()
        }
    }

    private func gather(_ name: String, isWhole: Bool) {
        changes.withLock { changes in
            changes.isWhole = changes.isWhole || isWhole || changes.names.count >= Self.maximumChanged
            if changes.isWhole { changes.names = [] } else { changes.names.insert(name) }
        }
    }

    private func tell(_ monitor: MeshMonitor, _ feed: EventFeed) async throws {
        let gathered = changes.withLock { changes in
            defer { changes = Changes() }
            return changes
        }
        if gathered.isWhole {
            let time = try await tellWhole(feed)
            return try await Task.sleep(for: max(Self.wholeInterval, Self.pause(after: time)))
        }
        // A browser that comes now asks for a newer digest than one made before this.
        generation.withLock { $0 += 1 }
        let state = monitor.state
        for name in gathered.names.sorted() {
            guard let node = state.node(name) else { continue }
            feed.say(.notice(ServerSentEvent.buffer("node", MeshDigest.json(node).text.utf8)))
        }
    }

    /// Tells all of it, as it is at this moment: the last change may be among those that are told so.
    ///
    /// - Returns: How long it took.
    @discardableResult
    private func tellWhole(_ feed: EventFeed) async throws -> Duration {
        generation.withLock { $0 += 1 }
        let (digest, time) = try await gate.run { () async throws(MeshEventsError) in newDigest() }
        feed.say(.notice(ServerSentEvent.buffer("mesh", digest.json.utf8)))
        return time
    }
}
