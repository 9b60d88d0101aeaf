import Foundation
import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsSigning
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// Keepers on an in-memory mesh, with a lease of parts of a second.
@Suite(.timeLimit(.minutes(2))) struct MeshKeeperTests {
    /// A table that can be cut off from one keeper.
    private final class Line: ForwardingStateStore {
        let table: any StateStore
        private let isCut = Locked(false)
        private let slowness = Locked(Duration.zero)
        private let refused = Locked<String?>(nil)
        private let removes = Locked((begun: 0, areHeld: false))

        init(_ table: InMemoryStateStore) { self.table = table }

        func cut(_ cut: Bool) { isCut.withLock { $0 = cut } }

        /// Lets no value of this key fit.
        func refuses(_ key: String) { refused.withLock { $0 = key } }

        /// Whether removing a key lasts until this is taken back.
        func holdRemoving(_ hold: Bool) { removes.withLock { $0.areHeld = hold } }

        /// How many keys were to be removed.
        var removing: Int { removes.withLock { $0.begun } }

        /// How long reading all entries takes.
        func slow(_ duration: Duration) { slowness.withLock { $0 = duration } }

        private func check() throws(MeshEventsError) {
            guard isCut.withLock({ $0 }) else { return }
            throw MeshEventsError(.timeout, "the line is cut", isRetriable: true)
        }

        func create() async throws(MeshEventsError) {
            try check()
            try await table.create()
        }

        func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? {
            try check()
            return try await table.entry(key)
        }

        func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
            try check()
            try? await Task.sleep(for: slowness.withLock { $0 })
            try await table.read(under: prefix, body)
        }

        func write(
            _ value: [UInt8],
            signature: String?,
            to key: String,
            expected: UInt64?
        ) async throws(MeshEventsError) -> UInt64 {
            try check()
            guard refused.withLock({ $0 }) != key else { throw MeshEventsError(.payloadTooLarge, "it does not fit") }
            return try await table.write(value, signature: signature, to: key, expected: expected)
        }

        func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
            try check()
            return try await table.delete(key, expected: expected)
        }

        func remove(_ key: String) async throws(MeshEventsError) {
            try check()
            removes.withLock { $0.begun += 1 }
            while removes.withLock({ $0.areHeld }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(10)) }
            try await table.remove(key)
        }
    }

    /// A store whose stream has no leader for a time, as in a cluster: it stores nothing and does not answer.
    private final class LeaderlessStore: ForwardingStore {
        let store: InMemoryStore
        private let state = Locked((isLost: false, longest: Duration.zero))

        init(_ store: InMemoryStore) { self.store = store }

        func lose(_ isLost: Bool) { state.withLock { $0.isLost = isLost } }
        /// The longest time for which storing was to be tried.
        var longest: Duration { state.withLock { $0.longest } }

        func append(
            _ message: PendingMessage,
            deadline: Duration
        ) async throws(MeshEventsError) -> StoredPosition {
            state.withLock { $0.longest = max($0.longest, deadline) }
            return try await store.append(message, deadline: deadline)
        }

        func state() async throws(MeshEventsError) -> StreamState {
            guard state.withLock({ !$0.isLost }) else {
                throw MeshEventsError(.timeout, "the stream has no leader", isRetriable: true)
            }
            return try await store.state()
        }
    }

    private struct Fixture {
        let mesh = InMemoryMesh()
        let table = InMemoryStateStore()
        let bus: PersistentEventBus

        init() async throws { bus = try await Self.bus(mesh, "pi") }

        static func bus(
            _ mesh: InMemoryMesh,
            _ node: String,
            signer: NodeSigningKey? = nil
        ) async throws -> PersistentEventBus {
            try await PersistentEventBus.open(
                transport: InMemoryTransport(mesh),
                store: InMemoryStore(mesh),
                node: node,
                busConfiguration: EventBus.Configuration(signer: signer),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }

        /// With a lease that a busy machine does not let expire.
        static let patient = MeshKeeper.Configuration(
            lease: .seconds(3),
            shortestWriteInterval: .milliseconds(50),
            checkpointInterval: .milliseconds(200)
        )

        func keeper(
            _ name: String,
            _ table: (any StateStore)? = nil,
            _ configuration: MeshKeeper.Configuration = .init(
                lease: .milliseconds(900),
                shortestWriteInterval: .milliseconds(50),
                checkpointInterval: .milliseconds(200)
            ),
            store: LeaderlessStore? = nil
        ) async throws -> MeshKeeper {
            let bus = try await Self.bus(mesh, name)
            func make(_ table: some StateStore) -> MeshKeeper {
                MeshKeeper(
                    bus: bus,
                    store: store ?? LeaderlessStore(InMemoryStore(mesh)),
                    table: table,
                    configuration: configuration,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                )
            }
            let chosen: any StateStore = table ?? self.table
            return make(chosen)
        }

        func emit(_ payload: some EventPayload, node: String = "pi") async throws {
            try await bus.emit(try Event(payload, node: node))
        }

        func health(_ node: String, every interval: Double = 0.4) async throws {
            try await emit(NodeHealth(status: "online", resources: ["interval_s": JSONValue(interval)]), node: node)
        }

        func checkpoint() async throws -> Checkpoint? {
            guard table.entries.contains(where: { $0.key == StateKey.checkpoint }) else { return nil }
            return try await table.entry(StateKey.checkpoint).flatMap { Checkpoint(json: $0.value) }
        }

        func count(_ type: EventType) async throws -> Int {
            try await bus.history(matching: EventPattern(type: type), limit: 1_000).count
        }

        func keeperNode() async throws -> String? {
            guard !table.entries.isEmpty else { return nil }
            return try await table.entry(StateKey.keeper).flatMap { Lease.Holder(json: $0.value)?.node }
        }
    }

    /// Runs keepers while `body` runs.
    private func keeping(_ keepers: [MeshKeeper], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for keeper in keepers { group.addTask { try await keeper.run() } }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func whatItSavesOutlivesTheStream() async throws {
        let fixture = try await Fixture()
        try await fixture.emit(ToolInstalled(tool: "whisper", version: "v1"))
        try await fixture.emit(ToolCrashed(tool: "whisper", error: "exited with code 3", restartCount: 1))
        try await keeping([fixture.keeper("k")]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint()?.sequence == 2 }
            try await fixture.emit(ToolStarted(tool: "train"))
        }
        // The end saves what came last.
        #expect(try await fixture.checkpoint()?.sequence == 3)
        #expect(fixture.table.entries.map(\.key) == ["checkpoint", "node.pi"])
        _ = try await InMemoryStore(fixture.mesh).purge(matching: .all)
        let monitor = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        let tool = try #require(monitor.state.tool("whisper", on: "pi"))
        #expect(tool.version == "v1" && tool.state == .backingOff && tool.lastError == "exited with code 3")
        #expect(monitor.state.tool("train", on: "pi")?.state == .running)
        #expect(monitor.savedState?.keeper == "k" && monitor.savedStateFailure == nil)
        // What comes after it counts as always.
        try await fixture.emit(ToolStarted(tool: "whisper"))
        try await eventually("the event") { monitor.state.tool("whisper", on: "pi")?.state == .running }
        let without = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh))
        #expect(without.state.tool("train", on: "pi") == nil && without.savedState == nil)
    }

    @Test func withoutATableOrWithOneOfAnotherStreamTheWholeStreamIsRead() async throws {
        let fixture = try await Fixture()
        try await fixture.emit(ToolStarted(tool: "whisper"))
        let first = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(first.state.tool("whisper", on: "pi")?.state == .running)
        #expect(first.savedState == nil && first.savedStateFailure?.code == .streamNotFound)
        try await keeping([fixture.keeper("k")]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint() != nil }
        }
        try await InMemoryStore(fixture.mesh).deleteStream()
        _ = try await InMemoryStore(fixture.mesh).open(.init())
        try await fixture.emit(ToolStarted(tool: "other"), node: "b")
        let second = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(second.state.nodes.map(\.name) == ["b"] && second.savedState == nil)
        // The next keeper drops what the other stream said.
        try await keeping([fixture.keeper("k")]) {
            try await eventually("the new entries") {
                fixture.table.entries.map(\.key) == ["checkpoint", "keeper", "node.b"]
            }
        }
    }

    @Test func oneOfSeveralKeepsAndTheNextOneGoesOn() async throws {
        let fixture = try await Fixture()
        try await fixture.health("pi", every: 100)
        var keepers: [MeshKeeper] = []
        for name in ["a", "b", "c"] { keepers.append(try await fixture.keeper(name, nil, Fixture.patient)) }
        try await keeping(keepers) {
            try await eventually("a checkpoint") { try await fixture.checkpoint() != nil }
            let holder = try await fixture.keeperNode()
            try await Task.sleep(for: .seconds(2))
            #expect(try await fixture.keeperNode() == holder)
        }
    }

    @Test func aKeeperThatEndsHandsOverAtOnce() async throws {
        let fixture = try await Fixture()
        let configuration = MeshKeeper.Configuration(lease: .seconds(30), checkpointInterval: .milliseconds(100))
        try await keeping([fixture.keeper("a", nil, configuration)]) {
            try await eventually("a") { try await fixture.keeperNode() == "a" }
        }
        #expect(try await fixture.keeperNode() == nil)
        let begun = ContinuousClock.now
        try await keeping([fixture.keeper("b", nil, configuration)]) {
            try await eventually("b") { try await fixture.keeperNode() == "b" }
        }
        #expect(.now - begun < .seconds(15))
    }

    @Test func aNodeThatFallsSilentIsAnnouncedOnceAndOnceWhenItIsBack() async throws {
        let fixture = try await Fixture()
        try await fixture.emit(ToolStarted(tool: "whisper"))
        try await fixture.health("pi")
        try await fixture.health("left")
        try await fixture.emit(NodeLeft(reason: "shutdown"), node: "left")
        try await fixture.emit(NodeMaintenance(node: "resting", forSeconds: 3_600, reason: "disk"))
        try await fixture.health("resting")
        try await keeping([fixture.keeper("a"), fixture.keeper("b")]) {
            try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
            let stored = try #require(
                try await fixture.bus.history(matching: .allNodes).last { $0.event.type == .nodeUnreachable }
            )
            let payload = try NodeUnreachable(eventData: stored.event.data)
            #expect(payload.node == "pi" && payload.tools == ["whisper"] && payload.missed >= 3)
            #expect(["a", "b"].contains(stored.event.node))
            try await Task.sleep(for: .seconds(1))
            try await fixture.health("pi", every: 100)
            try await eventually("the recovery") { try await fixture.count(.nodeRecovered) == 1 }
            try await Task.sleep(for: .seconds(1))
        }
        #expect(try await fixture.count(.nodeUnreachable) == 1)
        #expect(try await fixture.count(.nodeRecovered) == 1)
        // The next keeper knows what was announced, from the table alone.
        _ = try await InMemoryStore(fixture.mesh).purge(matching: .all)
        try await keeping([fixture.keeper("c")]) { try await Task.sleep(for: .seconds(2)) }
        #expect(try await fixture.count(.nodeUnreachable) == 0)
    }

    @Test func nodesThatFallSilentTogetherAreAnnouncedTogether() async throws {
        let fixture = try await Fixture()
        let count = 40
        for number in 0..<count { try await fixture.health("n\(number)") }
        try await keeping([fixture.keeper("k")]) {
            try await eventually("the announcements") { try await fixture.count(.nodeUnreachable) == count }
        }
        let times = try await fixture.bus.history(matching: "events.node.unreachable").map(\.storedAt)
        let first = try #require(times.first)
        #expect(try #require(times.last).duration(since: first) < .seconds(5))
    }

    @Test func aKeeperThatIsCutOffLosesTheLeaseAndDoesNoHarm() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        try await fixture.health("pi", every: 100)
        try await keeping([fixture.keeper("cut", line, Fixture.patient)]) {
            try await eventually("the first") { try await fixture.keeperNode() == "cut" }
            try await keeping([fixture.keeper("b", nil, Fixture.patient)]) {
                line.cut(true)
                try await eventually("the second") { try await fixture.keeperNode() == "b" }
                try await fixture.health("dead")
                line.cut(false)
                try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
                try await Task.sleep(for: .seconds(1))
                #expect(try await fixture.keeperNode() == "b")
            }
        }
        #expect(try await fixture.count(.nodeUnreachable) == 1)
    }

    @Test func aKeeperKeepsTheLeaseWhileItReadsWhatIsSaved() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        line.slow(.seconds(3))
        try await fixture.health("pi", every: 100)
        try await keeping([fixture.keeper("slow", line)]) {
            try await eventually("the first") { try await fixture.keeperNode() == "slow" }
            try await keeping([fixture.keeper("b")]) {
                try await eventually("a checkpoint") { try await fixture.checkpoint() != nil }
                #expect(try await fixture.checkpoint()?.keeper == "slow")
            }
        }
    }

    @Test func whileTheStreamDoesNotAnswerNoNodeIsAnnounced() async throws {
        let fixture = try await Fixture()
        let store = LeaderlessStore(InMemoryStore(fixture.mesh))
        try await fixture.health("pi", every: 1)
        try await keeping([fixture.keeper("k", store: store)]) {
            try await eventually("the keeper") { try await fixture.checkpoint() != nil }
            store.lose(true)
            try await fixture.health("pi", every: 1)
            // The table answers all the time.
            try await Task.sleep(for: .seconds(4))
            store.lose(false)
            try await Task.sleep(for: .seconds(1))
            #expect(try await fixture.count(.nodeUnreachable) == 0)
            try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
        }
        // Stored later, an announcement may no longer be true.
        #expect(store.longest <= .seconds(1))
    }

    @Test func afterASilenceOfTheTableNodesHaveTime() async throws {
        var hearing = Hearing()
        let start = ContinuousClock.now
        func heard(_ seconds: Double, tolerating tolerance: Double = 1) -> Duration? {
            hearing.duration(at: start + .seconds(seconds), tolerating: .seconds(tolerance))
        }
        #expect(heard(0) == nil)
        hearing.answered(at: start)
        hearing.answered(at: start + .milliseconds(900))
        #expect(heard(1.5) == .milliseconds(1_500))
        #expect(heard(2) == nil)
        hearing.answered(at: start + .seconds(3))
        #expect(heard(3.5) == .milliseconds(500))
        // For a node with a longer interval that was no interruption.
        #expect(heard(3.5, tolerating: 10) == .milliseconds(3_500))
        // A shorter gap later does not hide the longer one before it.
        hearing.answered(at: start + .seconds(4.5))
        #expect(heard(4.5, tolerating: 1.8) == .milliseconds(1_500))
        #expect(heard(4.5, tolerating: 1.2) == .zero)
        hearing.troubled(true)
        hearing.answered(at: start + .seconds(5))
        #expect(heard(5) == nil)
        hearing.troubled(false)
        hearing.answered(at: start + .seconds(6))
        #expect(heard(6, tolerating: 100) == .zero)
        // However many gaps there are, none counts as shorter than it was.
        for step in 0..<200 { hearing.answered(at: start + .seconds(1_000) - .seconds(900) / (step + 1)) }
        #expect(heard(1_000, tolerating: 100) == .seconds(300))
    }

    @Test func aNodeThatIsForgottenHasNoEntryLater() async throws {
        let fixture = try await Fixture()
        try await fixture.health("pi", every: 100)
        try await fixture.emit(NodeForgotten(node: "pi"))
        try await keeping([fixture.keeper("k")]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint()?.sequence == 2 }
        }
        let monitor = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(monitor.state.isEmpty)
    }

    /// An answer of the server may be stored under any subject.
    @Test(arguments: ["events.node.health", "events.node.unreachable"])
    func whatIsNoEventDoesNotHoldUpAnAnnouncement(subject: String) async throws {
        let fixture = try await Fixture()
        try await keeping([fixture.keeper("k")]) {
            try await fixture.health("pi")
            let garbage = Array("garbage".utf8)
            _ = try await InMemoryStore(fixture.mesh)
                .append(subject: subject, payload: garbage, messageID: "g", deadline: .seconds(1))
            try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
        }
    }

    @Test func clearingTheTableDoesNotHoldUpAnAnnouncement() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        line.holdRemoving(true)
        try await keeping([fixture.keeper("k", line, Fixture.patient)]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint() != nil }
            _ = try await fixture.table.write(Array("{}".utf8), to: "strange", expected: nil)
            // A checkpoint is written, and the table looked at, when there is something new.
            try await fixture.health("pi")
            try await eventually("the removal begins") { line.removing == 1 }
            try await fixture.health("late")
            try await eventually("the announcements") { try await fixture.count(.nodeUnreachable) == 2 }
            #expect(line.removing == 1)
            line.holdRemoving(false)
        }
    }

    @Test func aNodeWithLongNamesOfToolsIsAnnouncedAsOthers() async throws {
        let fixture = try await Fixture()
        for number in 0..<300 {
            let name = "\(number)" + String(repeating: "\u{1}", count: 400)
            try await fixture.emit(ToolStarted(tool: name))
        }
        try await fixture.health("pi")
        try await keeping([fixture.keeper("k")]) {
            try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
        }
        let stored = try #require(try await fixture.bus.history(matching: EventPattern(type: .nodeUnreachable)).first)
        #expect(stored.event.data.json.utf8.count < 8_000)
        #expect(stored.event.data["tools"]?.array?.isEmpty == false)
    }

    @Test func anEntryThatDoesNotFitIsNotSaidToBeThere() async throws {
        let fixture = try await Fixture()
        let line = Line(fixture.table)
        line.refuses("node.large")
        try await fixture.health("small", every: 100)
        try await fixture.emit(ToolStarted(tool: "t"), node: "large")
        try await keeping([fixture.keeper("k", line)]) {
            try await eventually("the small entry") { fixture.table.entries.contains { $0.key == "node.small" } }
            // Announcements go on meanwhile.
            try await fixture.health("dead")
            try await eventually("the announcement") { try await fixture.count(.nodeUnreachable) == 1 }
        }
        let monitor = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(monitor.state.tool("t", on: "large")?.state == .running)
        #expect(monitor.savedState == nil)
    }

    @Test func anEntryThatWasLostIsNoticed() async throws {
        let fixture = try await Fixture()
        try await fixture.health("a", every: 100)
        try await fixture.health("b", every: 100)
        try await keeping([fixture.keeper("k")]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint()?.keys.count == 2 }
        }
        let entry = try #require(try await fixture.table.entry("node.a"))
        try await fixture.table.delete("node.a", expected: entry.revision)
        let monitor = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(monitor.state.nodes.map(\.name) == ["a", "b"] && monitor.savedState == nil)
    }

    @Test func whatOthersWriteIsReplacedOrRemoved() async throws {
        let fixture = try await Fixture()
        try await fixture.health("pi", every: 100)
        try await fixture.health("b", every: 100)
        let changes = Locked<[MeshKeeper.Status]>([])
        let keeper = MeshKeeper(
            bus: try await Fixture.bus(fixture.mesh, "k"),
            store: InMemoryStore(fixture.mesh),
            table: fixture.table,
            configuration: Fixture.patient,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { status in changes.withLock { $0.append(status) } }
        try await keeping([keeper]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint()?.keys.count == 2 }
            for round in 0..<3 {
                for key in ["checkpoint", "keeper", "node.pi", "node.stranger\(round)", "other.\(round)"] {
                    let present = try await fixture.table.entry(key)?.revision
                    _ = try? await fixture.table.write(Array(#"{"type":"answer"}"#.utf8), to: key, expected: present)
                }
                if let b = try await fixture.table.entry("node.b") {
                    _ = try? await fixture.table.delete("node.b", expected: b.revision)
                }
                try await fixture.health("pi", every: 100)
                // An answer of the server in the place of an entry is no state, and no reader takes it for one.
                let monitor = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
                #expect(monitor.state.nodes.map(\.name) == ["b", "pi"])
                try await eventually("all to be as it was") {
                    let keys = fixture.table.entries.map(\.key)
                    let holder = try await fixture.keeperNode()
                    let saved = try await fixture.checkpoint()?.keys.count
                    return keys == ["checkpoint", "keeper", "node.b", "node.pi"] && holder == "k" && saved == 2
                }
            }
        }
        #expect(changes.withLock { $0 } == [.keeping])
        let saved = try await SavedMesh.load(from: fixture.table, of: InMemoryStore(fixture.mesh), limits: .init())
        #expect(saved.checkpoint != nil && saved.mesh.nodes.count == 2)
    }

    @Test func withATrustListOnlyTheStateOfATrustedKeeperCounts() async throws {
        let fixture = try await Fixture()
        let (pi, hub) = (NodeSigningKey.generate(), NodeSigningKey.generate())
        var (trust, strict) = (TrustList(), TrustList())
        try trust.trust("pi", key: pi.publicKey)
        try trust.trust("hub", key: hub.publicKey, keepsState: true)
        try strict.trust("pi", key: pi.publicKey)
        try strict.trust("hub", key: hub.publicKey)
        let signed = try await Fixture.bus(fixture.mesh, "pi", signer: pi)
        try await signed.emit(Event(ToolInstalled(tool: "whisper", version: "v1")))
        try await signed.emit(Event(NodeHealth(status: "online", resources: ["interval_s": 100])))
        func monitor(_ trust: TrustList) async throws -> MeshMonitor {
            try await MeshMonitor.start(
                store: InMemoryStore(fixture.mesh),
                saved: fixture.table,
                verification: SignatureVerification(trust)
            )
        }
        func keeper(signer: NodeSigningKey?) async throws -> MeshKeeper {
            MeshKeeper(
                bus: try await Fixture.bus(fixture.mesh, "hub", signer: signer),
                store: InMemoryStore(fixture.mesh),
                table: fixture.table,
                verification: SignatureVerification(trust),
                configuration: Fixture.patient,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }
        // Without a signature no reader believes what it saves, not even itself.
        let unsigned = try await keeper(signer: nil)
        #expect(!unsigned.isBelieved)
        try await keeping([unsigned]) {
            try await eventually("a checkpoint") { try await fixture.checkpoint()?.sequence == 2 }
        }
        #expect(try await monitor(trust).savedState == nil)
        #expect(try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table).savedState != nil)
        let trusted = try await keeper(signer: hub)
        #expect(trusted.isBelieved)
        try await keeping([trusted]) {
            try await eventually("the signed state") { try await monitor(trust).savedState?.keeper == "hub" }
        }
        _ = try await InMemoryStore(fixture.mesh).purge(matching: .all)
        #expect(try await monitor(trust).state.tool("whisper", on: "pi")?.version == "v1")
        // The key of a node that is not trusted to keep the state says nothing of other nodes.
        #expect(try await monitor(strict).state.nodes.isEmpty)
        // An entry is changed, and its signature left.
        let entry = try #require(try await fixture.table.entry("node.pi"))
        let forged = String(decoding: entry.value, as: UTF8.self).replacingOccurrences(of: "v1", with: "v9")
        _ = try await fixture.table.write(
            Array(forged.utf8),
            signature: entry.signature,
            to: "node.pi",
            expected: entry.revision
        )
        let naive = try await MeshMonitor.start(store: InMemoryStore(fixture.mesh), saved: fixture.table)
        #expect(naive.state.tool("whisper", on: "pi")?.version == "v9")
        #expect(try await monitor(trust).state.nodes.isEmpty)
    }
}
