import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("NATS client: refusals reach who asked, and nobody else", .timeLimit(.minutes(3)))
struct ClientRefusalTests {
    @Test("a subscription beyond the server's limit is refused to who asked for it", arguments: NATSServers.all)
    func maximumSubscriptions(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(jetStream: false, extraConfiguration: "max_subscriptions: 4")) { server in
            // One is the connection's own inbox.
            let connection = try await connect(server)
            let subjects = (0..<8).map { "s.\($0)" }
            let outcomes = await withTaskGroup(of: (String, Result<NATSSubscription, NATSError>).self) { group in
                for subject in subjects {
                    group.addTask {
                        do throws(NATSError) {
                            return (subject, .success(try await connection.subscribe(to: subject)))
                        } catch {
                            return (subject, .failure(error))
                        }
                    }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            var heard = 0
            for subject in subjects { try connection.publish(ByteBuffer(string: subject), to: subject) }
            for (subject, outcome) in outcomes {
                switch outcome {
                case .success(let subscription):
                    #expect(try await take(1, from: subscription).map(\.text) == [subject])
                    heard += 1
                case .failure(let error):
                    #expect(error.code == .serverError)
                    #expect(error.message.contains("subscription to \(subject)"), "\(error)")
                    #expect(error.message.lowercased().contains("maximum subscriptions"), "\(error)")
                }
            }
            #expect(heard == 3)
            try await connection.flush()
            await connection.close()
        }
    }

    @Test("restored subscriptions that the next server refuses end with its reason; the others go on")
    func restoredBeyondALimit() async throws {
        let logins = Counter()
        let server = try await FakeServer.start(resets: true) { text in
            var answer = ""
            if text.contains("CONNECT") { logins.add() }
            for line in text.split(separator: "\r\n") {
                if logins.count > 1, line.hasPrefix("SUB c ") {
                    answer += "-ERR 'maximum subscriptions exceeded'\r\n"
                } else if line == "PING" {
                    answer += "PONG\r\n"
                } else if line.hasPrefix("PUB drop ") {
                    return answer + "RESET\r\n"
                } else if line.hasPrefix("PUB a "), logins.count > 1 {
                    answer += "MSG a 1 1\r\nx\r\n"
                }
            }
            return answer
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        let first = try await connection.subscribe(to: "a")
        let second = try await connection.subscribe(to: "b")
        let third = try await connection.subscribe(to: "c")
        try connection.publish(ByteBuffer(), to: "drop")
        let error = await #expect(throws: NATSError.self) { _ = try await take(1, from: third) }
        #expect(error?.message.contains("subscription to c") == true, "\(String(describing: error))")
        try await eventually("a flush") { (try? await connection.flush(timeout: .seconds(1))) != nil }
        try connection.publish(ByteBuffer(), to: "a")
        #expect(try await take(1, from: first).map(\.text) == ["x"])
        second.cancel()
        await connection.close()
        try await server.stop()
    }

    @Test("a subscription that was being drained when the connection was lost is not restored")
    func drainedAndLost() async throws {
        let logins = Counter()
        let restored = Counter()
        let server = try await FakeServer.start(resets: true) { text in
            if text.contains("CONNECT") { logins.add() }
            if logins.count > 1, text.contains("SUB a ") { restored.add() }
            if text.contains("UNSUB 1") { return "RESET\r\n" }
            let pings = text.split(separator: "\r\n").count { $0 == "PING" }
            return pings > 0 ? String(repeating: "PONG\r\n", count: pings) : nil
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        let drained = try await connection.subscribe(to: "a")
        try await drained.drain()
        #expect(logins.count > 1, "the connection was lost in between")
        try await connection.flush()
        #expect(restored.count == 0)
        await connection.close()
        try await server.stop()
    }

    @Test("a pull request that the server forbids is no flush's business", arguments: NATSServers.all)
    func forbiddenPull(binary: NATSServers.Binary) async throws {
        let rules = """
            authorization { users: [ { user: u, password: p, permissions: {
              publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>", "$JS.ACK.>"] } } } ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .userPassword(user: "u", password: "p")
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let jetStream = JetStream(connection: connection)
            let inbox = connection.makeInbox()
            async let heard = status(of: connection, "the refusal") { status in
                if case .serverError(let error) = status { error.subject } else { nil }
            }
            try jetStream.sendPull(PullRequest(batch: 1), to: "c", on: "S", inbox: inbox)
            try connection.publish(ByteBuffer(string: "+WPI"), to: "$JS.ACK.S.c.1.1.1.1.0")
            try await connection.flush()
            #expect(try await heard == "$JS.API.CONSUMER.MSG.NEXT.S.c")
            await connection.close()
        }
    }

    @Test(
        "a server that accepts and drops, or refuses the user then, is asked ever less often",
        arguments: ["", "-ERR 'User Authentication Expired'\r\n"]
    )
    func acceptedAndDropped(_ words: String) async throws {
        let logins = Counter()
        let server = try await FakeServer.start(resets: true) { text in
            guard text.contains("CONNECT") else { return nil }
            logins.add()
            return "PONG\r\n\(words)RESET\r\n"
        }
        var settings = server.settings
        settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(40), maximum: .seconds(5))
        let connection = try await NATSConnection.connect(settings, logger: quiet)
        let start = ContinuousClock.now
        try await eventually("the sixth login") { logins.count >= 6 }
        // Four waits of at least half of 80, 160, 320 and 640 ms; one after the other at the shortest it was 0.1 s.
        #expect(ContinuousClock.now - start >= .milliseconds(590))
        await connection.close()
        try await server.stop()
    }
}
