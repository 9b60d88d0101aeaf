import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("What the server's permissions forbid reaches the caller concerned, and nobody else")
struct PermissionTests {
    /// A user `u` who may publish and subscribe to some subjects.
    private func rules(publish: [String], subscribe: [String]) -> String {
        func list(_ subjects: [String]) -> String { subjects.map { "\"\($0)\"" }.joined(separator: ", ") }
        return """
            authorization { users: [
              { user: root, password: p }
              { user: u, password: p, permissions: {
                publish: { allow: [\(list(publish))] }, subscribe: { allow: [\(list(subscribe + ["_INBOX.>"]))] } } }
            ] }
            """
    }

    private func transport(_ server: LocalNATSServer, as user: String = "u") async throws -> NATSTransport {
        try await NATSTransport.connect(
            to: server.url,
            authentication: .userPassword(user: user, password: "p"),
            logger: quiet
        )
    }

    private func failure(_ body: () async throws -> Void) async -> MeshEventsError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? MeshEventsError
        }
    }

    @Test("an emit that was refused is told once, by the next of its type or by a flush", arguments: NATSServers.all)
    func unacknowledged(binary: NATSServers.Binary) async throws {
        let rules = rules(publish: ["events.user.>"], subscribe: ["events.>"])
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let transport = try await transport(server)
            let bus = EventBus(transport: transport, node: "a", logger: quiet)
            let own = try await bus.subscribe(to: "events.user.*")
            try bus.emit("node.left")
            // The next of its type, once the server's word has come: nothing else is in the way of others.
            var told: MeshEventsError?
            try await eventually("the refusal") {
                try bus.emit("user.fine")
                told = await failure { try bus.emit("node.left") }
                return told != nil
            }
            #expect(told?.code == .permissionDenied)
            #expect(told?.isRetriable == false)
            #expect(told?.message.contains("\"events.node.left\"") == true, "\(told?.message ?? "")")
            #expect(told?.message.contains("tools only under events.user.") == true)
            // Those emitted meanwhile were refused too, the flush tells of them together; then all has been told.
            _ = await failure { try await bus.flush() }
            try await bus.flush()
            try bus.emit("tool.removed")
            try bus.emit("node.left")
            let both = await failure { try await bus.flush() }
            #expect(both?.message.contains("2 messages were refused; the first") == true, "\(both?.message ?? "")")
            #expect(both?.message.contains("events.tool.removed") == true)
            try await bus.flush()
            try bus.emit("user.last")
            let received = try await withDeadline(.seconds(10), "the allowed events") {
                var types: [EventType] = []
                for try await event in own {
                    types.append(event.type)
                    if event.type == "user.last" { break }
                }
                return types
            }
            #expect(received.dropLast().allSatisfy { $0 == "user.fine" } && received.count > 1)
        }
    }

    @Test(
        "of pipelined events only the forbidden one fails, at once; what went before is stored",
        arguments: NATSServers.all
    )
    func pipelined(binary: NATSServers.Binary) async throws {
        let rules = rules(publish: ["events.user.>", "$JS.API.>"], subscribe: ["events.>"])
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let persistent = try await PersistentEventBus.open(
                transport: try await transport(server, as: "root"),
                node: "root",
                logger: quiet
            )
            let limited = try await PersistentEventBus.open(
                transport: try await transport(server),
                node: "a",
                logger: quiet
            )
            // Another batch on the same connection goes on undisturbed.
            async let others = limited.emit(
                contentsOf: (0..<2_000).map { Event("user.other", data: ["i": JSONValue($0)]) }
            )
            let start = ContinuousClock.now
            var events = (0..<40).map { Event("user.mine", data: ["i": JSONValue($0)]) }
            events.insert(Event("node.left"), at: 30)
            let error = await #expect(throws: BatchEmitError.self) { try await limited.emit(contentsOf: events) }
            // Far from the deadline of 30 s, also on a machine with other work.
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(error?.cause.code == .permissionDenied)
            #expect(error?.cause.message.contains("events.node.left") == true, "\(String(describing: error))")
            #expect((error?.firstNotStored ?? 0) == 30)
            _ = try await others
            let stored = try await persistent.history(limit: 10_000)
            #expect(stored.count { $0.event.type == "user.other" } == 2_000)
            #expect(stored.count { $0.event.type == "user.mine" } >= 30)
            #expect(!stored.contains { $0.event.type == "node.left" })
            let single = await failure { _ = try await limited.emit("node.left") }
            #expect(single?.code == .permissionDenied)
            #expect(try await limited.emit("user.after").sequence > 0)
        }
    }

    @Test("a subscription that is taken away later fails with that; others go on", arguments: NATSServers.all)
    func takenAway(binary: NATSServers.Binary) async throws {
        let before = rules(publish: ["events.>"], subscribe: ["events.>"])
        try await withServer(binary, .init(extraConfiguration: before)) { server in
            let bus = EventBus(transport: try await transport(server), node: "a", logger: quiet)
            let handler = try await bus.subscribe(to: "events.node.*") { _ in }
            let sequence = try await bus.subscribe(to: "events.node.left")
            let kept = try await bus.subscribe(to: "events.user.a")
            let group = try await bus.subscribe(to: "events.user.b", queueGroup: "g")
            #expect(handler.failure == nil)
            try server.reconfigure(rules(publish: ["events.>"], subscribe: ["events.user.>"]))
            try await eventually("the handler's subscription to fail") { handler.failure != nil }
            #expect(handler.failure?.code == .permissionDenied)
            #expect(handler.failure?.message.contains("events.node.*") == true)
            await #expect(throws: MeshEventsError.self) { for try await _ in sequence {} }
            try bus.emit("user.a")
            try bus.emit("user.b")
            for subscription in [kept, group] {
                let event = try await withDeadline(.seconds(10), "an event on what is still allowed") {
                    var iterator = subscription.makeAsyncIterator()
                    return try await iterator.next()
                }
                #expect(event != nil)
            }
        }
    }

    @Test(
        "what a stream is made to deliver on a foreign subject is no answer and no request",
        arguments: NATSServers.all
    )
    func foreignDeliveries(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let persistent = try await PersistentEventBus.open(
                transport: NATSTransport(connection),
                node: "n",
                logger: quiet
            )
            let inboxes = try await connect(server)
            // A service that never answers, so that the request below waits.
            let silent = try await inboxes.subscribe(to: "service")
            let answer = Task { try await connection.request(to: "service", timeout: .seconds(2)) }
            let request = try await take(1, from: silent)[0]
            let inbox = try #require(request.replyTo)
            let number = try #require(inbox.split(separator: ".").last)
            _ = try await persistent.emit(EventType("user.\(number)"))
            // A server delivers where somebody has subscribed to the very subject.
            let seen = try await inboxes.subscribe(to: inbox)
            // Pushed to that inbox under the event's own subject, whose last token is the request's.
            let body =
                #"{"stream_name":"MESH_EVENTS","config":{"deliver_subject":"\#(inbox)","deliver_policy":"all","#
                + #""ack_policy":"none","name":"forger"}}"#
            let created = try await inboxes.request(
                .init(string: body),
                to: "$JS.API.CONSUMER.CREATE.MESH_EVENTS.forger",
                timeout: .seconds(5)
            )
            #expect(!created.text.contains("\"error\""), "\(created.text)")
            try await withDeadline(.seconds(10), "the forged answer to be seen") {
                for try await message in seen where message.subject == "events.user.\(number)" { return }
            }
            await #expect(throws: NATSError.self) { _ = try await answer.value }
        }
    }
}
