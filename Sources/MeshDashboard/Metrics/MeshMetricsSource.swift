import HTTPTypes
import Hummingbird
public import Logging
import MeshConcurrency
public import MeshEvents
import MeshLogging
public import MeshMetrics
import MeshMonitoring
import NIOCore
public import ServiceLifecycle

/// What is known of a mesh, as metrics for Prometheus: its nodes and tools, the stream and its events, the alerts that fire,
/// and the metrics of this process.
///
/// ```swift
/// let metrics = MeshMetricsSource(store: JetStreamStore(connection))
/// let server = try MetricsServer(metrics, configuration: .init(port: 9464))
/// try await ServiceGroup(services: [metrics, server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// It reads the stream, and creates and changes nothing. An answer is made of what is known: it waits for no server, and
/// costs the same however many ask, since answers of the last second are used again. What takes long is made less often.
/// ``Dashboard/metrics`` is one that shares what the page reads.
public final class MeshMetricsSource: Service {
    /// The bounds of the answers, and what else is in them.
    public struct Configuration: Sendable {
        /// How many series an answer has at most, from 100 to 1 000 000. Default 50 000. A node has some 25, a tool some 20.
        /// `mesh_metrics_left_out` says what was left out. Whatever the number, an answer has at most 16 MiB.
        public var maximumSeries: Int
        /// Metrics of this process; `nil` for none.
        public var registry: MetricRegistry?

        /// Creates a configuration; a number out of its range becomes the nearest in it.
        public init(maximumSeries: Int = 50_000, registry: MetricRegistry? = nil) {
            self.maximumSeries = min(max(maximumSeries, 100), 1_000_000)
            self.registry = registry
        }
    }

    /// An answer: what it is, and whether it is compressed.
    private struct Kind: Hashable {
        let format: ExpositionFormat
        var isCompressed = false
    }

    private struct Answer: Sendable {
        /// The text, compressed or not.
        let bytes: ByteBuffer
        /// Tells it apart from others: clients that take it count as one, see ``AnswerBudget``.
        let tag: String
        let until: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var answers: [Kind: Answer] = [:]
        /// How many answers were made.
        var made: UInt64 = 0
        /// What is known of the stream; `nil` when it does not answer, and before it was asked.
        var stream: StreamReading?
        /// Whether it was asked.
        var isStreamKnown = false
        /// When metrics were last asked for.
        var askedAt = ContinuousClock.now
    }

    /// How long an answer is used again.
    private static let kept: Duration = .seconds(1)
    /// The time between two looks at the stream and the alerts.
    private static let interval: Duration = .seconds(5)
    /// The longest such time, where the stream takes long to report.
    private static let longestInterval: Duration = .seconds(60)
    /// After how long without a question it looks no more.
    static let patience: Duration = .seconds(300)

    private let store: any EventStore
    private let configuration: Configuration
    private let feed: EventFeed
    private let mesh: MeshFollower
    private let alerts: AlertWatch?
    private let counts: EventCounts
    private let live: LiveSource?
    private let patience: Duration
    private let logger: Logger
    private let state = Locked(State())
    /// Is sent by the first question after a long time without one.
    private let question = Wake()
    /// Lets one answer be made at a time, for all requests that wait meanwhile.
    private let gate = QueryGate(maximumRunning: 1, maximumWaiting: 256)

