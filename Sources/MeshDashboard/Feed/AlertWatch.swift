import Logging
import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshLogging
import MeshMonitoring
import NIOCore

/// Reads what fires now: when an event about alerts was stored, when the stream is another one, and now and then while
/// browsers are connected. All browsers and requests share what was read.
final class AlertWatch: Sendable {
    /// How long events are gathered before it reads.
    private static let gathering: Duration = .milliseconds(100)
    /// The shortest time between two readings.
    private static let interval: Duration = .milliseconds(500)
    /// How old what was read may be while browsers are connected. No event says that a target takes alerts again.
    private static let maximumAge: Duration = .seconds(15)
    /// The first and the longest pause before the next attempt after an error.
    private static let delays = (first: Duration.seconds(1), last: Duration.seconds(15))
    /// How often it checks whether browsers are connected.
    private static let tick: Duration = .seconds(1)

    private struct State: Sendable {
        var digest: AlertDigest?
        /// What fires, counted for metrics; `nil` as the digest is.
        var counts: AlertCounts?
        /// The readings of the lease of the process that watches.
        var sightings = LeaseSightings()
        /// Goes up with every event about alerts.
        var wanted: UInt64 = 0
        /// The number up to which the digest has everything; `nil` before the first reading.
        var read: UInt64?
        /// When it last began to read.
        var readAt: ContinuousClock.Instant?
        /// Whether the last reading failed.
        var hasFailed = false
        /// What the browsers were told.
        var told: AlertDigest?

        /// Whether the digest lacks something, or is older than that.
        func isStale(_ maximumAge: Duration) -> Bool {
            guard read == wanted, let readAt else { return true }
            return .now >= readAt + maximumAge
        }
    }

    private let store: any EventStore
    private let table: any StateStore
    private let verification: SignatureVerification?
    private let maximumBytes: Int
    private let logger: Logger
    private let state = Locked(State())
    /// Wakes the task that reads.
    private let wishes: AsyncStream<Void>
    private let wish: AsyncStream<Void>.Continuation
    /// Lets one reading run at a time, for all requests that wait meanwhile.
    private let gate = QueryGate(maximumRunning: 1, maximumWaiting: 1_024)

    /// - Parameters:
    ///   - table: where the state of the alerts is saved.
    ///   - verification: which signatures count; `nil` for all.
    ///   - maximumBytes: how many bytes of alerts are sent at once.
    init(
        store: any EventStore,
        table: any StateStore,
        verification: SignatureVerification?,
        maximumBytes: Int,
        logger: Logger
    ) {
        self.store = store
        self.table = table
        self.verification = verification
        self.maximumBytes = maximumBytes
        self.logger = logger
        (wishes, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// The member `alerts` of the mesh: `null` while no process watches, and before it was read.
    var json: String { state.withLock { $0.digest?.json ?? "null" } }

    /// How many alerts fire; `nil` while no process watches, and before it was read.
    var counts: AlertCounts? { state.withLock { $0.counts } }

    /// What fires, for browsers.
    var notice: ByteBuffer { ServerSentEvent.buffer("alerts", json.utf8) }

    /// Notes that what fires may be different from now on.
    func changed() {
        state.withLock { $0.wanted += 1 }
        wish.yield()
    }

    /// Reads, unless what was read is complete and some seconds old at most. After an error it leaves that to ``run(telling:)``,
    /// so that requests do not wait for a server that does not answer.
    func refresh() async {
        _ = await read(if: { !$0.hasFailed && $0.isStale(.seconds(5)) })
    }

    /// Reads, and tells browsers, until the task is cancelled.
    func run(telling feed: EventFeed) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while (try? await Task.sleep(for: Self.tick)) != nil {
                    guard feed.clientCount > 0, self.state.withLock({ $0.isStale(Self.maximumAge) }) else { continue }
                    self.wish.yield()
                }
            }
            group.addTask { await self.follow(feed) }
            wish.yield()
        }
    }

    private func follow(_ feed: EventFeed) async {
        var delay = Self.delays.first
        for await _ in wishes {
            try? await Task.sleep(for: Self.gathering)
            let began = ContinuousClock.now
            let isRead = await read(if: { $0.isStale(Self.maximumAge) })
            tell(feed)
            // A mesh whose alerts take long to read is read less often.
            let pause = isRead ? max(Self.interval, MeshFollower.pause(after: .now - began)) : delay
            delay = isRead ? Self.delays.first : min(delay * 2, Self.delays.last)
            if (try? await Task.sleep(for: pause)) == nil { return }
            if !isRead { wish.yield() }
        }
    }

    /// Tells browsers what has changed.
    private func tell(_ feed: EventFeed) {
        let isNew = state.withLock { state in
            defer { state.told = state.digest }
            return state.told != state.digest
        }
        if isNew { feed.say(.notice(notice)) }
    }

    /// Reads what fires.
    ///
    /// - Parameter isDue: whether that is to be done; asked again after other readings.
    /// - Returns: whether it did not fail.
    private func read(if isDue: @Sendable (State) -> Bool) async -> Bool {
        guard state.withLock({ isDue($0) }) else { return true }
        do throws(MeshEventsError) {
            return try await gate.run { () async throws(MeshEventsError) in
                guard state.withLock({ isDue($0) }) else { return true }
                return await load()
            }
        } catch {
            return false
        }
    }

    private func load() async -> Bool {
        let wanted = state.withLock { state in
            state.readAt = .now
            return state.wanted
        }
        do throws(MeshEventsError) {
            let overview = try await AlertOverview.load(from: table, store: store, verification: verification)
            let isWatched = overview.position != nil || !overview.firing.isEmpty
            let sighting = state.withLock { $0.sightings.take(overview.lease) }
            note(
                isWatched ? AlertDigest(overview, sighting, maximumBytes: maximumBytes) : nil,
                isWatched ? AlertCounts(overview, sighting) : nil,
                upTo: wanted
            )
            return true
        } catch {
            logger.debug("the dashboard cannot read which alerts fire", [.error: "\(error)"])
            // Without a stream or a table none fires. Otherwise what was read last stands.
            guard error.code == .streamNotFound else {
                state.withLock { $0.hasFailed = true }
                return false
            }
            note(nil, nil, upTo: wanted)
            return true
        }
    }

    private func note(_ digest: AlertDigest?, _ counts: AlertCounts?, upTo wanted: UInt64) {
        let isOther = state.withLock { state in
            (state.digest, state.counts, state.read, state.hasFailed) = (digest, counts, wanted, false)
            return state.told != digest
        }
        // A request may have read it, or a scraper.
        if isOther { wish.yield() }
    }
}
