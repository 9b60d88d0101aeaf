import Foundation
import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import MeshLifecycle
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Every role and everything that may be tried, on a real server.
@Suite struct RoleTests {
    /// Something a user tries.
    struct Act: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// The roles that may, besides admins.
        let allowed: Set<MeshRole>
        let attempt: @Sendable (_ transport: NATSTransport, _ user: MeshUser) async throws -> Void

        init(
            _ description: String,
            _ allowed: Set<MeshRole>,
            _ attempt: @escaping @Sendable (NATSTransport, MeshUser) async throws -> Void
        ) {
            testDescription = description
            self.allowed = allowed.union([.admin])
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

    private static func openDurable(_ name: String, _ transport: NATSTransport) async throws -> any DurableConsumer {
        try await store(transport).openDurable(
            DurableConfiguration(
                name: name,
                pattern: "events.user.>",
                start: .beginning,
                acknowledgementWait: .seconds(30),
                maximumDeliveries: 5
            ),
            reconcile: .fail
        )
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
        Act("keep a durable subscription", emitters) { transport, user in
            let durable = try await openDurable(user.name, transport)
            _ = try await durable.fetch(1, wait: .zero)
            try await store(transport).deleteDurable(user.name)
        },
        Act("keep a durable subscription that is not listed for it", []) { transport, user in
            _ = try await openDurable("of-\(user.name)", transport)
        },
        Act("delete the durable subscription of others", []) { transport, _ in
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
        Act("delete a stream", []) { transport, _ in
            try await JetStream(connection: transport.connection).deleteStream("SPARE")
        },
        Act("control a tool", []) { transport, _ in
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
        Act("listen to the answers about tools", []) { transport, _ in
            try await subscribe("mesh.control.answer.*", transport)
        },
        Act("listen to everything", []) { transport, _ in try await subscribe(">", transport) },
        Act("listen to the answers of others", []) { transport, _ in try await subscribe("_INBOX.>", transport) },
        Act("listen to requests about streams", []) { transport, _ in try await subscribe("$JS.API.>", transport) },
        Act("answer in the place of others", []) { transport, _ in try await publish("_INBOX.U.x.1", transport) },
        Act("publish outside the mesh", []) { transport, _ in try await publish("other", transport) },
        Act("publish to the mesh's own subjects", []) { transport, _ in
            try await publish("mesh.control.tool.n", transport)
        },
    ]

    @Test(arguments: NATSServers.all)
    func everyRoleMayDoWhatItNeedsAndNothingElse(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            _ = try await admin.emit(EventType("user.first"))
            let root = try await mesh.connect("admin")
            for role in [MeshRole.observer, .tool, .node, .admin] {
                let user = try #require(mesh.directory.user(role))
                for act in Self.acts {
                    if act.testDescription == "delete a stream" {
                        _ = try? await JetStream(connection: root.connection).createStream(
                            StreamConfiguration(name: "SPARE", subjects: ["spare"])
                        )
                    }
                    if act.testDescription == "delete the durable subscription of others" {
                        _ = try await Self.openDurable("spare", root)
                    }
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
