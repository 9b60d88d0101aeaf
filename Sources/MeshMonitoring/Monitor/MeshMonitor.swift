public import Logging
public import MeshEvents

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

/// Keeps the state of the mesh: it folds the stream's history into a ``MeshState`` and follows new events.
///
/// ```swift
/// let monitor = try await MeshMonitor.start(store: JetStreamStore(connection))
/// print(monitor.state.summary)
/// for try await update in monitor.updates() where update.change.kinds.contains(.status) {
///     print(update.node.name, update.node.status)
/// }
/// ```
///
/// It reads the stream and creates and changes nothing. It recovers by itself from lost connections and restarts of the
/// server. When the stream is gone or another one after that, it begins anew with the stream that exists. While the
/// server cannot be reached, or the stream does not answer, no events arrive, so that nodes become unreachable for that
/// time. Whether a node is unreachable is decided by the server's clock, known from the times of storing: this
/// machine's clock may be wrong.
///
/// The monitor closes when the last reference to it and to its updates is released.
public final class MeshMonitor: Sendable {
    /// The limits of what a monitor keeps.
    public struct Configuration: Sendable {
        /// How long the monitor remembers removed tools, and nodes that left, are unreachable or silent. Default: a week.
        /// Without a saved state it knows no more than the stream keeps, which is 24 hours by default.
        public var retention: Duration
        /// How many changes may wait for each reader of ``MeshMonitor/updates()``, from 1. Default: 4096.
        public var bufferedUpdates: Int
        /// How many bytes those changes may take for each reader, the events that caused them included, from 1. The
        /// newest change is always kept. Default: 16 MiB.
        public var bufferedBytes: Int
        /// How many nodes and tools are remembered, and how many bytes of their texts and data.
        public var limits: MeshState.Limits

        /// Creates a configuration; a number below its range becomes the least in it.
        public init(
            retention: Duration = .seconds(7 * 86_400),
            bufferedUpdates: Int = 4_096,
            bufferedBytes: Int = 16 << 20,
            limits: MeshState.Limits = MeshState.Limits()
        ) {
            self.retention = retention
            self.bufferedUpdates = max(1, bufferedUpdates)
            self.bufferedBytes = max(1, bufferedBytes)
            self.limits = limits
        }
    }

    /// The patterns of the events that change the state of the mesh.
    public static let patterns: [EventPattern] = ["events.node.>", "events.tool.>"]

    private let core: MonitorCore
    private let replays: MonitorReplays
    private let reading: Task<Void, Never>
    /// Why the saved state could not be read when the monitor started; `nil` when it could, and when none was asked for.
    public let savedStateFailure: MeshEventsError?

    /// Starts a monitor; returns when the monitor has taken in all stored events.
    ///
    /// - Parameters:
    ///   - store: the store to read; it need not have been opened.
    ///   - saved: where a keeper saves the state; with it only the newest events are read, and what the stream has
    ///     dropped is known. `nil`, the default, reads the whole stream. So does a table that does not exist, cannot be
    ///     read (``savedStateFailure`` says why), is about another stream, or is not complete. With a `verification` that
    ///     rejects, only entries count that are signed by a node which is trusted to keep the state.
    ///   - verification: checks the signatures of events; `nil` checks none. With the policy `reject`, its default, an
    ///     event that is not signed by its node changes nothing and is counted by ``rejected``.
    ///   - configuration: the limits of what the monitor keeps.
    ///   - clock: measures how long to wait until a node is unreachable.
    ///   - now: the time of day, on the same clock.
    ///   - timeout: how long no data may arrive while the stored events are read.
    ///   - logger: logs malformed messages and rejected events.
    /// - Throws: `timeout`, and as ``/MeshEvents/EventReplay``: `streamNotFound`, `persistenceUnavailable`,
    ///   `permissionDenied` …
    public static func start(
        store: some EventStore,
        saved: (any StateStore)? = nil,
        verification: SignatureVerification? = nil,
        configuration: Configuration = Configuration(),
        clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Timestamp = { .now },
        timeout: Duration = .seconds(30),
        logger: Logger = Logger(label: "mesh-events.monitor")
    ) async throws(MeshEventsError) -> MeshMonitor {
        let replays = MonitorReplays(
            store,
            saved: saved.map { SignedTable($0, verification: verification) },
            limits: configuration.limits,
            EventReplay(store: store, verification: verification, logger: logger),
            patterns: patterns
        )
        // One replay for each pattern, so that the server does not send user events.
        let beginning = try await replays.open(timeout: timeout)
        let core = MonitorCore(configuration, replays: patterns.count, beginning: beginning, clock: clock, now: now)
        let monitor = MeshMonitor(core, replays, savedStateFailure: beginning.failure)
        try await waitUntilCaughtUp(core, store, timeout)
        if let failure = core.failure { throw failure }
        return monitor
    }

