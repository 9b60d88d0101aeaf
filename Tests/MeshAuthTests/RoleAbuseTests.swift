import Foundation
import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import NIOCore
import TestSupport
import Testing

/// What somebody with a role's key tries against others, below our own code: raw requests on a real server.
@Suite struct RoleAbuseTests {
    private static let roles: [MeshRole] = [.observer, .operator, .tool, .node]
    /// Those that emit nothing.
    private static let readers: Set<MeshRole> = [.observer, .operator]

    /// A connection of a role, and what the server has refused it.
    private struct Attacker {
        let role: MeshRole
        let transport: NATSTransport
        var connection: NATSConnection { transport.connection }

        /// Sends a request; the answer, or `nil` when the server forbids it.
        func ask(_ subject: String, _ body: String = "") async throws -> String? {
            do throws(NATSError) {
                let answer = try await connection.request(
                    ByteBuffer(string: body),
                    to: subject,
                    timeout: .seconds(10)
                )
                return String(buffer: answer.payload)
            } catch {
                guard error.code != .permissionDenied else { return nil }
                return "\(error)"
            }
        }

        /// Publishes; `false` when the server forbids it.
        func publish(_ subject: String, _ body: String = "", replyTo: String? = nil) async throws -> Bool {
            do throws(NATSError) {
                try connection.publish(ByteBuffer(string: body), to: subject, replyTo: replyTo)
                try await connection.flush()
                return true
            } catch {
                guard error.code == .permissionDenied else { throw error }
                return false
            }
        }
    }

    private static func attackers(_ mesh: SecuredMesh) async throws -> [Attacker] {
        var attackers: [Attacker] = []
        for role in roles { attackers.append(Attacker(role: role, transport: try await mesh.connect(role.rawValue))) }
        return attackers
    }

    /// The consumers of the stream and how they are configured, as an admin sees them.
    private static func consumers(_ jetStream: JetStream) async throws -> [String: ConsumerConfiguration] {
        let consumers = try await jetStream.consumers(on: "MESH_EVENTS")
        return Dictionary(uniqueKeysWithValues: consumers.map { ($0.name, $0.configuration) })
    }

