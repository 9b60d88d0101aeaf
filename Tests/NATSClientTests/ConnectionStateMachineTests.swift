import Testing

@testable import NATSClient

@Suite("Connection state machine")
struct ConnectionStateMachineTests {
    private let a = ServerAddress(host: "a")
    private let b = ServerAddress(host: "b")

    private func machine(
        _ servers: [ServerAddress],
        retriesInitially: Bool = false,
        maximumPasses: Int? = nil,
        tlsFirst: Bool = false,
        tlsRequired: Bool = false
    ) -> ConnectionStateMachine {
        ConnectionStateMachine(
            servers: servers,
            delay: ReconnectDelay(),
            retriesInitially: retriesInitially,
            maximumPasses: maximumPasses,
            tlsFirst: tlsFirst,
            tlsRequired: tlsRequired
        )
    }

    private func info(_ members: String = "") throws -> ServerInfo {
        try "{\(members)}".withUTF8Copy { try ServerInfo.parse($0) }
    }

    private let refused = NATSError(.connectionFailed, "refused", isRetriable: true)

    private func connected(_ servers: [ServerAddress], maximumPasses: Int? = nil) throws -> ConnectionStateMachine {
        var machine = machine(servers, maximumPasses: maximumPasses)
        _ = machine.start()
        _ = machine.tcpConnected()
        _ = machine.infoReceived(try info())
        #expect(machine.loginAnswered() == [.ready(isReconnect: false)])
        return machine
    }

    @Test("plain: connect, INFO, login, ready")
    func plain() throws {
        var machine = machine([a])
        #expect(machine.start() == [.connect(a, attempt: 1)])
        #expect(machine.start() == [])
        #expect(machine.tcpConnected() == [])
        #expect(machine.infoReceived(try info()) == [.login])
        #expect(!machine.isConnected)
        #expect(machine.loginAnswered() == [.ready(isReconnect: false)])
        #expect(machine.isConnected)
    }

