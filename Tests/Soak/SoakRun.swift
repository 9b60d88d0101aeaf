import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshLifecycle
import NATSClient
import TestSupport

/// A server, a node with tools that come and go, an emitter, a subscriber, a replay and a monitor.
struct SoakRun {
    private let seconds: Int
    private let rate: Int
    private let server: LocalNATSServer
    private let node: MeshNode
    private let supervisor: ToolSupervisor
    private let lifecycleEvents: Counter
    private let emitterBus: EventBus
    private let reader: PersistentEventBus
    private let monitor: MeshMonitor

    init(seconds: Int, rate: Int) async throws {
        self.seconds = seconds
        self.rate = rate
        server = try await LocalNATSServer.start(.init(executable: NATSServers.current.path, syncsEachWrite: false))
        let url = server.url
        let configuration = PersistentEventBus.Configuration(maximumMessages: 40 * rate)
        func open(_ node: String) async throws -> PersistentEventBus {
            let transport = NATSTransport(try await connect(at: url))
            let bus = try await PersistentEventBus.open(
                transport: transport,
                node: node,
                configuration: configuration,
                logger: quiet
            )
            return bus
        }
        let bus = try await open("soak")
        node = MeshNode(
            bus: bus,
            configuration: .init(interval: .seconds(1)),
            logger: quiet
        )
        let (node, counter) = (node, Counter())
        lifecycleEvents = counter
        supervisor = ToolSupervisor(environment: ToolEnvironment(url: url, node: "soak"), logger: quiet) { event in
            counter.add()
            node.emitter.emit(event)
        }
        let supervisor = supervisor
        node.setTools { supervisor.tools }
        emitterBus = try await open("emitter").bus
        reader = try await open("reader")
        monitor = try await MeshMonitor.start(store: JetStreamStore(try await connect(at: url)), logger: quiet)
    }

    /// Runs for the time given; what went wrong.
    func run() async throws -> [String] {
        let live = NumberedEvents()
        let replayed = NumberedEvents()
        let toolEvents = Counter()
        let gaps = Counter()
        let subscription = try await reader.bus.subscribe(to: "events.user.soak") { live.add($0) }
        let replay = try await reader.replay(matching: ["events.user.soak", "events.tool.>"])
        let replaying = Task {
            for try await element in replay {
                switch element {
                case .event(let stored) where stored.event.type == "user.soak": replayed.add(stored.event)
                case .event: toolEvents.add()
                case .gap: gaps.add()
                case .caughtUp, .reset: break
                }
            }
        }
        let emitter = PacedEmitter(emitterBus, rate: rate)
        let churn = try ToolChurn(supervisor)
        let running = Task { try await node.run() }
        try await node.waitUntilJoined(timeout: .seconds(30))
        let churning = Task { try await churn.run() }
        let emitting = Task { try await emitter.run() }

        say("   time      sent  received  replayed  tools  memory  server  descriptors  threads")
        var record = UseRecord()
        let start = ContinuousClock.now
        let step = Duration.seconds(max(Double(seconds) / 40, 1))
        while ContinuousClock.now - start < .seconds(seconds) {
            try await Task.sleep(for: step)
            let use = try ProcessUse()
            record.add(use)
            let serverMemory = try server.pid.map { try ProcessUse(of: $0).residentBytes } ?? 0
            let churned = churn.counts.values.reduce(0, +)
            let time = Int((ContinuousClock.now - start) / .seconds(1))
            say(
                row(
                    [time, emitter.count, live.count, replayed.count, churned, use.residentBytes >> 20],
                    [7, 10, 10, 10, 7, 8]
                ) + row([serverMemory >> 20, use.descriptors, use.threads], [8, 13, 9])
            )
        }

        emitting.cancel()
        churning.cancel()
        try await emitting.value
        try await churning.value
        try await emitterBus.flush(timeout: .seconds(30))
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        await supervisor.shutdown()
        try await node.emitter.flush(timeout: .seconds(30))
        var problems: [String] = []
        do {
            try await eventually("everything to arrive") {
                live.count >= emitter.count && replayed.count >= emitter.count
                    && toolEvents.count >= lifecycleEvents.count
            }
            try await eventually("the monitor to know that all tools have stopped") {
                let tools = monitor.state.tools(on: "soak")
                return !tools.isEmpty && tools.allSatisfy { $0.state != .running }
            }
        } catch {
            problems.append("\(error)")
        }
        node.leave(reason: "done")
        try await running.value

        let figures = [
            "sent": emitter.count, "received": live.count, "replayed": replayed.count,
            "dropped": Int(subscription.dropped), "gaps": gaps.count, "tool events": lifecycleEvents.count,
            "tool events stored": toolEvents.count, "buffer full": emitter.bufferFull,
        ]
        say("soak: " + figures.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
        say("soak: " + churn.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
        for (what, events) in [("received", live), ("replayed", replayed)] {
            if events.count != emitter.count { problems.append("\(events.count) \(what) of \(emitter.count) sent") }
            if let problem = events.problem { problems.append("\(what): \(problem)") }
        }
        if subscription.dropped > 0 { problems.append("\(subscription.dropped) were dropped") }
        if gaps.count > 0 { problems.append("the replay met \(gaps.count) gaps") }
        if toolEvents.count != lifecycleEvents.count {
            problems.append("\(toolEvents.count) tool events are stored of \(lifecycleEvents.count)")
        }
        if Double(emitter.count) < 0.95 * Double(rate) * elapsed {
            problems.append("\(emitter.count) events in \(Int(elapsed)) s are fewer than \(rate) a second")
        }
        if churn.counts.values.reduce(0, +) < seconds / 2 { problems.append("the tools hardly changed") }
        problems += record.growth(allowing: seconds < 300 ? 16 << 20 : 8 << 20)
        replaying.cancel()
        await reader.close()
        await server.stop()
        return problems
    }
}
