import LocalNATSServer
public import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("NATS client: messages", .timeLimit(.minutes(5)))
struct ClientMessagingTests {
    @Test("what is published arrives whole: headers, reply, empty and large payloads", arguments: NATSServers.all)
    func roundTrip(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let publisher = try await connect(server)
            let subscriber = try await connect(server)
            let subscription = try await subscriber.subscribe(to: "a.*")
            let large = ByteBuffer(repeating: 7, count: 1 << 20)
            try publisher.publish(ByteBuffer(), to: "a.empty")
            try publisher.publish(
                ByteBuffer(string: "h\u{e9}llo"),
                to: "a.full",
                replyTo: "answer.here",
                headers: ["K": "v", "Sp": "a: b"]
            )
            try publisher.publish(large, to: "a.large")
            let messages = try await take(3, from: subscription)
            #expect(messages.map(\.subject) == ["a.empty", "a.full", "a.large"])
            #expect(messages[0].payload.readableBytes == 0)
            #expect(messages[0].headers.isEmpty)
            #expect(messages[1].text == "h\u{e9}llo")
            #expect(messages[1].replyTo == "answer.here")
            #expect(messages[1].headers == ["K": "v", "Sp": "a: b"])
            #expect(messages[2].payload == large)
        }
    }

    @Test("members of a queue group share the messages; others get them all", arguments: NATSServers.all)
    func queueGroups(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let one = try await connection.subscribe(to: "work", queueGroup: "crew")
            let two = try await connection.subscribe(to: "work", queueGroup: "crew")
            let all = try await connection.subscribe(to: "work")
            for number in 0..<200 { try connection.publish(ByteBuffer(string: "\(number)"), to: "work") }
            #expect(try await take(200, from: all).map(\.text) == (0..<200).map(String.init))
            try await one.drain()
            try await two.drain()
            let shared = try await take(.max, from: one).map(\.text) + (try await take(.max, from: two).map(\.text))
            #expect(shared.count == 200)
            #expect(Set(shared).count == 200)
        }
    }

    @Test(
        "a request gets its answer, no service is known at once, silence ends at the deadline",
        arguments: NATSServers.all
    )
    func requests(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let client = try await connect(server)
            let service = try await connect(server)
            let requests = try await service.subscribe(to: "echo")
            let silent = try await service.subscribe(to: "silent")
            let echo = Task {
                for try await request in requests {
                    try service.publish(request.payload, to: request.replyTo ?? "none", headers: request.headers)
                }
            }
            let answer = try await client.request(ByteBuffer(string: "hi"), to: "echo", headers: ["A": "b"])
            #expect(answer.text == "hi")
            #expect(answer.headers["A"] == "b")
            let start = ContinuousClock.now
            await #expect(throws: code(.noResponders)) { try await client.request(to: "nobody", timeout: .seconds(30)) }
            #expect(ContinuousClock.now - start < .seconds(5))
            await #expect(throws: code(.timeout)) {
                try await client.request(to: "silent", timeout: .milliseconds(200))
            }
            let cancelled = Task { try await client.request(to: "silent", timeout: .seconds(60)) }
            cancelled.cancel()
            await #expect(throws: code(.cancelled)) { try await cancelled.value }
            silent.cancel()
            echo.cancel()
        }
    }

    @Test("10 000 requests leave one inbox subscription on the server", arguments: NATSServers.all)
    func oneInbox(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(extraConfiguration: SubscriptionCount.accounts)) { server in
            let client = try await connect(server)
            let service = try await connect(server)
            let requests = try await service.subscribe(to: "echo")
            let echo = Task {
                for try await request in requests {
                    try service.publish(request.payload, to: request.replyTo ?? "none")
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        for _ in 0..<500 { _ = try await client.request(to: "echo", timeout: .seconds(30)) }
                    }
                }
                try await group.waitForAll()
            }
            let id = try #require(await client.serverInfo?.clientID)
            #expect(try await SubscriptionCount(server).ofClient(id) == 1)
            echo.cancel()
        }
    }

    @Test("a subscription ends by itself after its last message", arguments: NATSServers.all)
    func limited(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let subscription = try await connection.subscribe(to: "n")
            subscription.unsubscribe(after: 3)
            for number in 0..<10 { try connection.publish(ByteBuffer(string: "\(number)"), to: "n") }
            #expect(try await take(.max, from: subscription).map(\.text) == ["0", "1", "2"])
        }
    }

    @Test(
        "a message above the server's limit is refused with both sizes, and the connection stays",
        arguments: NATSServers.all
    )
    func tooLarge(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(maxPayload: 1000)) { server in
            let connection = try await connect(server)
            let error = #expect(throws: NATSError.self) {
                try connection.publish(ByteBuffer(repeating: 1, count: 1001), to: "a")
            }
            #expect(error?.code == .payloadTooLarge)
            #expect(error?.message.contains("1001") == true && error?.message.contains("1000") == true)
            try connection.publish(ByteBuffer(repeating: 1, count: 1000), to: "a")
            try await connection.flush()
        }
    }

    @Test("forbidden subjects reach the caller concerned, and nothing else breaks", arguments: NATSServers.all)
    func permissions(binary: NATSServers.Binary) async throws {
        let rules = """
            authorization { users: [ { user: u, password: p, permissions: {
              publish: { allow: ["ok.>", "_INBOX.>"] }, subscribe: { allow: ["ok.>", "_INBOX.>"] } } } ] }
            """
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .userPassword(user: "u", password: "p")
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let allowed = try await connection.subscribe(to: "ok.a")
            await #expect(throws: code(.permissionDenied)) { try await connection.subscribe(to: "secret.>") }
            await #expect(throws: code(.permissionDenied)) {
                try await connection.subscribe(to: "secret.>", queueGroup: "q")
            }
            try connection.publish(ByteBuffer(), to: "secret.a")
            await #expect(throws: code(.permissionDenied)) { try await connection.flush() }
            await #expect(throws: code(.permissionDenied)) {
                try await connection.request(to: "secret.a", timeout: .seconds(30))
            }
            _ = try? await connection.flush()
            try connection.publish(ByteBuffer(string: "fine"), to: "ok.a")
            #expect(try await take(1, from: allowed).map(\.text) == ["fine"])
            try await connection.flush()
        }
    }

    @Test("a reader that is slower than the server loses what its buffer cannot hold, counted exactly")
    func slowReader() async throws {
        try await withServer { server in
            let connection = try await connect(server)
            let slow = try await connection.subscribe(to: "n", maximumMessages: 100)
            let other = try await connection.subscribe(to: "n")
            for number in 0..<1000 { try connection.publish(ByteBuffer(string: "\(number)"), to: "n") }
            #expect(try await take(1000, from: other).count == 1000)
            try await slow.drain()
            #expect(try await take(.max, from: slow).map(\.text) == (0..<100).map(String.init))
            #expect(slow.dropped == 900)
        }
    }

    @Test("a backlog of 100 000 drains at the rate of one of 1 000")
    func backlog() async throws {
        try await withServer { server in
            let connection = try await connect(server)
            func nanosecondsPerMessage(_ count: Int) async throws -> Double {
                let subscription = try await connection.subscribe(to: "n", maximumMessages: count)
                for number in 0..<count {
                    if number % 1000 == 0 { try await connection.waitUntilWritable() }
                    try connection.publish(ByteBuffer(integer: number), to: "n")
                }
                try await subscription.drain(timeout: .seconds(60))
                let start = ContinuousClock.now
                #expect(try await take(.max, from: subscription).count == count)
                return (ContinuousClock.now - start) / .nanoseconds(1) / Double(count)
            }
            _ = try await nanosecondsPerMessage(1000)
            var small: [Double] = []
            var large: [Double] = []
            for _ in 0..<3 {
                small.append(try await nanosecondsPerMessage(1000))
                large.append(try await nanosecondsPerMessage(100_000))
            }
            // A quadratic drain would be a hundred times slower, not twice.
            #expect((large.min() ?? 0) < 5 * (small.max() ?? 0))
        }
    }

    @Test("draining a connection delivers what was sent and ends its subscriptions; closed connections refuse work")
    func drainAndClose() async throws {
        try await withServer { server in
            let connection = try await connect(server)
            let other = try await connect(server)
            let mine = try await connection.subscribe(to: "n")
            let theirs = try await other.subscribe(to: "n")
            for _ in 0..<1000 { try connection.publish(ByteBuffer(), to: "n") }
            try await connection.drain()
            #expect(try await take(.max, from: mine).count == 1000)
            #expect(try await take(1000, from: theirs).count == 1000)
            #expect(throws: code(.closed)) { try connection.publish(ByteBuffer(), to: "n") }
            await #expect(throws: code(.closed)) { try await connection.subscribe(to: "n") }
            await #expect(throws: code(.closed)) { try await connection.flush() }
            await #expect(throws: code(.closed)) { try await connection.request(to: "n") }
            await #expect(throws: code(.closed)) { try await connection.waitUntilWritable() }
            await other.close()
            #expect(try await take(.max, from: theirs).isEmpty)
        }
    }

    @Test("bad subjects and headers are refused before anything is sent")
    func badInput() async throws {
        try await withServer { server in
            let connection = try await connect(server)
            for subject in ["", "a..b", "a b", "a.*", "a\r\nPUB x 0\r\n"] {
                #expect(throws: code(.invalidSubject)) { try connection.publish(ByteBuffer(), to: subject) }
            }
            #expect(throws: code(.invalidSubject)) { try connection.publish(ByteBuffer(), to: "a", replyTo: "b c") }
            #expect(throws: code(.invalidHeader)) {
                try connection.publish(ByteBuffer(), to: "a", headers: ["k": "a\nb"])
            }
            await #expect(throws: code(.invalidSubject)) { try await connection.subscribe(to: "a.>.b") }
            await #expect(throws: code(.invalidSubject)) { try await connection.subscribe(to: "a", queueGroup: "b c") }
            try await connection.flush()
        }
    }
}

/// Matches an error by its code, for `#expect(throws:)`.
func code(_ code: NATSError.Code) -> NATSError { NATSError(code, "") }

extension NATSError: Equatable {
    /// Equal when the codes are.
    public static func == (one: NATSError, two: NATSError) -> Bool { one.code == two.code }
}
