public import Logging
import MeshConcurrency
public import MeshEvents
import MeshLogging
public import ServiceLifecycle

/// A node of the mesh: it emits events when it joins, about its capabilities and its health, and when it leaves.
///
/// ```swift
/// let transport = try await NATSTransport.connect(to: "nats://127.0.0.1:4222")
/// let persistent = try await PersistentEventBus.open(transport: transport, node: "node-a")
/// let node = MeshNode(
///     bus: persistent,
///     configuration: .init(version: "1.2.0", extras: ["room": "attic"])
/// )
/// node.register(.freeDisk(at: "/", minimumMB: 1024))
/// try await ServiceGroup(services: [node], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
/// ```
///
/// While it runs it emits
/// - `node.joined` at the start and after every reconnect, with the capabilities `arch`, `cpus`, `host`, `instance`,
///   `interval_s`, `mem_mb`, `os`, `tools`, `version` and the configuration's extras;
/// - `node.health` at every interval, and at once when its status changes: `online`, or `degraded` while a health check
///   fails or another node has the same name; with the resources `cpu` (0 to 1), `load`, `mem_used_mb`, `mem_total_mb`,
///   `disk_free_mb`, `gpus` (when it has some), `uptime_s`, `open_tools`, `tools`, `host`, `instance`, `interval_s`, and under `checks` each
///   failing check with its reason; and with the list of its tools, when it has been given one (`setTools`);
/// - `node.left` on graceful shutdown, stored before ``run()`` returns.
///
/// Events from during an outage are kept and stored after it, with their times; see ``LifecycleEmitter``. In a
/// `ServiceGroup`, put the node before the services that use ``emitter``: it then leaves after they have stopped.
public final class MeshNode: Service {
    private struct State {
        var hasRun = false
        var leaveReason: String?
        /// Counts instead of that of the configuration.
        var leaveTimeout: Duration?
        var tools: (@Sendable () -> MeshNode.Tools)?
        var conflict: NameConflict?
    }

    /// Stores lifecycle events in order: the node's own, and those of its other parts, such as its tools.
    public let emitter: LifecycleEmitter
    /// A random id, new at each start. It tells this node from all others of its name, earlier runs included.
    public let instance: String

    private let bus: PersistentEventBus
    let configuration: Configuration
    private let clock: any Clock<Duration>
    private let now: @Sendable () -> Timestamp
    let logger: Logger
    /// The most bytes that the list of tools may take, roughly; less once a health event was too large.
    let listLimit = Locked(NodeHealth.maximumListBytes)
    let stopwatch: Stopwatch
    let sampler: NodeHealthSampler
    let checks: HealthCheckRunner
    private let watchReconnections: @Sendable (@Sendable () -> Void) async -> Void
    private let joined = OneTimeSignal()
    private let left = OneTimeSignal()
    private let ticks: AsyncStream<Void>
    let tick: AsyncStream<Void>.Continuation
    private let state = Locked(State())