    /// Waits until all stored events are taken in. The timeout starts again whenever the store has received data.
    private static func waitUntilCaughtUp(
        _ core: MonitorCore,
        _ store: some EventStore,
        _ timeout: Duration
    ) async throws(MeshEventsError) {
        var (moved, end) = (store.movedBytes, ContinuousClock.now + timeout)
        while true {
            let look = min(end, .now + timeout / 8)
            do throws(MeshEventsError) {
                return try await core.isCaughtUp.wait(until: look, for: "the events that are stored")
            } catch {
                guard error.code == .timeout, !Task.isCancelled else { throw error }
                if store.movedBytes != moved { (moved, end) = (store.movedBytes, .now + timeout) }
                guard .now < end else { throw error }
            }
        }
    }

    private init(_ core: MonitorCore, _ replays: MonitorReplays, savedStateFailure: MeshEventsError?) {
        self.core = core
        self.replays = replays
        self.savedStateFailure = savedStateFailure
        reading = Task { await Self.read(replays, into: core) }
    }

    deinit { close() }

    // MARK: State

    /// The mesh as it is now.
    public var state: MeshState { core.mesh }

    /// The changes from now on.
    ///
    /// To miss nothing, call this before you read ``state``.
    public func updates() -> MeshUpdates {
        MeshUpdates(monitor: self, reader: core.observe())
    }

    /// Until when a keeper had saved the state with which the monitor began, by the server's clock, and the name of the
    /// node that kept it; `nil` when it began with the stream.
    public var savedState: (at: Timestamp, keeper: String)? { core.saved.map { ($0.at, $0.keeper) } }

    /// How many events changed nothing because they are not signed by their node.
    public var rejected: UInt64 { replays.rejected }

    /// Why the monitor has ended: the connection was closed or permission was withdrawn. `nil` while it runs, and after
    /// ``close()``.
    public var failure: MeshEventsError? { core.failure }

    /// Sets the function to call when the stream does not answer, with the reason, and with `nil` when it answers again.
    /// Meanwhile nodes become unreachable although they may run.
    package func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) {
        replays.trouble.whenTold(tell)
    }

    /// Ends the monitor: its ``updates()`` end, ``state`` stays as it is. Harmless when repeated.
    public func close() {
        core.end(nil)
        reading.cancel()
        replays.cancel()
    }

    // MARK: Reading

    private static func read(_ replays: MonitorReplays, into core: MonitorCore) async {
        while !Task.isCancelled {
            let error = await readOnce(replays.current, into: core)
            guard let error, MonitorReplays.isAboutStream(error) else {
                return core.end(error)
            }
            // A server that came back without its data has no stream until another node creates it.
            do throws(MeshEventsError) {
                core.begin(try await replays.reopen())
            } catch {
                return core.end(error)
            }
        }
    }

    /// Reads until one of the replays ends, then cancels the rest: the state needs the events of all of them.
    private static func readOnce(_ replays: [ReplaySubscription], into core: MonitorCore) async -> MeshEventsError? {
        await withTaskGroup(of: MeshEventsError?.self) { group in
            for (number, replay) in replays.enumerated() {
                group.addTask {
                    do throws(MeshEventsError) {
                        for try await element in replay { core.take(element, from: number) }
                        return MeshEventsError(.closed, "the replay that the monitor reads has been closed")
                    } catch {
                        return error
                    }
                }
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            for replay in replays { replay.cancel() }
            return first
        }
    }
}

#if ServiceLifecycle
    extension MeshMonitor: Service {
        /// Waits for the graceful shutdown of its service group, or for cancellation, then ends the monitor.
        ///
        /// - Throws: why the monitor has ended by itself.
        public func run() async throws {
            let updates = updates()
            try? await cancelWhenGracefulShutdown { for try await _ in updates {} }
            close()
            if let failure { throw failure }
        }
    }
#endif
