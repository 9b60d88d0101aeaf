import NATSClient
import NIOCore
import TestSupport
import Testing

/// Whatever a server says and however it ends a connection, at any point of it: the process goes on, the next address
/// is tried, and when there is none the caller hears why.
@Suite("NATS client: every way a connection ends", .timeLimit(.minutes(10)))
struct EveryEndingTests {
    typealias Ending = EndingServer.Ending

    private func settings(_ servers: [EndingServer]) -> NATSConnection.Configuration {
        var settings = NATSConnection.Configuration(servers: servers.map(\.address))
        // The good one is behind those that end connections.
        settings.randomizesServers = false
        settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(1), maximum: .milliseconds(10))
        return settings
    }

    /// Runs `body` with servers that end connections, and perhaps a good one behind them.
    private func withServers(
        _ count: Int,
        _ point: EndingServer.Point,
        _ ending: Ending,
        andGood: Bool,
        _ body: ([EndingServer]) async throws -> Void
    ) async throws {
        var servers: [EndingServer] = []
        for _ in 0..<count { servers.append(try await .start(point, ending)) }
        if andGood { servers.append(try await .start()) }
        try await body(servers)
        for server in servers { try await server.stop() }
    }

    @Test("before the login is accepted", arguments: Ending.ways + Ending.reports)
    func connecting(ending: Ending) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for point in [EndingServer.Point.connecting, .loggingIn] {
                for count in 1...3 {
                    group.addTask { try await fails(count, point, ending) }
                    group.addTask { try await goesOn(count, point, ending) }
                }
            }
            try await group.waitForAll()
        }
    }

    /// To a handshake every report is the same: no TLS.
    @Test("in the middle of the TLS handshake", arguments: Ending.ways + Ending.reports.prefix(2))
    func handshake(ending: Ending) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for count in 1...3 { group.addTask { try await fails(count, .tls, ending) } }
            group.addTask { try await goesOn(2, .tls, ending) }
            try await group.waitForAll()
        }
    }

    private func fails(_ count: Int, _ point: EndingServer.Point, _ ending: Ending) async throws {
        try await withServers(count, point, ending, andGood: false) { servers in
            let error = await connectFailure(settings(servers))
            var expected = ending.codes
            // What ends a handshake comes as TLS's own error, or as an end.
            if point == .tls { expected = [.tlsFailed, .connectionFailed] }
            #expect(
                error.map { expected.contains($0.code) } == true,
                "\(count), \(point): \(String(describing: error))"
            )
            #expect(servers.allSatisfy { $0.connections == 1 }, "\(count), \(point): not each was tried, once")
        }
    }

    private func goesOn(_ count: Int, _ point: EndingServer.Point, _ ending: Ending) async throws {
        try await withServers(count, point, ending, andGood: true) { servers in
            let connection = try await NATSConnection.connect(settings(servers), logger: quiet)
            try await connection.flush(timeout: .seconds(20))
            await connection.close()
        }
    }

    @Test("of an established connection", arguments: Ending.ways + Ending.reports)
    func ready(ending: Ending) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for count in 1...3 {
                for andGood in [false, true] {
                    group.addTask { try await loses(count, ending, andGood) }
                    group.addTask { try await drains(count, ending, andGood) }
                }
            }
            try await group.waitForAll()
        }
    }

    private func loses(_ count: Int, _ ending: Ending, _ andGood: Bool) async throws {
        try await withServers(count, .ready, ending, andGood: andGood) { servers in
            let connection = try await NATSConnection.connect(settings(servers), logger: quiet)
            // Refused, lost, or given on by the good server: whichever, the connection lives.
            let subscription = try? await connection.subscribe(to: "a", timeout: .milliseconds(andGood ? 20_000 : 200))
            if andGood {
                try await eventually("a flush") {
                    (try? await connection.flush(timeout: .seconds(1))) != nil
                }
            }
            withExtendedLifetime(subscription) {}
            await connection.close()
            #expect(throws: code(.closed)) { try connection.publish(ByteBuffer(), to: "a") }
        }
    }

    private func drains(_ count: Int, _ ending: Ending, _ andGood: Bool) async throws {
        try await withServers(count, .draining, ending, andGood: andGood) { servers in
            let connection = try await NATSConnection.connect(settings(servers), logger: quiet)
            let subscription = try await connection.subscribe(to: "a")
            do throws(NATSError) { try await connection.drain(timeout: .seconds(5)) } catch {
                #expect(error.code != .cancelled)
            }
            #expect(throws: NATSError.self) { try connection.publish(ByteBuffer(), to: "a") }
            withExtendedLifetime(subscription) {}
        }
    }
}