    /// Creates a node; it is in the mesh while ``run()`` runs.
    ///
    /// - Parameters:
    ///   - bus: carries and stores the events; its node's name is this node's.
    ///   - configuration: what the node publishes about itself, and how often.
    ///   - reconnections: an element for each time that messages pass again after an outage; `nil` for those of the
    ///     bus's transport.
    ///   - clock: measures intervals.
    ///   - now: the time an event gets.
    ///   - logger: logs name conflicts and outages.
    public init(
        bus: PersistentEventBus,
        configuration: Configuration = Configuration(),
        reconnections: AsyncStream<Void>? = nil,
        clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Timestamp = { .now },
        logger: Logger = Logger(label: "mesh-events.lifecycle")
    ) {
        self.bus = bus
        self.configuration = configuration
        self.clock = clock
        self.now = now
        self.logger = logger
        instance = String(UInt64.random(in: .min ... .max), radix: 36)
        emitter = LifecycleEmitter(
            bus: bus,
            configuration: configuration.emitter,
            clock: clock,
            now: now,
            logger: logger
        )
        stopwatch = Stopwatch(clock)
        sampler = NodeHealthSampler(storePath: configuration.storePath)
        (ticks, tick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        checks = HealthCheckRunner(interval: configuration.interval, clock: clock) { [tick] in tick.yield() }
        watchReconnections = { onReconnect in
            for await _ in reconnections ?? bus.bus.transport.reconnections { onReconnect() }
        }
    }

    /// What the node asks for the figures of GPUs; `nil` for none. Give it to the supervisor of the node's tools.
    public var gpus: GPUSampler? { configuration.gpus }

    /// The node's name in the mesh.
    public var name: String { bus.node }

    /// Another live node of the same name; `nil` when there is none.
    public var nameConflict: NameConflict? { state.withLock { $0.conflict } }

    /// Adds a health check; it replaces an earlier one of that name. May be called at any time.
    public func register(_ check: HealthCheck) { checks.register(check) }

    /// Removes a health check. Harmless when there is none of that name.
    public func removeHealthCheck(named name: String) { checks.remove(name) }

    /// The node's tools at one moment.
    package struct Tools: Sendable {
        var installed: Int
        var running: Int
        var list: [ToolStatus]?

        /// Counts tools.
        ///
        /// - Parameter planned: the number to publish instead, and no list, while tools are still being installed.
        package init(_ tools: [ToolStatus], planned: Int? = nil) {
            installed = planned ?? tools.count
            running = tools.count { $0.state == .running }
            list = planned == nil ? tools : nil
        }

        fileprivate init(installed: Int, running: Int) { (self.installed, self.running) = (installed, running) }
    }

    /// The node's tools at this moment.
    var tools: Tools { state.withLock { $0.tools }?() ?? Tools(installed: 0, running: 0) }

    /// Sets the closure that returns all tools of the node. The node publishes their list with its health, and how many
    /// there are and run.
    ///
    /// ```swift
    /// node.setTools { supervisor.tools }
    /// ```
    ///
    /// Readers take a tool that is not in the list for removed. The closure returns `nil` while the tools are not known
    /// yet; then no list is published. It is called on many threads and must not block.
    public func setTools(_ tools: @escaping @Sendable () -> [ToolStatus]?) {
        setToolReport { tools().map { Tools($0) } ?? Tools(installed: 0, running: 0) }
    }

    /// Sets the closure that counts the installed tools and the running ones; the node publishes both, and no list.
    @available(
        *,
        deprecated,
        message: "give it the tools, so that it publishes their states: setTools { supervisor.tools }"
    )
    public func setTools(_ counts: @escaping @Sendable () -> (installed: Int, running: Int)) {
        setToolReport {
            let (installed, running) = counts()
            return Tools(installed: installed, running: running)
        }
    }

    /// Sets the closure that reports the node's tools.
    package func setToolReport(_ tools: @escaping @Sendable () -> Tools) { state.withLock { $0.tools = tools } }

    /// Suspends until ``run()`` has joined the mesh and node.joined is stored. Events of tools that start after this
    /// follow it in the stream.
    ///
    /// - Throws: `timeout`, with the store's reason when it gave one; `closed` when the task is cancelled.
    public func waitUntilJoined(timeout: Duration = .seconds(10)) async throws(MeshEventsError) {
        let deadline = ContinuousClock.now + timeout
        try await joined.wait(until: deadline, for: "node \(name) to join")
        try await emitter.flush(timeout: max(deadline - .now, .zero))
    }

    /// Makes ``run()`` leave the mesh and return; the first reason counts. A graceful shutdown does the same with the
    /// reason `shutdown`.
    public func leave(reason: String) {
        state.withLock { state in
            if state.leaveReason == nil { state.leaveReason = reason }
        }
        left.send()
    }

    /// The same as ``leave(reason:)``, with another deadline for storing node.left than the configuration's.
    package func leave(reason: String, within timeout: Duration) {
        state.withLock { $0.leaveTimeout = timeout }
        leave(reason: reason)
    }

    // MARK: Running

    /// Joins the mesh, and leaves it on graceful shutdown, on ``leave(reason:)`` or when the task is cancelled (reason
    /// `cancelled`). Returns when node.left is stored. Call it once.
    ///
    /// - Throws: `invalidArgument` for a configuration out of range; what subscribing throws (`closed`, `timeout`,
    ///   `permissionDenied`); `timeout` when not everything could be stored within the configuration's deadline.
    public func run() async throws {
        try configuration.validate()
        try begin()
        let watch = NameWatch(
            name: name,
            instance: instance,
            host: NodeCapabilities.host,
            interval: configuration.interval,
            started: now(),
            stopwatch: stopwatch
        )
        let sightings = try await bus.bus.subscribe(to: "events.node.*")
        // Not a child task: it must go on when this task is cancelled.
        let storing = Task { await emitter.run() }
        _ = sampler.sample()
        announce()
        joined.send()
        checks.start()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepTime(watch) }
            group.addTask { await self.reportHealth() }
            group.addTask { await self.watchReconnections { self.announce() } }
            group.addTask { await self.watchName(watch, sightings) }
            group.addTask { await self.askGPUs() }
            await waitUntilLeaving()
            group.cancelAll()
        }
        checks.stop()
        sightings.cancel()
        emitter.emit(NodeLeft(reason: state.withLock { $0.leaveReason } ?? "shutdown"))
        let timeout = state.withLock { $0.leaveTimeout } ?? configuration.leaveTimeout
        let unstored = await uncancelled { await self.emitter.drain(timeout: timeout) }
        storing.cancel()
        await storing.value
        guard unstored.isEmpty else { throw notStored(unstored, within: timeout) }
    }

    private func begin() throws(MeshEventsError) {
        let hasRun = state.withLock { state in
            defer { state.hasRun = true }
            return state.hasRun
        }
        if hasRun { throw MeshEventsError(.invalidArgument, "a MeshNode runs only once; create another one") }
    }

    private func waitUntilLeaving() async {
        do {
            try await withGracefulShutdownHandler {
                try await left.wait()
            } onGracefulShutdown: {
                self.leave(reason: "shutdown")
            }
        } catch {
            leave(reason: "cancelled")
        }
    }

    private func keepTime(_ watch: NameWatch) async {
        while true {
            let deviation = Double.random(in: -configuration.jitter...configuration.jitter)
            guard (try? await clock.sleep(for: configuration.interval * (1 + deviation))) != nil else { return }
            if watch.advance() { update(watch.conflict) }
            tick.yield()
        }
    }

    private func askGPUs() async { await gpus?.run(every: max(configuration.interval, .seconds(2))) }

    private func reportHealth() async {
        for await _ in ticks { emitHealth() }
    }

    private func watchName(_ watch: NameWatch, _ sightings: EventSubscription) async {
        do {
            for try await event in sightings where watch.see(event) { update(watch.conflict) }
        } catch {
            logger.warning(
                "other nodes of the same name are no longer detected",
                [.node: "\(name)", .error: "\(error)"]
            )
        }
    }

    /// Notes and logs that a name conflict has begun or ended (`nil`).
    private func update(_ conflict: NameConflict?) {
        state.withLock { $0.conflict = conflict }
        if let conflict {
            logger.warning(
                "another live node has the same name; give one of them another",
                [
                    .node: "\(conflict.name)", .host: "\(conflict.host)", .otherHost: "\(conflict.otherHost)",
                    .otherInstance: "\(conflict.otherInstance)",
                ]
            )
            configuration.onConflict?(conflict)
        } else {
            logger.notice("no other node has the same name any more", [.node: "\(name)"])
        }
        tick.yield()
    }
}