    /// Creates a source that reads by itself.
    ///
    /// - Parameters:
    ///   - store: the store of the events; it need not have been opened, nor exist yet.
    ///   - saved: where a keeper saves the state of the mesh, and where the state of the alerts is saved; `nil` for nowhere.
    ///   - verification: checks signatures; `nil` checks none. With one, only what is signed counts for nodes and tools.
    ///   - bus: receives events while there is no stream; `nil` for none. The caller keeps the bus.
    ///   - configuration: the bounds of the answers.
    ///   - logger: logs errors.
    public convenience init(
        store: some EventStore,
        saved: (any StateStore)? = nil,
        verification: SignatureVerification? = nil,
        bus: EventBus? = nil,
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "mesh-events.metrics")
    ) {
        let counts = EventCounts(takesSignedOnly: verification != nil)
        let alerts = saved.map { table in
            AlertWatch(
                store: store,
                table: table,
                verification: MeshFollower.rejecting(verification),
                maximumBytes: AlertDigest.maximumBytes,
                logger: logger
            )
        }
        let mesh = MeshFollower(
            store: store,
            saved: saved,
            verification: verification,
            maximumBytes: MeshDigest.maximumBytes,
            logger: logger,
            onProblem: { _ in }
        )
        self.init(
            store: store,
            feed: EventFeed(
                store: store,
                verification: verification,
                configuration: .init(),
                logger: logger,
                indexed: 0,
                onAlerts: { alerts?.changed() },
                onEvent: counts.take,
                onSource: { _, _ in }
            ),
            mesh: mesh,
            alerts: alerts,
            counts: counts,
            live: bus.map { LiveSource(bus: $0, store: store, mesh: mesh, takesSignedOnly: verification != nil) },
            configuration: configuration,
            logger: logger
        )
    }

    /// Creates a source that shows what others read.
    ///
    /// - Parameters:
    ///   - store: the store of the events.
    ///   - feed: follows the events, and has `counts` count them.
    ///   - mesh: follows the state of nodes and tools.
    ///   - alerts: reads what fires; `nil` when that is saved nowhere.
    ///   - live: live events while there is no stream; `nil` for none. Only a source that reads by itself needs it.
    ///   - configuration: the bounds of the answers.
    ///   - patience: after how long without a question it looks at the stream no more.
    ///   - logger: logs errors.
    init(
        store: any EventStore,
        feed: EventFeed,
        mesh: MeshFollower,
        alerts: AlertWatch?,
        counts: EventCounts,
        live: LiveSource? = nil,
        configuration: Configuration,
        patience: Duration = MeshMetricsSource.patience,
        logger: Logger
    ) {
        self.store = store
        self.feed = feed
        self.mesh = mesh
        self.alerts = alerts
        self.counts = counts
        self.live = live
        self.configuration = configuration
        self.patience = patience
        self.logger = logger
        configuration.registry?.reserve(MeshFamilies.all)
    }

    // MARK: Reading

    /// Reads until the task is cancelled or the service is shut down gracefully; for one call.
    public func run() async {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.feed.run(live: self.live) }
                group.addTask { await self.mesh.followStream() }
                if let alerts = self.alerts { group.addTask { await alerts.run(telling: self.feed) } }
                group.addTask { await self.watch() }
            }
        }
    }

    /// Looks at the stream and the alerts now and then until the task is cancelled. Answers do not wait for it.
    func watch() async {
        while !Task.isCancelled {
            var pause = Self.interval
            if state.withLock({ .now < $0.askedAt + patience }) { pause = await look() }
            await question.wait(until: .now + pause)
        }
    }

    /// Looks at the stream and the alerts once; after how long it may look again.
    private func look() async -> Duration {
        let began = ContinuousClock.now
        var pause = Self.interval
        do throws(MeshEventsError) {
            let reading = try await StreamReading.read(store) { feed.position }
            state.withLock { ($0.stream, $0.isStreamKnown) = (reading, true) }
            // A stream of very many types takes long to report on. A server that was away says nothing about that.
            pause = min(max(pause, (.now - began) * 20), Self.longestInterval)
        } catch {
            if Task.isCancelled { return pause }
            logger.debug("the metrics have nothing of the stream", [.error: "\(error)"])
            state.withLock { ($0.stream, $0.isStreamKnown) = (nil, true) }
        }
        await alerts?.refresh()
        return pause
    }

    // MARK: Answers

    /// The metrics as they are now; one second old at most, or, where making them takes long, ten.
    ///
    /// - Throws: `persistenceUnavailable` when too many ask at once, `closed` when the task is cancelled meanwhile.
    public func text(_ format: ExpositionFormat) async throws(MeshEventsError) -> String {
        String(buffer: try await answer(Kind(format: format)).bytes)
    }

    /// The answer to a scraper's request.
    ///
    /// - Throws: as ``text(_:)``.
    func response(to request: Request) async throws(MeshEventsError) -> Response {
        let format = ExpositionFormat(accept: request.headers[.accept])
        let isCompressed = AcceptedEncoding.takesGzip(request)
        let answer = try await answer(Kind(format: format, isCompressed: isCompressed))
        var response = Response.answer(answer.bytes, format.contentType)
        response.headers[.eTag] = answer.tag
        response.headers[.vary] = "Accept, Accept-Encoding"
        if isCompressed { response.headers[.contentEncoding] = "gzip" }
        return response
    }

    private func answer(_ kind: Kind) async throws(MeshEventsError) -> Answer {
        let isFirst = state.withLock { state in
            defer { state.askedAt = .now }
            guard .now >= state.askedAt + patience else { return false }
            // What it saw before it looked no more is not of now.
            (state.stream, state.isStreamKnown) = (nil, false)
            return true
        }
        if isFirst { question.send() }
        if let answer = known(kind) { return answer }
        return try await gate.run { () async throws(MeshEventsError) in
            if let answer = known(kind) { return answer }
            let plain = await plain(kind.format)
            guard kind.isCompressed else { return plain }
            // Once for all scrapers. The text has names and repeats them, and always gets shorter.
            guard let compressed = Gzip.compressed(plain.bytes) else {
                throw MeshEventsError(.persistenceUnavailable, "there is no memory to compress with")
            }
            return keep(compressed, kind, until: plain.until)
        }
    }

    /// The text, made anew when the last one is too old.
    private func plain(_ format: ExpositionFormat) async -> Answer {
        let kind = Kind(format: format)
        if let answer = known(kind) { return answer }
        let began = ContinuousClock.now
        let text = ByteBuffer(bytes: await exposition(format).text)
        return keep(text, kind, until: .now + max(Self.kept, MeshFollower.pause(after: .now - began)))
    }

    private func keep(_ bytes: ByteBuffer, _ kind: Kind, until: ContinuousClock.Instant) -> Answer {
        state.withLock { state in
            state.made += 1
            let answer = Answer(bytes: bytes, tag: "\"\(state.made)\"", until: until)
            state.answers[kind] = answer
            return answer
        }
    }

    private func known(_ kind: Kind) -> Answer? {
        state.withLock { $0.answers[kind].flatMap { .now < $0.until ? $0 : nil } }
    }

    private func exposition(_ format: ExpositionFormat) async -> Exposition {
        var exposition = Exposition(format, maximumSeries: configuration.maximumSeries)
        let (stream, isStreamKnown) = state.withLock { ($0.stream, $0.isStreamKnown) }
        let counts = counts.counts
        let known = mesh.state
        exposition.add(known == nil ? 0 : 1, to: MeshFamilies.isKnown)
        if isStreamKnown { StreamSeries.write(stream, into: &exposition) }
        let types = TypeCounts(counts.types.map { (type: $0.key, count: $0.value) }, others: counts.ofOtherTypes)
        types.write(to: MeshFamilies.events, into: &exposition)
        let rules = alerts?.counts?.write(into: &exposition) ?? 0
        configuration.registry?.write(into: &exposition)
        let beforeMesh = exposition.leftOut
        var left = MeshSeries.LeftOut()
        // What cannot be read is not said: nodes that run would be unreachable.
        if let known {
            var series = MeshSeries(known, crashes: counts.crashes)
            await series.write(into: &exposition)
            left = series.leftOut
        }
        for (what, count) in [
            ("nodes", left.nodes), ("tools", left.tools),
            ("types", stream?.types?.otherTypes ?? 0), ("consumers", stream?.otherConsumers ?? 0), ("rules", rules),
            ("series", beforeMesh),
        ] {
            exposition.add(Double(count), to: MeshFamilies.leftOut, MetricLabels("what", what), isOwed: true)
        }
        let count = exposition.series
        exposition.add(Double(count), to: MeshFamilies.series, isOwed: true)
        return exposition
    }
}
