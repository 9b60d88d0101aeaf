import LocalNATSServer
import NATSClient
import NIOCore
import Synchronization
import TestSupport
import Testing

@Suite("NATS client: lost connections", .timeLimit(.minutes(5)))
struct ClientReconnectTests {
    @Test("over a restart, what was thrown, received and reported as unconfirmed adds up", arguments: NATSServers.all)
    func nothingLostSilently(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            // Its own subscriber, which is restored before what is buffered is sent: no other would be there in time.
            let connection = try await connect(server)
            let subscription = try await connection.subscribe(to: "n")
            let restart = Task {
                try await Task.sleep(for: .milliseconds(200))
                await server.kill()
                try await Task.sleep(for: .milliseconds(500))
                try await server.restart()
            }
            var thrown = 0
            for number in 0..<400 {
                do { try connection.publish(ByteBuffer(integer: number), to: "n") } catch { thrown += 1 }
                try await Task.sleep(for: .milliseconds(3))
            }
            try await restart.value
            var unconfirmed = 0
            do { try await connection.flush() } catch let error as NATSError where error.code == .messagesUnconfirmed {
                unconfirmed = error.message.split(separator: " ").lazy.compactMap { Int($0) }.first ?? 0
            }
            try await connection.flush()
            try await subscription.drain()
            let received = try await take(.max, from: subscription).map {
                $0.payload.getInteger(at: 0, as: Int.self) ?? -1
            }
            #expect(received == received.sorted())
            #expect(Set(received).count == received.count)
            let missing = 400 - thrown - received.count
            #expect(missing <= unconfirmed, "\(missing) missing, \(unconfirmed) reported, \(thrown) thrown")
            #expect(received.last == 399)
        }
    }

    @Test("messages published while the server is down arrive after it is back, in order", arguments: NATSServers.all)
    func bufferedWhileDown(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let publisher = try await connect(server)
            let subscription = try await publisher.subscribe(to: "n")
            await server.kill()
            try await status(of: publisher, "the loss") { if case .disconnected = $0 { true } else { nil } }
            for number in 0..<1000 { try publisher.publish(ByteBuffer(string: "\(number)"), to: "n") }
            // The publisher's own subscription is restored before what it has buffered is sent.
            try await server.restart()
            try await publisher.flush()
            #expect(try await take(1000, from: subscription).map(\.text) == (0..<1000).map(String.init))
        }
    }

    @Test("the buffer for a lost connection is bounded: then publishing throws, retriably", arguments: NATSServers.all)
    func boundedWhileDown(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            var settings = try configuration(server)
            settings.maximumPendingBytes = 100_000
            let publisher = try await NATSConnection.connect(settings, logger: quiet)
            await server.kill()
            try await status(of: publisher, "the loss") { if case .disconnected = $0 { true } else { nil } }
            var accepted = 0
            let error = #expect(throws: NATSError.self) {
                while accepted < 1000 {
                    try publisher.publish(ByteBuffer(repeating: 1, count: 1000), to: "n")
                    accepted += 1
                }
            }
            #expect(error?.code == .bufferFull)
            #expect(error?.isRetriable == true)
            #expect((90..<100).contains(accepted))
            try await server.restart()
            try await publisher.waitUntilWritable()
            try publisher.publish(ByteBuffer(), to: "n")
            try await publisher.flush()
        }
    }

    @Test("subscriptions, queue groups and what is left of a limit survive a restart", arguments: NATSServers.all)
    func restored(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let one = try await connection.subscribe(to: "n", queueGroup: "q")
            let two = try await connection.subscribe(to: "n", queueGroup: "q")
            let limited = try await connection.subscribe(to: "n")
            limited.unsubscribe(after: 150)
            for number in 0..<100 { try connection.publish(ByteBuffer(string: "\(number)"), to: "n") }
            try await connection.flush()
            try await server.restart()
            try await status(of: connection, "the return") { if case .reconnected = $0 { true } else { nil } }
            for number in 100..<200 { try connection.publish(ByteBuffer(string: "\(number)"), to: "n") }
            try await connection.flush()
            try await one.drain()
            try await two.drain()
            let shared = try await take(.max, from: one).map(\.text) + (try await take(.max, from: two).map(\.text))
            #expect(shared.count == 200)
            #expect(Set(shared).count == 200)
            #expect(try await take(.max, from: limited).map(\.text) == (0..<150).map(String.init))
        }
    }

    @Test(
        "a request under way when the connection is lost fails at once, retriably; a later one waits",
        arguments: NATSServers.all
    )
    func requests(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let silent = try await connection.subscribe(to: "silent")
            let underWay = Task { try await connection.request(to: "silent", timeout: .seconds(60)) }
            #expect(try await take(1, from: silent).count == 1)
            await server.kill()
            let error = await #expect(throws: NATSError.self) { try await underWay.value }
            #expect(error?.code == .connectionFailed)
            #expect(error?.isRetriable == true)
            let later = Task { try await connection.request(to: "nobody", timeout: .seconds(30)) }
            try await server.restart()
            await #expect(throws: code(.noResponders)) { try await later.value }
        }
    }

    @Test("addresses that a cluster announces are used when the given server is gone", arguments: NATSServers.all)
    func announced(binary: NATSServers.Binary) async throws {
        let routePort = try freePorts(1)[0]
        let seed = LocalNATSServer.Configuration(
            serverName: "one",
            jetStream: false,
            extraConfiguration: "cluster { name: c, listen: \"127.0.0.1:\(routePort)\" }"
        )
        try await withServer(binary, seed) { one in
            let joining = LocalNATSServer.Configuration(
                serverName: "two",
                jetStream: false,
                extraConfiguration:
                    "cluster { name: c, listen: \"127.0.0.1:-1\", routes: [\"nats://127.0.0.1:\(routePort)\"] }"
            )
            try await withServer(binary, joining) { two in
                let connection = try await connect(one)
                try await eventually("two servers to be announced") {
                    await connection.serverInfo?.clusterAddresses.count == 2
                }
                let subscription = try await connection.subscribe(to: "n")
                await one.kill()
                let server = try await status(of: connection, "the move") {
                    if case .reconnected(let server) = $0 { server } else { nil }
                }
                #expect(server.port == two.port)
                try connection.publish(ByteBuffer(string: "x"), to: "n")
                #expect(try await take(1, from: subscription).count == 1)
            }
        }
    }

    @Test("a server that stops answering is noticed by the missing pongs", arguments: NATSServers.all)
    func suspended(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            var settings = try configuration(server)
            settings.pingInterval = .milliseconds(100)
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            server.suspend()
            // A stop signal takes a moment to reach every thread of the server.
            try await eventually("a flush to find no answer") {
                do throws(NATSError) {
                    try await connection.flush(timeout: .milliseconds(50))
                    return false
                } catch {
                    return error.code == .timeout
                }
            }
            try await status(of: connection, "the loss") { if case .disconnected = $0 { true } else { nil } }
            server.resume()
            try await status(of: connection, "the return") { if case .reconnected = $0 { true } else { nil } }
            try? await connection.flush()
            try await connection.flush()
        }
    }

    @Test("a server that shuts down gently says so first", arguments: NATSServers.all)
    func lameDuck(binary: NATSServers.Binary) async throws {
        let quick = "lame_duck_grace_period: \"1s\"\nlame_duck_duration: \"30s\""
        try await withServer(binary, .init(extraConfiguration: quick)) { server in
            let connection = try await connect(server)
            let notice = Task {
                try await status(of: connection, "the notice") {
                    if case .lameDuck(let server) = $0 { server } else { nil }
                }
            }
            let pid = try #require(server.pid)
            #expect(sendLameDuckSignal(pid))
            #expect(try await notice.value.port == server.port)
        }
    }

    @Test("after its last pass a connection ends: calls throw, sequences throw, nothing hangs")
    func givesUp() async throws {
        try await withServer { server in
            var settings = try configuration(server)
            settings.maximumReconnectPasses = 2
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let subscription = try await connection.subscribe(to: "n")
            await server.kill()
            await #expect(throws: NATSError.self) { try await take(1, from: subscription) }
            #expect(throws: NATSError.self) { try connection.publish(ByteBuffer(), to: "n") }
            await #expect(throws: NATSError.self) { try await connection.flush() }
            var last: NATSStatus?
            for await status in connection.statusUpdates() { last = status }
            guard case .closed(let error?) = last else {
                Issue.record("the last status is \(String(describing: last))")
                return
            }
            #expect(error.code == .connectionFailed)
        }
    }

    @Test("the last status of a closed connection is closed, without an error")
    func closedStatus() async throws {
        try await withServer { server in
            let connection = try await connect(server)
            let updates = connection.statusUpdates()
            await connection.close()
            var seen: [String] = []
            for await status in updates {
                switch status {
                case .connected: seen.append("connected")
                case .closed(nil): seen.append("closed")
                default: seen.append("\(status)")
                }
            }
            #expect(seen == ["connected", "closed"])
        }
    }

    @Test("connections opened, used and released in parallel leave nothing behind and never hang")
    func churn() async throws {
        try await withServer { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        let connection = try await connect(server)
                        let subscription = try await connection.subscribe(to: "n.\(number)")
                        try connection.publish(ByteBuffer(), to: "n.\(number)")
                        #expect(try await take(1, from: subscription).count == 1)
                        if number % 3 == 0 { await connection.close() }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
