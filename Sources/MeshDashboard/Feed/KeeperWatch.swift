import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import MeshMonitoring
import NIOCore

/// Looks who keeps the state of the mesh and how far behind the saved state is: regularly while browsers are connected,
/// and when it is asked.
final class KeeperWatch: Sendable {
    /// How often it looks while a node keeps the state, and while that is not so or not known.
    private static let intervals = (kept: Duration.seconds(10), unkept: Duration.seconds(3))
    /// How often it checks whether browsers are connected.
    private static let tick: Duration = .seconds(1)

    private struct State: Sendable {
        var sightings = KeeperSightings()
        var report: KeeperReport?
        /// When it last began to look.
        var lookedAt: ContinuousClock.Instant?
    }

    private let store: any EventStore
    private let table: any StateStore
    private let verification: SignatureVerification?
    private let logger: Logger
    private let state = Locked(State())

    init(store: any EventStore, table: any StateStore, verification: SignatureVerification?, logger: Logger) {
        self.store = store
        self.table = table
        self.verification = verification
        self.logger = logger
    }

    /// What was found last; `nil` when nothing is known.
    var report: KeeperReport? { state.withLock { $0.report } }

    /// The report for browsers.
    var notice: ByteBuffer { ServerSentEvent.buffer("keeper", (report?.json ?? .null).description.utf8) }

    /// Looks, unless it did so not long ago.
    func refresh() async {
        let isDue = state.withLock { state in
            let interval = state.report?.keeper == nil ? Self.intervals.unkept : Self.intervals.kept
            if let lookedAt = state.lookedAt, .now < lookedAt + interval { return false }
            state.lookedAt = .now
            return true
        }
        guard isDue else { return }
        do throws(MeshEventsError) {
            let reading = try await KeeperReading(from: table, verification: verification, of: store)
            state.withLock { $0.report = $0.sightings.take(reading) }
        } catch {
            logger.debug("the dashboard cannot look who keeps the state of the mesh", [.error: "\(error)"])
            // Without a stream there is no state to keep. Otherwise the last report stands, with its time.
            if error.code == .streamNotFound { state.withLock { $0.report = nil } }
        }
    }

    /// Looks while browsers are connected, and tells them, until the task is cancelled.
    func run(telling feed: EventFeed) async {
        var told: KeeperReport?
        repeat {
            guard feed.clientCount > 0 else { continue }
            await refresh()
            let report = report
            guard report != told else { continue }
            told = report
            feed.say(.notice(notice))
        } while (try? await Task.sleep(for: Self.tick)) != nil
    }
}
