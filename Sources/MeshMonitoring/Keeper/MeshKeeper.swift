public import Logging
import MeshConcurrency
public import MeshEvents
import MeshLogging

#if ServiceLifecycle
    public import ServiceLifecycle
#endif

/// Keeps the state of a mesh: saves what is known of each node in a ``/MeshEvents/StateStore``, and announces what no
/// node says of itself, `node.unreachable` and `node.recovered`.
///
/// ```swift
/// let keeper = MeshKeeper(bus: persistent, store: store, table: JetStreamStateStore(beside: store))
/// try await keeper.run()
/// ```
///
/// Any number of keepers may run in a mesh. One of them holds a lease and works; the others wait. When it ends, the next
/// one begins within a third of ``Configuration/lease``; when it was killed or is cut off, after all of it. What one has
/// saved, the next goes on with.
///
/// - **Entries.** Each node has an entry with all facts of which its state follows, and a checkpoint says up to which
///   sequence the entries are complete. Every write names the revision that it replaces, so that a keeper which was
///   stopped, and does not know that another one works, replaces nothing newer.
/// - **Others.** Whatever else writes to the table is noticed, replaced or removed. With signatures, entries of
///   another origin say nothing.
/// - **Announcements.** A node is announced once as unreachable when no event of it was stored for three of its health
///   intervals, and once as recovered when it is heard of again. The message of an announcement is stored only when no
///   other of its type was stored since the keeper last looked: two keepers cannot both announce the same.
/// - **No false alarm.** A keeper announces only while it holds the lease, hears the mesh without interruption, and has
///   read all that was stored before. After an interruption nodes have two intervals.
public final class MeshKeeper: Sendable {
    /// How a keeper works.
    public struct Configuration: Sendable {
        /// How long after its last sign of life another keeper takes over, from 300 ms; a third of it is the time between
        /// two signs. Default: 15 s.
        public var lease: Duration
        /// The shortest time between two writes of a node's entry. Default: 1 s.
        public var shortestWriteInterval: Duration
        /// The longest time for which an entry may lack an event that says nothing new, and the time between two
        /// checkpoints. Default: 10 s.
        public var checkpointInterval: Duration
        /// How long nodes that left, are unreachable or silent, and removed tools are kept. Default: a week.
        public var retention: Duration
        /// How many nodes and tools are kept, and how many bytes of their texts and data.
        public var limits: MeshState.Limits

        /// Creates a configuration; a lease that is too short becomes the shortest.
        public init(
            lease: Duration = .seconds(15),
            shortestWriteInterval: Duration = .seconds(1),
            checkpointInterval: Duration = .seconds(10),
            retention: Duration = .seconds(7 * 86_400),
            limits: MeshState.Limits = MeshState.Limits()
        ) {
            self.lease = max(lease, .milliseconds(300))
            self.shortestWriteInterval = shortestWriteInterval
            self.checkpointInterval = checkpointInterval
            self.retention = retention
            self.limits = limits
        }
    }

    /// What a keeper does.
    public enum Status: Sendable, Hashable {
        /// It keeps the state.
        case keeping
        /// Another keeper works.
        case waiting
        /// It cannot keep the state, or not all of it, for this reason; it goes on trying.
        case failing(String)
    }

    let bus: PersistentEventBus
    let store: any EventStore
    let table: TalliedTable
    let verification: SignatureVerification?
    let configuration: Configuration
    let logger: Logger
    private let lease: Lease
    private let onChange: @Sendable (Status) -> Void
    private let work = LeasedWork()

    /// Creates a keeper; ``run()`` starts it.
    ///
    /// - Parameters:
    ///   - bus: emits the announcements; its node's name is theirs. A bus that signs signs what is saved as well.
    ///   - store: the store with the mesh's events.
    ///   - table: where the state is saved; it is created when it does not exist.
    ///   - verification: checks the signatures of events; `nil` checks none. With the policy `reject`, events that are
    ///     not signed by their node count for nothing, nor does what is saved and not signed by a node that is trusted
    ///     to keep the state.
    ///   - configuration: how it works.
    ///   - logger: gets a line when it begins and ends to keep the state, and when something fails.
    ///   - onChange: is called when it begins and ends to keep the state, and once for each reason why it cannot.
    public init(
        bus: PersistentEventBus,
        store: some EventStore,
        table: some StateStore,
        verification: SignatureVerification? = nil,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.keeper"),
        onChange: @escaping @Sendable (Status) -> Void = { _ in }
    ) {
        self.bus = bus
        self.store = store
        // The lease decides only who writes: keepers that do not trust each other must take turns all the same.
        self.table = TalliedTable(
            SignedTable(table, signer: bus.signer, verification: verification, unchecked: [StateKey.keeper])
        )
        self.verification = verification
        self.configuration = configuration
        self.logger = logger
        self.onChange = onChange
        lease = Lease(
            self.table,
            key: StateKey.keeper,
            for: "keeps the state of the mesh",
            holder: Lease.Holder(node: bus.node),
            duration: configuration.lease
        )
    }

    /// Whether readers with the same verification believe what this keeper saves.
    package var isBelieved: Bool {
        guard let verification, verification.policy == .reject else { return true }
        guard let signature = try? bus.signer?.signature(subject: "", payload: []) else { return false }
        return [UInt8]().withUnsafeBytes {
            verification.verifier.verifySavedState(signature, subject: $0.bytes, value: $0.bytes).isTrusted
        }
    }

    /// Keeps the state whenever no other keeper does, until the task is cancelled, or its service group shuts down. Then
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
        do throws(MeshEventsError) { return .success(try await keep()) } catch { return .failure(error) }
    }

    private func keep() async throws(MeshEventsError) {
        let hearing = Locked(Hearing())
        try await work.run {
            lease
        } _: { lease throws(MeshEventsError) in
            let taken = try await lease.acquire { _ in
                // Another server may decide about the stream than about the table.
                if (try? await store.state()) != nil { hearing.withLock { $0.answered() } }
            }
            table.begin(after: taken)
            onChange(.keeping)
            logger.notice("keeps the state of the mesh", [:])
            let session = KeeperSession(self, lease, hearing.withLock { $0 })
            defer { hearing.withLock { $0 = session.hearing } }
            try await session.run()
        } onFailure: { error in
            if error.code == .conflict { onChange(.waiting) } else { tell(error) }
            // It may be full of what does not belong there.
            if error.code == .storageFull { await table.removeJunk() }
            // The stream has lost what was heard last.
            if error.code == .streamReplaced { hearing.withLock { $0 = Hearing() } }
        }
    }

    /// Reports a failure after which it goes on; each reason once.
    func tell(_ error: MeshEventsError) {
        guard work.isNew(error) else { return }
        logger.warning("the state of the mesh cannot be kept for now", [.error: "\(error)"])
        onChange(.failing(error.message))
    }
}

#if ServiceLifecycle
    extension MeshKeeper: Service {}
#endif
