public import Logging
import MeshConcurrency
public import MeshEvents
import MeshLogging
import MeshMonitoring

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

/// Watches a mesh by rules, and tells the targets what fires and what is over.
///
/// ```swift
/// let runner = AlertRunner(
///     bus: persistent, store: store, table: JetStreamStateStore(beside: store),
///     configuration: .init(rules: [rule], targets: [phone])
/// )
/// try await runner.run()
/// ```
///
/// Any number of runners may run in a mesh, with the same rules. One of them holds a lease and works; the others wait.
/// When it ends, the next one begins within a third of ``Configuration/lease``; when it was killed or is cut off, after all of
/// it.
///
/// - **Reports.** What fires and what is over is stored as `alert.fired` and `alert.resolved`, each report once: its id
///   follows from the rule, the group and the event that made it fire. The targets are told what is stored.
/// - **Taking over.** The state of the alerts is saved in a ``/MeshEvents/StateStore``, with the sequence up to which it
///   is complete. The next runner takes it over and reads the events behind it: it comes to the same alerts with the same
///   ids, and leaves out what is reported already.
/// - **Targets.** Each target is told each report at least once, and once when nothing fails; after a failure it may be
///   told again, with the same id. A target that takes nothing is asked again and again, and told the rest at once.
/// - **Time.** Only the server's clock counts, and the order of the stream. Nothing that lacks an event fires before all
///   events stored until then have been read.
public final class AlertRunner: Sendable {
    /// What a runner does, and how.
    public struct Configuration: Sendable {
        /// The rules; their names are unique.
        public var rules: [AlertRule]
        /// The targets; their names are unique.
        public var targets: [AlertTarget]
        /// The address of the mesh's page, for the notifications; `nil` for none.
        public var page: String?
        /// How long after its last sign of life another runner takes over, from 300 ms. Default: 15 s.
        public var lease: Duration
        /// The longest time between a change and its being saved. Default: 10 s.
        public var checkpointInterval: Duration

        /// Creates a configuration; a lease that is too short becomes the shortest.
        public init(
            rules: [AlertRule] = [],
            targets: [AlertTarget] = [],
            page: String? = nil,
            lease: Duration = .seconds(15),
            checkpointInterval: Duration = .seconds(10)
        ) {
            self.rules = rules
            self.targets = targets
            self.page = page
            self.lease = max(lease, .milliseconds(300))
            self.checkpointInterval = checkpointInterval
        }
    }

    /// What a runner does.
    public enum Status: Sendable, Hashable {
        /// It watches the mesh.
        case watching
        /// Another runner works.
        case waiting
        /// It cannot work for this reason; it goes on trying.
        case failing(String)
    }

    private struct State {
        var configuration: Configuration
        var session: AlertSession?
        /// What the last session knew.
        var kept: SavedAlerts?
    }

    let bus: PersistentEventBus
    let store: any EventStore
    let table: SignedTable
    let verification: SignatureVerification?
    let logger: Logger
    private let holder: Lease.Holder
    private let onChange: @Sendable (Status) -> Void
    private let state: Locked<State>
    private let work = LeasedWork()

    /// Creates a runner; ``run()`` starts it.
    ///
    /// - Parameters:
    ///   - bus: stores the reports; its node's name is theirs. A bus that signs signs what is saved as well.
    ///   - store: the store with the mesh's events.
    ///   - table: where the state of the alerts is saved; it is created when it does not exist.
    ///   - verification: checks the signatures of events; `nil` checks none. With the policy `reject`, events that are not
    ///     signed by their node count for nothing, nor does what is saved and not signed by a trusted keeper.
    ///   - configuration: the rules and the targets.
    ///   - logger: gets a line when it begins to work, and when something fails.
    ///   - onChange: is called when it begins and ends to work, and once for each reason why it cannot.
    public init(
        bus: PersistentEventBus,
        store: some EventStore,
        table: some StateStore,
        verification: SignatureVerification? = nil,
        configuration: Configuration,
        logger: Logger = Logger(label: "mesh-events.alerts"),
        onChange: @escaping @Sendable (Status) -> Void = { _ in }
    ) {
        self.bus = bus
        self.store = store
        self.table = SignedTable(table, signer: bus.signer, verification: verification, unchecked: [StateKeys.lease])
        self.verification = verification
        self.logger = logger
        self.onChange = onChange
        holder = Lease.Holder(node: bus.node)
        state = Locked(State(configuration: configuration))
    }

    /// Takes other rules and targets. Alerts of rules whose name stays go on.
    public func use(_ configuration: Configuration) {
        let session = state.withLock { state in
            state.configuration = configuration
            return state.session
        }
        session?.end()
    }

    /// Watches the mesh whenever no other runner does, until the task is cancelled, or its service group shuts down. Then
    /// it saves what is not saved yet, and hands over.
    ///
    /// - Throws: errors that do not pass: `permissionDenied`, `persistenceUnavailable`, `closed` when the connection was
    ///   closed.
    public func run() async throws(MeshEventsError) {
        #if ServiceLifecycle
            let outcome = await cancelWhenGracefulShutdown { await self.outcome() }
        #else
            let outcome = await outcome()
        #endif
        try outcome.get()
    }

    private func outcome() async -> Result<Void, MeshEventsError> {
        do throws(MeshEventsError) { return .success(try await watch()) } catch { return .failure(error) }
    }

    private func watch() async throws(MeshEventsError) {
        try await work.run {
            Lease(
                table,
                key: StateKeys.lease,
                for: "watches the alerts",
                holder: holder,
                duration: state.withLock { $0.configuration.lease }
            )
        } _: { lease throws(MeshEventsError) in
            var isWaiting = false
            _ = try await lease.acquire { other in
                guard other != nil, !isWaiting else { return }
                isWaiting = true
                onChange(.waiting)
            }
            let session = state.withLock { state in
                let session = AlertSession(self, state.configuration, lease)
                state.session = session
                return session
            }
            defer { state.withLock { $0.session = nil } }
            try await session.run()
        } onFailure: { error in
            if error.code != .conflict { tell(error) }
        }
    }

    /// What the last session knew at its end; `nil` before the first.
    var kept: SavedAlerts? {
        get { state.withLock { $0.kept } }
        set { state.withLock { $0.kept = newValue } }
    }

    /// Notes that a session knows where it begins.
    func began() {
        onChange(.watching)
        logger.notice("watches the alerts of the mesh", [:])
    }

    /// Reports a failure after which it goes on; each reason once.
    func tell(_ error: MeshEventsError) {
        guard work.isNew(error) else { return }
        logger.warning("the alerts cannot be watched for now", [.error: "\(error)"])
        onChange(.failing(error.message))
    }
}

#if ServiceLifecycle
    extension AlertRunner: Service {}
#endif
