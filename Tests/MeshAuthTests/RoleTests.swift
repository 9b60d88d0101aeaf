import Foundation
import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient
import NIOCore
import NKeys
import TestSupport
import Testing

/// Every role and everything that may be tried, on a real server.
@Suite struct RoleTests {
    /// Something a user tries.
    struct Act: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// The roles that may, besides admins.
        let allowed: Set<MeshRole>
        /// What an admin does beforehand.
        let prepare: Attempt?
        let attempt: Attempt

        typealias Attempt = @Sendable (_ transport: NATSTransport, _ user: MeshUser) async throws -> Void

        init(
            _ description: String,
            _ allowed: Set<MeshRole>,
            prepare: Attempt? = nil,
            _ attempt: @escaping Attempt
        ) {
            testDescription = description
            self.allowed = allowed.union([.admin])
            self.prepare = prepare
            self.attempt = attempt
        }
    }

    private static let everybody = Set(MeshRole.allCases)
    private static let emitters: Set<MeshRole> = [.tool, .node]
    private static let body = #"{"action":"stop","tool":"x"}"#

    private static func store(_ transport: NATSTransport) -> JetStreamStore { JetStreamStore(transport.connection) }

    private static func emit(_ type: EventType, _ transport: NATSTransport) async throws {
        let bus = EventBus(transport: transport, node: "n", logger: quiet)
        try bus.emit(type)
        try await bus.flush()
    }

    private static func subscribe(_ subject: String, _ transport: NATSTransport) async throws {
        try await transport.connection.subscribe(to: subject).cancel()
    }

    private static func publish(_ subject: String, _ transport: NATSTransport) async throws {
        try transport.connection.publish(ByteBuffer(string: body), to: subject)
        try await transport.connection.flush()
    }

    private static func open(_ transport: NATSTransport) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: transport, node: "n", logger: quiet)
    }

    @discardableResult
    private static func openDurable(
        _ name: String,
        _ transport: NATSTransport,
        maximumDeliveries: Int = 5,
        reconcile: DurableSubscription.Configuration.Reconciliation = .fail
    ) async throws -> any DurableConsumer {
        try await store(transport).openDurable(
            DurableDefinition(
                name: name,
                pattern: "events.user.>",
                start: .beginning,
                acknowledgementWait: .seconds(30),
                maximumDeliveries: maximumDeliveries
            ),
            reconcile: reconcile
        )
    }

    /// An admin has stored a dead letter of a durable, as one of its handlers would.
    private static func deadLetter(of durable: String, _ root: NATSTransport) async throws {
        let bus = try await open(root)
        let original = try #require(try await bus.history(matching: "events.user.first", limit: 1).first)
        try await bus.emit(
            EventType.user("dead_letter.\(durable)"),
            [
                "type": "user.first", "sequence": .init(original.sequence), "node": .init(original.event.node),
                "timestamp": .init("\(original.event.timestamp)"), "reason": "why",
            ]
        )
    }

    private static func newestLetter(of durable: String, _ bus: PersistentEventBus) async throws -> DeadLetter {
        try #require(try await bus.deadLetters(of: durable, includesSettled: true).last)
    }

    /// An admin has created the durable of a user's own name.
    private static let durableIsThere: Act.Attempt = { root, user in
        try? await store(root).deleteDurable(user.name)
        try await openDurable(user.name, root)
    }

    private static let acts: [Act] = [
        Act("emit a user event", emitters) { transport, _ in try await emit("user.a.b", transport) },
        Act("emit that a node has left", [.node]) { transport, _ in try await emit(.nodeLeft, transport) },
        Act("emit that a tool has crashed", [.node]) { transport, _ in try await emit(.toolCrashed, transport) },
        Act("emit a user event, acknowledged", emitters) { transport, _ in
            _ = try await open(transport).emit(EventType("user.a"))
        },
        Act("emit many user events, acknowledged", emitters) { transport, _ in
            _ = try await open(transport).emit(contentsOf: (0..<100).map { _ in Event("user.many") })
        },
        Act("emit a health event, acknowledged", [.node]) { transport, _ in
            _ = try await open(transport).emit(EventType.nodeHealth)
        },
        Act("subscribe to all events", everybody) { transport, _ in try await subscribe("events.>", transport) },
        Act("subscribe to one type", everybody) { transport, _ in try await subscribe("events.tool.*", transport) },
        Act("read history", everybody) { transport, _ in
            let bus = try await open(transport)
            guard try await bus.history(matching: "events.user.>", limit: 5).isEmpty == false else {
                throw TestSupportError("the history is empty")
            }
            _ = try await bus.history(matching: "events.tool.>", since: .epoch, limit: 5)
        },
        Act("replay", everybody) { transport, _ in
            for try await element in try await open(transport).replay(from: .beginning) {
                if case .event = element { return }
            }
        },
        Act("see how the mesh is", everybody) { transport, _ in
            try await MeshMonitor.start(store: store(transport), logger: quiet).close()
        },
        Act("look at the stream", everybody) { transport, _ in _ = try await open(transport).report() },
        Act("take the events of its durable", emitters, prepare: durableIsThere) { transport, user in
            let durable = try await openDurable(user.name, transport)
            let messages = try await durable.fetch(1, wait: .seconds(1))
            guard let message = messages.first else { throw TestSupportError("the durable is empty") }
            try await durable.answer(message, .acknowledge, deadline: .seconds(5))
        },
        Act(
            "retry a dead letter of its durable",
            emitters,
            prepare: { root, user in try await deadLetter(of: user.name, root) }
        ) { transport, user in
            let bus = try await open(transport)
            try await bus.retry(try await newestLetter(of: user.name, bus))
        },
        Act("retry a dead letter of others", [.node], prepare: { root, _ in try await deadLetter(of: "others", root) })
        {
            transport,
            _ in
            let bus = try await open(transport)
            try await bus.retry(try await newestLetter(of: "others", bus))
        },
        Act(
            "discard a dead letter of others",
            [.node],
            prepare: { root, _ in try await deadLetter(of: "others", root) }
        ) { transport, _ in
            let bus = try await open(transport)
            try await bus.discard(try await newestLetter(of: "others", bus), reason: "no")
        },
        Act("list the dead letters of others", everybody) { transport, _ in
            _ = try await open(transport).deadLetters(of: "others", includesSettled: true)
        },
        Act("create its durable", [], prepare: { root, user in try? await store(root).deleteDurable(user.name) }) {
            try await openDurable($1.name, $0)
        },
        Act("change its durable", [], prepare: durableIsThere) {
            try await openDurable($1.name, $0, maximumDeliveries: 9, reconcile: .update)
        },
        Act("delete its durable", [], prepare: durableIsThere) { try await store($0).deleteDurable($1.name) },
        Act("create a durable that is not listed for it", []) { try await openDurable("of-\($1.name)", $0) },
        Act("delete the durable of others", [], prepare: { root, _ in try await openDurable("spare", root) }) {
            transport,
            _ in
            try await store(transport).deleteDurable("spare")
        },
        Act("make the mesh's stream", []) { transport, _ in
            let configuration = try await JetStream(connection: transport.connection).streamInfo("MESH_EVENTS")
                .configuration
            _ = try await JetStream(connection: transport.connection).createStream(configuration)
        },
        Act("make another stream", []) { transport, user in
            _ = try await JetStream(connection: transport.connection).createStream(
                StreamConfiguration(name: "OTHER", subjects: ["other.\(user.name)"])
            )
        },
        Act("change the stream", []) { transport, _ in
            let jetStream = JetStream(connection: transport.connection)
            _ = try await jetStream.updateStream(try await jetStream.streamInfo("MESH_EVENTS").configuration)
        },
        Act("purge the stream", []) { transport, _ in
            _ = try await store(transport).purge(matching: "events.user.nothing")
        },
        Act(
            "delete a stream",
            [],
            prepare: { root, _ in
                _ = try? await JetStream(connection: root.connection).createStream(
                    StreamConfiguration(name: "SPARE", subjects: ["spare"])
                )
            }
        ) { transport, _ in
            try await JetStream(connection: transport.connection).deleteStream("SPARE")
        },
        Act("control a tool", [.operator]) { transport, _ in
            do throws(MeshEventsError) {
                try await RemoteTools(node: "nobody", connection: transport.connection).perform(.stop, on: "x")
            } catch {
                // Asked, and nobody was there to answer.
                guard error.code == .noResponders else { throw error }
            }
        },
        Act("be asked to control its tools", [.node]) { transport, user in
            try await subscribe("mesh.control.tool.\(user.name)", transport)
        },
        Act("answer who asked about its tools", [.node]) { transport, _ in
            try await publish("mesh.control.answer.x", transport)
        },
        Act("be asked in the place of another node", []) { transport, _ in
            try await subscribe("mesh.control.tool.other", transport)
        },
        Act("be asked in the place of all nodes", []) { transport, _ in
            try await subscribe("mesh.control.tool.*", transport)
        },
        Act("read a log", [.operator]) { transport, _ in try await publish("mesh.logs.nobody", transport) },
        Act("acknowledge a part of a log", [.operator]) { transport, _ in
            try await publish("mesh.logs.nobody.x", transport)
        },
        Act("be asked for its logs", [.node]) { transport, user in
            try await subscribe("mesh.logs.\(user.name)", transport)
            try await subscribe("mesh.logs.\(user.name).*", transport)
        },
        Act("be asked for the logs of another node", []) { transport, _ in
            try await subscribe("mesh.logs.other", transport)
        },
        Act("be asked for the logs of all nodes", []) { transport, _ in try await subscribe("mesh.logs.>", transport) },
        Act("listen to the answers about tools", [.operator]) { transport, _ in
            try await subscribe("mesh.control.answer.*", transport)
        },
        Act("listen to everything", []) { transport, _ in try await subscribe(">", transport) },
        Act("listen to the answers of others", []) { transport, _ in try await subscribe("_INBOX.>", transport) },
        Act("listen to requests about streams", []) { transport, _ in try await subscribe("$JS.API.>", transport) },
        Act("answer in the place of others", []) { transport, _ in try await publish("_INBOX.U.x.1", transport) },
        Act("publish outside the mesh", []) { transport, _ in try await publish("other", transport) },
        Act("publish to the mesh's own subjects", [.operator]) { transport, _ in
            try await publish("mesh.control.tool.n", transport)
        },
    ]

    @Test(arguments: NATSServers.all)
    func everyRoleMayDoWhatItNeedsAndNothingElse(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            _ = try await admin.emit(EventType("user.first"))
            let root = try await mesh.connect("admin")
            for role in [MeshRole.observer, .operator, .tool, .node, .admin] {
                let user = try #require(mesh.directory.user(role))
                for act in Self.acts {
                    try await act.prepare?(root, user)
                    let transport = try await mesh.connect(role.rawValue)
                    let start = ContinuousClock.now
                    let failure = await failure { try await act.attempt(transport, user) }
                    let what = Comment(
                        rawValue: "\(role.rawValue): \(act.testDescription): \(failure?.description ?? "done")"
                    )
                    if act.allowed.contains(role) {
                        #expect(failure == nil, what)
                    } else {
                        #expect(failure?.code == .permissionDenied, what)
                        #expect(failure?.isRetriable == false, what)
                        #expect(failure?.message.contains("forbids this user to") == true, what)
                        // At once, not at a deadline.
                        #expect(ContinuousClock.now - start < .seconds(4), what)
                    }
                    // Nothing else is broken: the user still reads, and is told nothing of what it did not do.
                    if let failure = await MeshAuthTests.failure({
                        try await Self.subscribe("events.user.x", transport)
                    }) {
                        Issue.record("\(what.rawValue), and then: \(failure)")
                    }
                    await transport.close()
                }
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func takingEventsOfADurableOfOthersIsRefusedAtOnce(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            _ = try await mesh.open("admin").emit(EventType("user.first"))
            _ = try await Self.openDurable("others", mesh.connect("admin"))
            for role in ["tool", "node", "observer"] {
                let durable = try await Self.openDurable("others", mesh.connect(role))
                let error = await failure {
                    _ = try await withDeadline(.seconds(20), "a refusal") {
                        try await durable.fetch(1, wait: .seconds(60))
                    }
                }
                #expect(error?.code == .permissionDenied, "\(role): \(String(describing: error))")
                #expect(error?.isRetriable == false && error?.message.contains("--durable") == true, "\(role)")
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func aToolTakesTheRetriesOfItsDurable(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            try await admin.subscribe(durable: "tool", to: "events.user.job").cancel()
            let tool = try await mesh.open("tool")
            try await admin.emit("user.job", ["number": 1])
            let jobs = try await tool.subscribe(durable: "tool", to: "events.user.job")
            @Sendable func next() async throws -> DurableDelivery? {
                var iterator = jobs.makeAsyncIterator()
                return try await iterator.next()
            }
            try await withDeadline(.seconds(20), "the event") { try await next() }?.terminate(reason: "why")
            let letter = try #require(try await mesh.open("observer").deadLetters(of: "tool").first)
            #expect(letter.node == "tool")
            #expect(try await mesh.open("node").retry(letter).isNew)
            let delivery = try await withDeadline(.seconds(20), "the retry") { try await next() }
            #expect(delivery?.deadLetter == letter.sequence && delivery?.event.data["number"]?.int == 1)
            try await delivery?.ack()
            let status = try await admin.deadLetter(letter.sequence, of: "tool").status
            guard case .handled(_, "tool") = status else {
                Issue.record("\(status)")
                return
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func whoMayNotCreateADurableIsToldTheCommandForAnAdmin(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            _ = try await mesh.open("admin").emit(EventType("user.first"))
            let tool = try await mesh.open("tool")
            let create = await failure { _ = try await tool.subscribe(durable: "tool", to: "events.user.job.*") }
            #expect(
                create?.message.contains("`mesh-events stream durable tool 'events.user.job.*'`") == true,
                "\(create as Any)"
            )
            var configuration = DurableSubscription.Configuration(
                acknowledgementWait: .seconds(90),
                maximumDeliveries: 7
            )
            let settings = await failure {
                _ = try await tool.subscribe(durable: "tool", to: "events.user.job.*", configuration: configuration)
            }
            #expect(settings?.message.contains("--max-deliveries 7 --ack-wait 90000ms`") == true, "\(settings as Any)")
            let admin = try await mesh.open("admin")
            try await admin.subscribe(durable: "tool", to: "events.user.job.*").cancel()
            // With other settings than the admin's.
            configuration.reconcile = .update
            let change = await failure {
                _ = try await tool.subscribe(durable: "tool", to: "events.user.job.*", configuration: configuration)
            }
            #expect(
                change?.code == .permissionDenied && change?.message.contains("--update") == true,
                "\(change as Any)"
            )
            _ = try await tool.emit("user.job.a", ["number": 1])
            let deliveries = try await tool.subscribe(durable: "tool", to: "events.user.job.*")
            let delivery = try await withDeadline(.seconds(20), "an event of the admin's durable") {
                var iterator = deliveries.makeAsyncIterator()
                return try await iterator.next()
            }
            try await delivery?.ack()
            #expect(delivery?.event.type == "user.job.a")
        }
    }

    @Test(arguments: NATSServers.all)
    func whoeverIsRemovedIsCutOffAndWhoeverIsAddedComesIn(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            var directory = mesh.directory
            let transport = try await mesh.connect("tool")
            let observer = try await mesh.connect("observer")
            let bus = EventBus(transport: observer, node: "n", logger: quiet)
            let events = try await bus.subscribe()
            let file = try directory.add("guest", role: .observer)
            let seed = try String(contentsOfFile: file, encoding: .utf8)
            try directory.remove("tool")
            try mesh.server.reconfigure(directory.serverAccess)
            try await eventually("the removed user to be cut off") {
                await failure { try await transport.connection.flush(timeout: .milliseconds(500)) } != nil
            }
            var configuration = try mesh.configuration("guest")
            configuration.authentication = .nkey(try NKey(seed: seed))
            await (try NATSTransport.connect(configuration, logger: quiet)).close()
            // The others did not notice.
            try await EventBus(transport: mesh.connect("node"), node: "n", logger: quiet).emit("user.still")
            let event = try await withDeadline(.seconds(10), "an event after the change") {
                var iterator = events.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(event?.type == "user.still")
        }
    }

    @Test(arguments: NATSServers.all)
    func strangersDoNotGetIn(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            func code(_ change: (inout NATSConnection.Configuration) throws -> Void) async throws -> MeshEventsError
                .Code?
            {
                var configuration = try mesh.configuration("node")
                try change(&configuration)
                return await failure { await (try NATSTransport.connect(configuration, logger: quiet)).close() }?.code
            }
            #expect(try await code { _ in } == nil)
            #expect(try await code { $0.authentication = .none } == .authenticationFailed)
            #expect(try await code { $0.authentication = .nkey(NKey()) } == .authenticationFailed)
            #expect(
                try await code { $0.authentication = .userPassword(user: "node", password: "") }
                    == .authenticationFailed
            )
            #expect(
                try await code { $0.tls = nil } == .connectionFailed,
                "the system's authorities know no private one"
            )
            let other = try TemporaryDirectory()
            let stranger = try AuthDirectory.create(at: "\(other.path)/auth")
            #expect(try await code { $0.tls?.certificateAuthorityFile = stranger.authorityFile } == .connectionFailed)
            #expect(
                try await code { $0.authentication = .nkeyFile(path: stranger.seedFile(of: "admin")) }
                    == .authenticationFailed
            )
        }
    }
}