    @Test("TLS after INFO, whoever asks for it")
    func tlsAfterInfo() throws {
        for (address, required, members) in [
            (ServerAddress(host: "a", usesTLS: true), false, #""tls_available":true"#),
            (a, true, #""tls_available":true"#),
            (a, false, #""tls_required":true"#),
        ] {
            var machine = machine([address], tlsRequired: required)
            _ = machine.start()
            _ = machine.tcpConnected()
            #expect(machine.infoReceived(try info(members)) == [.startTLS])
            #expect(machine.tlsEstablished() == [.login])
        }
    }

    @Test("handshake first: TLS, then INFO, then login, and no second TLS")
    func tlsFirst() throws {
        var machine = machine([a], tlsFirst: true, tlsRequired: true)
        _ = machine.start()
        #expect(machine.tcpConnected() == [.startTLS])
        #expect(machine.tlsEstablished() == [])
        #expect(machine.infoReceived(try info(#""tls_required":true"#)) == [.login])
    }

    @Test("a server without TLS is refused when TLS is wanted, instead of being spoken to in plain text")
    func noDowngrade() throws {
        var machine = machine([a], tlsRequired: true)
        _ = machine.start()
        _ = machine.tcpConnected()
        #expect(machine.infoReceived(try info()) == [.closeChannel, .end])
        #expect(machine.lastError?.code == .tlsFailed)
    }

    @Test("the first connection tries every server once, then gives up with the last error")
    func initialFailure() {
        var machine = machine([a, b])
        _ = machine.start()
        #expect(machine.failed(refused) == [.closeChannel, .attemptFailed(a), .connect(b, attempt: 2)])
        #expect(machine.failed(refused) == [.closeChannel, .end])
        #expect(machine.lastError?.message == "refused")
        #expect(machine.isClosed)
    }

    @Test("with retries the first connection waits and goes on")
    func initialRetry() {
        var machine = machine([a], retriesInitially: true)
        _ = machine.start()
        for _ in 0..<50 {
            let actions = machine.failed(refused)
            #expect(actions.count == 3)
            guard case .wait(let delay) = actions.last else { return #expect(Bool(false), "no wait in \(actions)") }
            #expect(delay <= .seconds(10))
            #expect(machine.waitElapsed().count == 1)
        }
    }

    @Test("a lost connection reconnects for ever, to the next server first")
    func reconnect() throws {
        var machine = try connected([a, b])
        let lost = machine.failed(refused)
        #expect(lost.prefix(2) == [.closeChannel, .lost])
        #expect(machine.waitElapsed() == [.connect(b, attempt: 2)])
        for _ in 0..<200 {
            if machine.failed(refused).contains(where: { if case .wait = $0 { true } else { false } }) {
                _ = machine.waitElapsed()
            }
            #expect(!machine.isClosed)
        }
        _ = machine.tcpConnected()
        _ = machine.infoReceived(try info())
        #expect(machine.loginAnswered() == [.ready(isReconnect: true)])
    }

    @Test("a limit on passes ends the connection after them")
    func limitedPasses() throws {
        var machine = try connected([a], maximumPasses: 2)
        _ = machine.failed(refused)
        _ = machine.waitElapsed()
        #expect(machine.failed(refused).last != .end)
        _ = machine.waitElapsed()
        #expect(machine.failed(refused) == [.closeChannel, .end])
    }

    @Test("announced servers are used after the given one is lost; IPv6 and forms without a scheme too")
    func announced() throws {
        var machine = try connected([a])
        _ = machine.infoReceived(try info(#""connect_urls":["a:4222","10.0.0.2:4333","[::1]:4444"]"#))
        _ = machine.failed(refused)
        var tried: Set<String> = []
        for _ in 0..<3 {
            for action in machine.waitElapsed() + machine.failed(refused) {
                if case .connect(let server, _) = action { tried.insert(server.description) }
            }
        }
        #expect(tried == ["nats://a:4222", "nats://10.0.0.2:4333", "nats://[::1]:4444"])
    }

    @Test("what is announced before TLS, or by a server that refuses the login, is not used")
    func announcedTooEarly() throws {
        let announcing = #""tls_available":true,"connect_urls":["10.0.0.2:4333"]"#
        for (address, required) in [(ServerAddress(host: "a", usesTLS: true), false), (a, true)] {
            var machine = machine([address], tlsRequired: required)
            _ = machine.start()
            _ = machine.tcpConnected()
            #expect(machine.isUnprotected)
            _ = machine.infoReceived(try info(announcing))
            #expect(machine.isStartingTLS && machine.isUnprotected)
            _ = machine.tlsEstablished()
            #expect(machine.isLoggingIn && !machine.isUnprotected)
            _ = machine.loginAnswered()
            #expect(machine.pool.count == 1)
            // Said again on the encrypted connection, it counts.
            _ = machine.infoReceived(try info(announcing))
            #expect(machine.pool.count == 2)
        }
        var plain = machine([a])
        _ = plain.start()
        _ = plain.tcpConnected()
        _ = plain.infoReceived(try info(announcing.replacing(#""tls_available":true,"#, with: "")))
        #expect(plain.pool.count == 1)
        _ = plain.loginAnswered()
        #expect(plain.pool.count == 2)
        var first = machine([a], tlsFirst: true, tlsRequired: true)
        _ = first.start()
        _ = first.tcpConnected()
        #expect(first.isStartingTLS)
        _ = first.tlsEstablished()
        _ = first.infoReceived(try info(announcing))
        _ = first.loginAnswered()
        #expect(first.pool.count == 2)
    }

    @Test("a server announced by its address keeps the name that was given, over any number of announcements")
    func certificateName() throws {
        let given = ServerAddress(host: "mesh.local", usesTLS: true)
        let second = try #require(given.announced("10.0.0.2:4333"))
        #expect(second.certificateName == "mesh.local")
        #expect(second.announced("[::1]:4444")?.certificateName == "mesh.local")
        #expect(second.announced("other.local:4444")?.certificateName == nil)
        #expect(ServerAddress(host: "10.0.0.1", usesTLS: true).announced("10.0.0.2:4333")?.certificateName == nil)
    }

    @Test("a WebSocket without TLS is refused when TLS is configured")
    func plainWebSocket() throws {
        var machine = machine([try ServerAddress("ws://a")], tlsRequired: true)
        _ = machine.start()
        _ = machine.tcpConnected()
        #expect(machine.infoReceived(try info()) == [.closeChannel, .end])
        #expect(machine.lastError?.code == .tlsFailed)
        var secured = self.machine([try ServerAddress("wss://a")], tlsRequired: true)
        _ = secured.start()
        _ = secured.tcpConnected()
        #expect(secured.infoReceived(try info()) == [.login])
    }

    @Test("closing ends it from every state, and nothing revives it")
    func close() throws {
        var idle = machine([a])
        #expect(idle.close() == [.end])
        #expect(idle.start() == [])
        var connecting = machine([a])
        _ = connecting.start()
        #expect(connecting.close() == [.closeChannel, .end])
        #expect(connecting.failed(refused) == [])
        #expect(connecting.tcpConnected() == [])
        var up = try connected([a])
        #expect(up.close() == [.closeChannel, .end])
        #expect(up.close() == [])
        #expect(up.waitElapsed() == [])
        var lost = try connected([a])
        _ = lost.failed(refused)
        #expect(lost.close() == [.end])
        #expect(lost.lastError == nil)
    }

    @Test("a server that accepts and drops at once is asked ever less often, until a connection has lasted")
    func flapping() throws {
        var machine = try connected([a])
        func nextDelay(_ machine: inout ConnectionStateMachine, uptime: Duration = .zero) throws -> Duration {
            guard case .wait(let delay)? = machine.failed(refused, uptime: uptime).last else {
                throw NATSError(.invalidArgument, "no wait")
            }
            #expect(machine.waitElapsed().count == 1)
            _ = machine.tcpConnected()
            _ = machine.infoReceived(try info())
            #expect(machine.loginAnswered() == [.ready(isReconnect: true)])
            return delay
        }
        for number in 0..<12 {
            let delay = try nextDelay(&machine)
            let bound = min(Duration.milliseconds(100 << number), .seconds(10))
            #expect(delay <= bound && (number == 0 || delay >= bound / 2), "wait \(number) of \(delay)")
        }
        #expect(try nextDelay(&machine, uptime: .milliseconds(999)) >= .seconds(5))
        // Of use, though not for long: the link is to be up most of the time.
        for _ in 0..<5 { #expect(try nextDelay(&machine, uptime: .milliseconds(1_500)) <= .milliseconds(375)) }
        for _ in 0..<12 { _ = try nextDelay(&machine) }
        let delay = try nextDelay(&machine, uptime: .seconds(8))
        #expect(delay <= .seconds(2) && delay >= .milliseconds(800), "\(delay)")
        for _ in 0..<12 { _ = try nextDelay(&machine) }
        #expect(try nextDelay(&machine, uptime: .seconds(10)) <= .milliseconds(100))
    }

    @Test("a limit on passes counts anew for each connection, however often it is lost")
    func passesOfAFlappingServer() throws {
        var machine = try connected([a], maximumPasses: 2)
        for _ in 0..<10 {
            _ = machine.failed(refused)
            _ = machine.waitElapsed()
            _ = machine.tcpConnected()
            _ = machine.infoReceived(try info())
            #expect(machine.loginAnswered() == [.ready(isReconnect: true)])
        }
    }

    @Test("delays double up to the maximum and are jittered")
    func delays() {
        let delay = ReconnectDelay(initial: .milliseconds(100), maximum: .seconds(2))
        #expect(delay.delay(beforePass: 0, random: 0) == .zero)
        #expect(delay.delay(beforePass: 0, random: 0.5) == .milliseconds(50))
        #expect(delay.delay(beforePass: 1, random: 0) == .milliseconds(100))
        #expect(delay.delay(beforePass: 3, random: 0.5) == .milliseconds(600))
        #expect(delay.delay(beforePass: 62, random: 0) == .seconds(1))
    }
}

extension String {
    func withUTF8Copy<T>(_ body: (UnsafeRawBufferPointer) throws -> T) rethrows -> T {
        try Array(utf8).withUnsafeBytes(body)
    }
}
