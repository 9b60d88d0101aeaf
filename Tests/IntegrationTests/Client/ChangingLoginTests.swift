import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import NKeys
import Synchronization
import TestSupport
import Testing

/// Logins that callbacks give, asked at every attempt to connect.
@Suite("NATS client: logins that change", .timeLimit(.minutes(5)))
struct ChangingLoginTests {
    /// What a callback answers next; counts how often it was asked.
    private final class Vault: Sendable {
        private let state: Mutex<(token: String?, asked: Int)>

        init(_ token: String?) { state = Mutex((token, 0)) }

        func set(_ token: String?) { state.withLock { $0.token = token } }

        var asked: Int { state.withLock { $0.asked } }

        func token() throws -> String {
            let token = state.withLock { state in
                state.asked += 1
                return state.token
            }
            guard let token else { throw TestSupportError("the vault is sealed") }
            return token
        }
    }

    private func rules(_ token: String) -> String { "authorization { token: \(token) }" }

    @Test(
        "a token that changes is used at the next connection; an error is told, and asked again",
        arguments: NATSServers.all
    )
    func token(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(extraConfiguration: rules("first"))) { server in
            let vault = Vault("first")
            var settings = try configuration(server)
            settings.authentication = .tokenProvider { try vault.token() }
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            try await connection.flush()
            #expect(vault.asked == 1)

            async let refusal = status(of: connection, "the callback's error") { status in
                if case .reconnectFailed(_, let error) = status, error.message.contains("vault is sealed") {
                    error
                } else {
                    nil
                }
            }
            async let returned: Void = status(of: connection, "the return") {
                if case .reconnected = $0 { () } else { nil }
            }
            try await connection.flush()
            vault.set(nil)
            try server.reconfigure(rules("second"))
            try await server.restart()
            let error = try await refusal
            #expect(error.code == .authenticationFailed && error.isRetriable)
            vault.set("second")
            try await returned
            try await connection.flush()
            await connection.close()
        }
    }

    @Test("user and password, an NKey and a JWT whose signatures are asked for", arguments: NATSServers.all)
    func others(binary: NATSServers.Binary) async throws {
        let login = "authorization { user: me, password: secret }"
        try await withServer(binary, .init(extraConfiguration: login)) { server in
            var settings = try configuration(server)
            settings.authentication = .userPasswordProvider { ("me", "secret") }
            try await prove(settings)
            settings.authentication = .userPasswordProvider { ("me", "wrong") }
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
        let key = NKey()
        let users = "authorization { users: [ { nkey: \(key.publicKey) } ] }"
        try await withServer(binary, .init(extraConfiguration: users)) { server in
            var settings = try configuration(server)
            settings.authentication = .nkeyProvider(publicKey: key.publicKey) { try key.sign($0) }
            try await prove(settings)
            settings.authentication = .nkeyProvider(publicKey: key.publicKey) { try NKey().sign($0) }
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
            settings.authentication = .nkeyProvider(publicKey: "UNKNOWN") { try key.sign($0) }
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
        let mode = try OperatorMode()
        try await withServer(binary, .init(jetStream: false, extraConfiguration: mode.rules)) { server in
            var settings = try configuration(server)
            let (jwt, user) = (mode.jwt, mode.user)
            settings.authentication = .jwtProvider({ jwt }, signature: { try user.sign($0) })
            try await prove(settings)
            settings.authentication = .jwt(jwt, key: user)
            try await prove(settings)
            settings.authentication = try .credentials(mode.credentials)
            try await prove(settings)
            // It is no bearer JWT.
            settings.authentication = .jwt(jwt, key: nil)
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
    }

    @Test("a callback that hangs ends at its deadline; a slow one does not use up the server's time for the login")
    func deadlines() async throws {
        let rules = "authorization { token: t, timeout: 2 }"
        try await withServer(NATSServers.current, .init(extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .tokenProvider {
                try await Task.sleep(for: .seconds(3))
                return "t"
            }
            settings.connectTimeout = .seconds(30)
            try await prove(settings)
            settings.connectTimeout = .milliseconds(100)
            let error = await connectFailure(settings)
            #expect(error?.code == .authenticationFailed && error?.message.contains("has not answered") == true)
        }
        let key = NKey()
        let users = "authorization { timeout: 60, users: [ { nkey: \(key.publicKey) } ] }"
        try await withServer(NATSServers.current, .init(extraConfiguration: users)) { server in
            var settings = try configuration(server)
            settings.connectTimeout = .seconds(2)
            settings.authentication = .nkeyProvider(publicKey: key.publicKey) { _ in
                try await Task.sleep(for: .seconds(600))
                return []
            }
            let error = await connectFailure(settings)
            #expect(error?.code == .authenticationFailed && error?.message.contains("has not answered") == true)
        }
    }

    @Test("until the login is sent, nothing the server says counts as its acceptance")
    func earlyAcceptance() async throws {
        let key = NKey()
        let greeting = #"INFO {"server_id":"X","max_payload":1000,"nonce":"abc"}"# + "\r\nPONG\r\n"
        let server = try await FakeServer.start(greeting: greeting) { _ in nil }
        var settings = server.settings
        settings.authentication = .nkeyProvider(publicKey: key.publicKey) { challenge in
            try await Task.sleep(for: .seconds(600))
            return try key.sign(challenge)
        }
        settings.connectTimeout = .seconds(30)
        #expect(await connectFailure(settings)?.code == .protocolViolation)
        try await server.stop()
    }

    @Test("header fields of a WebSocket are asked for at every attempt")
    func webSocketHeaders() async throws {
        let port = try freePorts(1)[0]
        let lines = "websocket { listen: \"127.0.0.1:\(port)\", no_tls: true }"
        try await withServer(NATSServers.current, .init(extraConfiguration: lines)) { server in
            let location = """
                location / {
                  if ($http_authorization != "Bearer open-sesame") { return 401; }
                  proxy_pass http://127.0.0.1:\(port)/; proxy_http_version 1.1;
                  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
                }
                """
            try await withNginx(location) { proxy in
                let vault = Vault("open-sesame")
                var settings = try configuration(at: "ws://127.0.0.1:\(proxy)")
                settings.webSocketHeaders = ["Authorization": "Bearer old"]
                settings.webSocketHeaderProvider = { ["Authorization": "Bearer \(try vault.token())"] }
                let connection = try await NATSConnection.connect(settings, logger: quiet)
                async let told = status(of: connection, "the callback's error") { status in
                    if case .reconnectFailed(_, let error) = status { error.message } else { nil }
                }
                async let returned: Void = status(of: connection, "the return") {
                    if case .reconnected = $0 { () } else { nil }
                }
                try await connection.flush()
                vault.set(nil)
                try await server.restart()
                #expect(try await told.contains("vault is sealed"))
                vault.set("open-sesame")
                try await returned
                await connection.close()
            }
        }
    }

    @Test("a new connection on request; the round-trip time; the present server", arguments: NATSServers.all)
    func reconnecting(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let connection = try await connect(server)
            #expect(try await connection.roundTripTime() > .zero)
            #expect(await connection.currentAddress?.port == server.port)
            let subscription = try await connection.subscribe(to: "still")
            async let returned: Void = status(of: connection, "the return") {
                if case .reconnected = $0 { () } else { nil }
            }
            try await connection.flush()
            connection.reconnect()
            try await returned
            try connection.publish(ByteBuffer(string: "here"), to: "still")
            #expect(try await take(1, from: subscription).map(\.text) == ["here"])
            #expect(connection.statistics.reconnects == 1)
            await connection.close()
            let error = await thrownError { () async throws(NATSError) in _ = try await connection.roundTripTime() }
            #expect(error?.code == .closed)
            #expect(await connection.currentAddress == nil)
        }
    }

    @Test("a connection that does not want its own messages gets those of others only", arguments: NATSServers.all)
    func noEcho(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            var settings = try configuration(server)
            settings.receivesOwnMessages = false
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let other = try await connect(server)
            let subscription = try await connection.subscribe(to: "a")
            try connection.publish(ByteBuffer(string: "mine"), to: "a")
            try await connection.flush()
            try other.publish(ByteBuffer(string: "theirs"), to: "a")
            #expect(try await take(1, from: subscription).map(\.text) == ["theirs"])
            await connection.close()
            await other.close()
        }
    }
}