    /// Every request of the JetStream API that may change something, and all that reads more than the mesh's stream.
    private static let requests: [(subject: String, body: String)] = {
        let stream = "MESH_EVENTS"
        func config(_ name: String) -> String {
            #"{"stream_name":"\#(stream)","config":{\#(name)"ack_policy":"explicit"}}"#
        }
        return [
            ("$JS.API.STREAM.CREATE.\(stream)", #"{"name":"\#(stream)","subjects":["events.>","_INBOX.>"]}"#),
            ("$JS.API.STREAM.CREATE.MINE", #"{"name":"MINE","subjects":["_INBOX.>"]}"#),
            (
                "$JS.API.STREAM.UPDATE.\(stream)",
                #"{"name":"\#(stream)","subjects":["events.>"],"republish":{"src":">","dest":"mesh.control.tool.x"}}"#
            ),
            ("$JS.API.STREAM.DELETE.\(stream)", ""), ("$JS.API.STREAM.PURGE.\(stream)", ""),
            ("$JS.API.STREAM.MSG.DELETE.\(stream)", #"{"seq":1}"#),
            ("$JS.API.STREAM.SNAPSHOT.\(stream)", #"{"deliver_subject":"x"}"#),
            ("$JS.API.STREAM.RESTORE.\(stream)", "{}"), ("$JS.API.STREAM.LEADER.STEPDOWN.\(stream)", ""),
            ("$JS.API.STREAM.PEER.REMOVE.\(stream)", #"{"peer":"x"}"#), ("$JS.API.STREAM.LIST", ""),
            ("$JS.API.STREAM.INFO.OTHER", ""), ("$JS.API.STREAM.MSG.GET.OTHER", #"{"seq":1}"#),
            ("$JS.API.DIRECT.GET.\(stream)", #"{"seq":1}"#), ("$JS.API.DIRECT.GET.\(stream).events.user.first", ""),
            ("$JS.API.CONSUMER.CREATE.\(stream)", config("")),
            ("$JS.API.CONSUMER.CREATE.\(stream)", config(#""name":"others","#)),
            ("$JS.API.CONSUMER.CREATE.\(stream)", config(#""durable_name":"others","max_deliver":1,"#)),
            ("$JS.API.CONSUMER.CREATE.\(stream).others", config(#""name":"others","max_deliver":1,"#)),
            (
                "$JS.API.CONSUMER.CREATE.\(stream).others.events.user.nothing",
                config(#""durable_name":"others","filter_subject":"events.user.nothing","#)
            ),
            (
                "$JS.API.CONSUMER.DURABLE.CREATE.\(stream).others",
                config(#""durable_name":"others","filter_subject":"events.user.nothing","#)
            ),
            ("$JS.API.CONSUMER.DELETE.\(stream).others", ""),
            // The durables that are listed for a tool and a node.
            (
                "$JS.API.CONSUMER.DURABLE.CREATE.\(stream).tool",
                config(#""durable_name":"tool","max_waiting":2147483648,"#)
            ),
            ("$JS.API.CONSUMER.DURABLE.CREATE.\(stream).node", config(#""durable_name":"node","#)),
            (
                "$JS.API.CONSUMER.CREATE.\(stream).tool.events.user.a",
                config(#""durable_name":"tool","filter_subject":"events.user.a","#)
            ),
            ("$JS.API.CONSUMER.DELETE.\(stream).tool", ""), ("$JS.API.CONSUMER.DELETE.\(stream).node", ""),
            ("$JS.API.CONSUMER.PAUSE.\(stream).others", #"{"pause_until":"2099-01-01T00:00:00Z"}"#),
            ("$JS.API.CONSUMER.UNPIN.\(stream).others", #"{"group":"x"}"#),
            ("$JS.API.CONSUMER.RESET.\(stream).others", ""),
            ("$JS.API.CONSUMER.LEADER.STEPDOWN.\(stream).others", ""),
            ("$JS.API.CONSUMER.MSG.NEXT.\(stream).others", "1"), ("$JS.API.META.LEADER.STEPDOWN", ""),
            ("$JS.API.SERVER.REMOVE", #"{"peer":"x"}"#), ("$JS.API.ACCOUNT.PURGE.$G", ""), ("$SYS.REQ.SERVER.PING", ""),
            ("$SYS.REQ.USER.INFO", ""), ("$JS.FC.\(stream).others.x", ""),
        ]
    }()

    @Test(arguments: NATSServers.all)
    func noRoleButAdminChangesStreamsAndConsumersByAnyRequest(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            _ = try await admin.emit(EventType("user.first"))
            let jetStream = JetStream(connection: try await mesh.connect("admin").connection)
            _ = try await jetStream.createConsumer(
                ConsumerConfiguration(durableName: "others", start: .all),
                on: "MESH_EVENTS"
            )
            let consumers = try await Self.consumers(jetStream)
            let stream = try await jetStream.streamInfo("MESH_EVENTS")
            for attacker in try await Self.attackers(mesh) {
                for (subject, body) in Self.requests {
                    let answer = try await attacker.ask(subject, body)
                    #expect(answer == nil, "\(attacker.role): \(subject) \(body): \(answer ?? "")")
                    guard answer == nil else { continue }
                    AbuseTable.note(
                        suite: "roles",
                        act: "\(attacker.role.rawValue): \(subject)",
                        server: binary,
                        outcome: .refused
                    )
                }
            }
            #expect(try await Self.consumers(jetStream) == consumers)
            let now = try await jetStream.streamInfo("MESH_EVENTS")
            #expect(now.configuration == stream.configuration && now.state.messages == 1)
        }
    }

    @Test(arguments: NATSServers.all)
    func aThousandConsumersOfAReaderDoNotKeepOthersFromReading(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            _ = try await admin.emit(EventType("user.first"))
            let jetStream = JetStream(connection: try await mesh.connect("admin").connection)
            for attacker in try await Self.attackers(mesh) {
                for number in 0..<1_000 {
                    let body = #"{"stream_name":"MESH_EVENTS","config":{"durable_name":"d\#(number)"}}"#
                    try attacker.connection.publish(
                        ByteBuffer(string: body),
                        to: "$JS.API.CONSUMER.DURABLE.CREATE.MESH_EVENTS.d\(number)"
                    )
                }
                try? await attacker.connection.flush()
            }
            #expect(try await Self.consumers(jetStream).isEmpty)
            #expect(try await mesh.open("observer").history(limit: 5).count == 1)
        }
    }

    @Test(arguments: NATSServers.all)
    func deliveriesOfOthersAreNeitherTakenNorAnswered(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            for number in 0..<3 { _ = try await admin.emit("user.alarm", ["number": .init(number)]) }
            let victim = try await mesh.connect("admin")
            let jetStream = JetStream(connection: victim.connection)
            _ = try await jetStream.createConsumer(
                ConsumerConfiguration(durableName: "alarms", start: .all),
                on: "MESH_EVENTS"
            )
            let messages = try await jetStream.fetch(PullRequest(batch: 3), from: "alarms", on: "MESH_EVENTS")
            #expect(messages.count == 3)
            for attacker in try await Self.attackers(mesh) {
                for message in messages {
                    for answer in ["+ACK", "+TERM", "-NAK", "+WPI"] {
                        // As a request: an answer to a delivery that is refused fails no flush.
                        let outcome = try await attacker.ask(message.replyTo, answer)
                        #expect(outcome == nil, "\(attacker.role) \(answer)")
                    }
                }
            }
            let info = try await jetStream.consumerInfo("alarms", on: "MESH_EVENTS")
            #expect(info.acknowledgementsPending == 3)
        }
    }

    @Test(arguments: NATSServers.all)
    func theDurableOfAToolReachesNoRequestAndNoStream(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let node = try await mesh.open("admin")
            let admin = try await mesh.connect("admin")
            let jetStream = JetStream(connection: admin.connection)
            let supervisor = ToolSupervisor(environment: .init(url: "", node: "node"), logger: quiet) { _ in }
            let control = ToolControl(
                supervisor: supervisor,
                node: "node",
                connection: try await mesh.connect("node").connection
            )
            let controlling = Task { try await control.run() }
            defer { controlling.cancel() }
            let answers = try await admin.connection.subscribe(to: "$JS.ACK.>")
            _ = try await node.emit("user.x", ["action": "stop", "tool": "x"])
            let tool = Attacker(role: .tool, transport: try await mesh.connect("tool"))
            let targets = [
                "mesh.control.tool.node", "mesh.control.answer.x", "$JS.API.STREAM.DELETE.MESH_EVENTS",
                "$JS.API.STREAM.PURGE.MESH_EVENTS",
            ]
            for target in targets {
                try? await jetStream.deleteConsumer("tool", on: "MESH_EVENTS")
                _ = try await jetStream.createConsumer(
                    ConsumerConfiguration(durableName: "tool", start: .all),
                    on: "MESH_EVENTS"
                )
                let next = "$JS.API.CONSUMER.MSG.NEXT.MESH_EVENTS.tool"
                #expect(try await tool.publish(next, "1", replyTo: target), "a tool takes the events of its durable")
            }
            // The node answers a request that is one; by then the others have long come.
            let asked = await failure {
                try await RemoteTools(node: "node", connection: admin.connection).perform(.stop, on: "x")
            }
            #expect(asked?.code == .serverRefused, "\(String(describing: asked))")
            _ = try await node.emit(EventType("user.y"))
            #expect(try await node.history(limit: 10).count == 2)
            answers.cancel()
            var replies = 0
            for try await _ in answers { replies += 1 }
            #expect(replies == 0, "the node has answered what nobody may ask")
        }
    }

    /// What a tool can do with the durable that an admin has created for it, and Design says of it.
    @Test(arguments: NATSServers.all)
    func aToolRepeatsNoMoreThanTheEventsOfItsDurable(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            try await admin.subscribe(durable: "tool", to: "events.user.job").cancel()
            let tool = Attacker(role: .tool, transport: try await mesh.connect("tool"))
            // Without a message id: the stream takes one with the same id no second time within two minutes.
            for type in [EventType.nodeLeft, "user.job", "user.other"] { try admin.bus.emit(type) }
            try await admin.bus.flush()
            let next = "$JS.API.CONSUMER.MSG.NEXT.MESH_EVENTS.tool"
            #expect(try await tool.publish(next, "1", replyTo: "events.user.x"))
            try await eventually("the repeated event") {
                try await admin.history(matching: "events.user.job", limit: 10).count == 2
            }
            let history = try await admin.history(matching: "events.user.job", limit: 10)
            #expect(history.first?.event == history.last?.event)
            // A request that asks for more than the durable gives at once is refused whole.
            let inbox = try #require(mesh.directory.user(.tool)).inbox + ".x"
            let own = try await tool.connection.subscribe(to: inbox)
            #expect(try await tool.publish(next, "257", replyTo: inbox))
            let answer = try await withDeadline(.seconds(20), "the refusal") {
                var iterator = own.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(answer?.status == 409, "\(answer as Any)")
            #expect(
                try await admin.history(limit: 10).map(\.event.type) == [
                    "node.left", "user.job", "user.other", "user.job",
                ]
            )
            AbuseTable.note(
                suite: "roles",
                act: "tool: have its durable's events stored again",
                server: binary,
                outcome: .open,
                note: "only those of the durable, 256 a request"
            )
        }
    }

    /// What a tool can do to streams with a durable that is there, and Security says of it: the server's answer that
    /// there is nothing to take has no body, and goes to any subject.
    @Test(arguments: NATSServers.all)
    func aToolWithADurableCanDeleteStreams(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            let jetStream = JetStream(connection: try await mesh.connect("admin").connection)
            _ = try await jetStream.createStream(StreamConfiguration(name: "OTHER", subjects: ["other"]))
            let tool = Attacker(role: .tool, transport: try await mesh.connect("tool"))
            let request = ("$JS.API.CONSUMER.MSG.NEXT.MESH_EVENTS.tool", #"{"batch":1,"no_wait":true}"#)
            // Without the durable there is no answer but to the tool itself.
            #expect(try await tool.publish(request.0, request.1, replyTo: "$JS.API.STREAM.DELETE.OTHER"))
            _ = try await admin.emit(EventType("user.a"))
            _ = try await jetStream.streamInfo("OTHER")
            try await admin.subscribe(durable: "tool", to: "events.user.job").cancel()
            #expect(try await tool.publish(request.0, request.1, replyTo: "$JS.API.STREAM.DELETE.OTHER"))
            try await eventually("the stream to be gone, as Security says") {
                (try? await jetStream.streamInfo("OTHER")) == nil
            }
            AbuseTable.note(
                suite: "roles",
                act: "tool: delete a stream by the answer that its durable has nothing",
                server: binary,
                outcome: .open,
                note: "only where its durable is there"
            )
        }
    }

    @Test(arguments: NATSServers.all)
    func aReplySubjectGivesNoRole(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            let root = try await mesh.connect("admin")
            let jetStream = JetStream(connection: root.connection)
            _ = try await jetStream.createStream(StreamConfiguration(name: "OTHER", subjects: ["other"]))
            let heard = try await EventBus(transport: root, node: "n", logger: quiet).subscribe(to: "events.node.>")
            for attacker in try await Self.attackers(mesh) {
                // A right to answer would be a right to every subject: whoever emits names the reply's subject itself.
                if !Self.readers.contains(attacker.role) {
                    try await attacker.transport.connection.subscribe(to: "events.>").cancel()
                    let own = try await attacker.connection.subscribe(to: "events.user.>")
                    _ = try await attacker.publish("events.user.a", "1", replyTo: "$JS.API.STREAM.DELETE.OTHER")
                    #expect(try await attacker.publish("$JS.API.STREAM.DELETE.OTHER") == false, "\(attacker.role)")
                    own.cancel()
                }
                // The server's answers arrive under another subject, and are no events.
                for subject in [
                    "$JS.API.INFO", "$JS.API.STREAM.MSG.GET.MESH_EVENTS", "$JS.API.STREAM.INFO.MESH_EVENTS",
                ] {
                    _ = try await attacker.publish(subject, #"{"seq":1}"#, replyTo: "events.node.left")
                }
            }
            _ = try await jetStream.streamInfo("OTHER")
            // The acknowledgement of its own event, which arrives under the subject that the event names.
            let crashes = try await EventBus(transport: root, node: "n", logger: quiet).subscribe(to: "events.tool.*")
            for attacker in try await Self.attackers(mesh) where !Self.readers.contains(attacker.role) {
                _ = try await attacker.publish("events.user.a", "1", replyTo: "events.tool.crashed")
            }
            try await eventually("both acknowledgements to arrive") { crashes.malformed == 2 }
            _ = try await admin.emit(EventType.toolStarted)
            let tool = try await withDeadline(.seconds(10), "the tool's event") {
                var iterator = crashes.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(tool?.type == .toolStarted, "an acknowledgement was taken for an event")
            for role in ["tool", "node"] {
                AbuseTable.note(
                    suite: "roles",
                    act: "\(role): have the acknowledgement of an event sent to events.tool.crashed",
                    server: binary,
                    outcome: .held
                )
            }
            #expect(try await admin.history(matching: "events.tool.crashed", limit: 100).isEmpty)
            _ = try await admin.emit(EventType.nodeHealth)
            let first = try await withDeadline(.seconds(10), "the node's event") {
                var iterator = heard.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(first?.type == .nodeHealth, "an answer of the server was taken for an event")
            let left = try await admin.history(matching: "events.node.left", limit: 100)
            #expect(left.isEmpty)
        }
    }

    /// A reply subject travels with its event, so that every reader sees it: the next one must not follow from it.
    @Test(arguments: NATSServers.all)
    func noAnswerReachesAnEmitUnderAForeseenSubject(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            let victim = try await mesh.open("node")
            for attacker in try await Self.attackers(mesh) where attacker.role != .node {
                let seen = try await attacker.connection.subscribe(to: "events.>")
                var replies: [Substring] = []
                let events = seen.makeAsyncIterator()
                var iterator = events
                for _ in 0..<3 {
                    _ = try await victim.emit(EventType("user.x"))
                    let reply = try #require(try await iterator.next()?.replyTo)
                    replies.append(try #require(reply.split(separator: ".").last))
                    // An error under the number that comes next, as if a stream had answered it.
                    let next = try #require(UInt64(replies[replies.count - 1].prefix { $0.isNumber })) + 1
                    let root = reply.split(separator: ".").dropLast().joined(separator: ".")
                    for subject in ["\(root).\(next)", "\(root).\(next)\(reply.suffix(16))"] {
                        _ = try await attacker.publish(
                            "$JS.API.CONSUMER.INFO.MESH_EVENTS.none",
                            replyTo: subject
                        )
                    }
                }
                let codes = Set(replies.map { $0.drop { $0.isNumber } })
                #expect(codes.count == 3 && codes.allSatisfy { $0.count == 16 }, "\(replies)")
                seen.cancel()
            }
            #expect(try await admin.history(matching: "events.user.x", limit: 100).count == 9)
        }
    }

    /// What servers before 2.12 do not hold, and what `auth init` and the article Security say of them.
    @Test(arguments: NATSServers.all)
    func onlyServersBefore2_12TakeAnAcknowledgementForARequest(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            let admin = try await mesh.open("admin")
            let version = try #require(await mesh.connect("admin").connection.serverInfo?.version)
            for attacker in try await Self.attackers(mesh) {
                for _ in 0..<3 { _ = try await admin.emit(EventType("user.x")) }
                let purge = "$JS.API.STREAM.PURGE.MESH_EVENTS"
                for request in ["STREAM.MSG.GET.MESH_EVENTS", "STREAM.INFO.MESH_EVENTS", "INFO"] {
                    _ = try await attacker.publish("$JS.API.\(request)", #"{"seq":1}"#, replyTo: purge)
                }
                // What follows comes after it.
                _ = try await admin.emit(EventType("user.last"))
                #expect(try await admin.history(limit: 100).count >= 4, "\(attacker.role) on \(version)")
                guard !Self.readers.contains(attacker.role) else { continue }
                // The acknowledgement of an event names the stream and a sequence: a purge of all below it.
                _ = try await attacker.publish("events.user.x", "1", replyTo: purge)
                _ = try await admin.emit(EventType("user.last"))
                let isHeld = try await admin.history(limit: 100).count >= 4
                #expect(isHeld == AuthDirectory.isHeld(byServer: version), "\(attacker.role) on \(version)")
                AbuseTable.note(
                    suite: "roles",
                    act: "\(attacker.role.rawValue): have the acknowledgement of an event sent to \(purge)",
                    server: binary,
                    outcome: isHeld ? .held : .open
                )
            }
        }
    }

    @Test func versionsThatHoldTheRoles() {
        for version in ["2.12.0", "2.12.8", "2.15.1", "3.0.0", "2.15.0-dev"] {
            #expect(AuthDirectory.isHeld(byServer: version), "\(version)")
        }
        for version in ["2.9.10", "2.11.11", "1.4.1", "", "x", "2"] {
            #expect(!AuthDirectory.isHeld(byServer: version), "\(version)")
        }
    }
}
