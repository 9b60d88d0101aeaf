import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import Synchronization
import TestSupport
import Testing

/// What is trusted before TLS, which name a certificate must have, and files that are replaced while a client runs.
@Suite("NATS client: TLS and what is announced", .timeLimit(.minutes(3)))
struct ClientTLSTests {
    /// A server that announces a trap and ends the connection when it has sent so much.
    private func announcing(_ trap: EndingServer, _ members: String = "", answer: String? = nil) async throws
        -> FakeServer
    {
        let greeting =
            #"INFO {"server_id":"X","headers":true,"max_payload":1000,"connect_urls":["127.0.0.1:\#(trap.address.port)"]"#
            + members + "}\r\n"
        return try await FakeServer.start(greeting: greeting, resets: true) { _ in answer ?? "RESET\r\n" }
    }

    private func expectNoConnection(to trap: EndingServer, _ settings: NATSConnection.Configuration) async throws {
        var settings = settings
        settings.authentication = .userPassword(user: "me", password: "secret")
        let error = await connectFailure(settings)
        #expect(error != nil)
        settings.retriesInitialConnect = true
        settings.maximumReconnectPasses = 5
        #expect(await connectFailure(settings) != nil)
        #expect(trap.connections == 0, "the login was on its way to an announced address: \(String(describing: error))")
    }

    @Test("addresses announced before TLS are not used, whoever asks for TLS")
    func announcedInPlainText() async throws {
        let trap = try await EndingServer.start(.loggingIn, .ways[0])
        let server = try await announcing(trap, #","tls_required":true"#)
        // The server asks; the address does; the configuration does.
        try await expectNoConnection(to: trap, server.settings)
        var settings = server.settings
        settings.servers = try ServerAddress.list("tls://127.0.0.1:\(server.port)")
        try await expectNoConnection(to: trap, settings)
        settings = server.settings
        settings.tls = NATSConnection.TLSConfiguration()
        try await expectNoConnection(to: trap, settings)
        try await server.stop()
        // One that offers no TLS announces all the same.
        let plain = try await announcing(trap)
        settings = plain.settings
        settings.tls = NATSConnection.TLSConfiguration()
        try await expectNoConnection(to: trap, settings)
        try await plain.stop()
        try await trap.stop()
    }

    @Test("without TLS, a server that refuses the login announces nothing")
    func announcedWithARefusal() async throws {
        let trap = try await EndingServer.start(.loggingIn, .ways[0])
        let server = try await announcing(trap, answer: "-ERR 'Maximum Connections Exceeded'\r\nRESET\r\n")
        try await expectNoConnection(to: trap, server.settings)
        try await server.stop()
        try await trap.stop()
    }

    @Test("before TLS an -ERR is not the server's last word: a client that retries goes on")
    func refusedInPlainText() async throws {
        let server = try await FakeServer.start(greeting: "-ERR 'Authorization Violation'\r\n") { _ in nil }
        var settings = server.settings
        settings.tls = NATSConnection.TLSConfiguration()
        let error = await connectFailure(settings)
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.contains("before TLS") == true)
        try await server.stop()
    }

    @Test("messages, and refusals of subscriptions, that come before the login do not reach subscribers")
    func deliveredBeforeLogin() async throws {
        let logins = Counter()
        let forged =
            "MSG a 1 6\r\nforged\r\n" + #"-ERR 'Permissions Violation for Subscription to "a"'"# + "\r\n"
        let server = try await FakeServer.start(greeting: "INFO {\"max_payload\":1000}\r\n", resets: true) { text in
            let pings = text.split(separator: "\r\n").count { $0 == "PING" }
            if text.contains("CONNECT") {
                // The second connection: what a subscriber must not see, instead of the answer to the login.
                if logins.add() == 2 { return forged + "RESET\r\n" }
            }
            if text.contains("PUB end ") { return "RESET\r\n" }
            if text.contains("PUB a ") { return "MSG a 1 4\r\ntrue\r\n" + String(repeating: "PONG\r\n", count: pings) }
            return pings > 0 ? String(repeating: "PONG\r\n", count: pings) : nil
        }
        let connection = try await NATSConnection.connect(server.settings, logger: quiet)
        let subscription = try await connection.subscribe(to: "a")
        try connection.publish(ByteBuffer(), to: "end")
        try await eventually("the third login") { logins.count >= 3 }
        try await eventually("a flush") { (try? await connection.flush(timeout: .seconds(1))) != nil }
        try connection.publish(ByteBuffer(), to: "a")
        #expect(try await take(1, from: subscription).map(\.text) == ["true"])
        await connection.close()
        try await server.stop()
    }

    @Test("a member announced by its address is known by the name that was given", arguments: NATSServers.all)
    func announcedByAddress(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make(names: "DNS:localhost")
        let routePort = try freePorts(1)[0]
        func member(_ name: String, _ cluster: String) -> LocalNATSServer.Configuration {
            LocalNATSServer.Configuration(
                serverName: name,
                jetStream: false,
                extraConfiguration: """
                    tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)" }
                    cluster { name: c, \(cluster) }
                    """
            )
        }
        try await withServer(binary, member("one", "listen: \"127.0.0.1:\(routePort)\"")) { one in
            var settings = try configuration(at: "tls://localhost:\(one.port)")
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.ca)
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let joining = "listen: \"127.0.0.1:-1\", routes: [\"nats://127.0.0.1:\(routePort)\"]"
            try await withServer(binary, member("two", joining)) { two in
                // A server of before 2.10 says only when the cluster changes whom it consists of, once TLS has begun.
                try await eventually("two servers to be announced") {
                    await connection.serverInfo?.clusterAddresses.count == 2
                }
                let subscription = try await connection.subscribe(to: "n")
                await one.kill()
                let server = try await status(of: connection, "the move") {
                    if case .reconnected(let server) = $0 { server } else { nil }
                }
                #expect(server.port == two.port && server.host == "127.0.0.1")
                try connection.publish(ByteBuffer(string: "x"), to: "n")
                #expect(try await take(1, from: subscription).count == 1)
                await connection.close()
            }
        }
    }

    @Test("each failure of TLS says which it was, and what to do", arguments: NATSServers.all)
    func failures(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make(names: "DNS:mesh.example,IP:10.1.2.3")
        let expired = try await Certificates.make(days: -1)
        func said(_ server: Certificates, _ more: String = "", _ tls: NATSConnection.TLSConfiguration) async throws
            -> String
        {
            let block = """
                tls { cert_file: "\(server.server)", key_file: "\(server.serverKey)", ca_file: "\(server.ca)" \(more) }
                """
            return try await withServer(binary, .init(jetStream: false, extraConfiguration: block)) { running in
                var settings = try configuration(running)
                settings.tls = tls
                let error = await connectFailure(settings)
                #expect(error?.code == .tlsFailed, "\(String(describing: error))")
                return error?.message ?? "connected"
            }
        }
        let isExpired = try await said(expired, "", .init(certificateAuthorityFile: expired.ca))
        #expect(isExpired.contains("has expired, on 20"), "\(isExpired)")
        let unknown = try await said(files, "", .init(certificateAuthorityFile: files.otherCA))
        #expect(unknown.contains("not trusted") && unknown.contains(files.otherCA), "\(unknown)")
        let system = try await said(files, "", .init())
        #expect(system.contains("the system's authorities") && system.contains("--tls-ca"), "\(system)")
        let other = try await said(files, "", .init(certificateAuthorityFile: files.ca))
        #expect(other.contains("another host, not for 127.0.0.1: it has mesh.example, 10.1.2.3"), "\(other)")
        let named = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.ca, serverName: "mesh.example")
        let none = try await said(files, ", verify: true", named)
        #expect(none.contains("client certificate"), "\(none)")
        var stranger = named
        let theirs = try await Certificates.make()
        (stranger.certificateFile, stranger.privateKeyFile) = (theirs.client, theirs.clientKey)
        let refused = try await said(files, ", verify: true", stranger)
        #expect(refused.contains("client's certificate"), "\(refused)")
    }

    @Test("why TLS fails is said while reconnecting too, and over a WebSocket", arguments: NATSServers.all)
    func failuresOfAReconnect(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make()
        let expired = try await Certificates.make(days: -1)
        let directory = try TemporaryDirectory()
        func install(_ files: Certificates) throws {
            for (from, to) in [(files.server, "server.pem"), (files.serverKey, "server.key"), (files.ca, "ca.pem")] {
                try? FileManager.default.removeItem(atPath: "\(directory.path)/\(to)")
                try FileManager.default.copyItem(atPath: from, toPath: "\(directory.path)/\(to)")
            }
        }
        try install(files)
        let keys = #"cert_file: "\#(directory.path)/server.pem", key_file: "\#(directory.path)/server.key""#
        let port = try freePorts(1)[0]
        let rules = """
            tls { \(keys) }
            websocket { listen: "127.0.0.1:\(port)", tls { \(keys) } }
            """
        try await withServer(binary, .init(jetStream: false, extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: "\(directory.path)/ca.pem")
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            async let said = status(of: connection, "the reason") { status -> String? in
                guard case .reconnectFailed(_, let error) = status, error.code == .tlsFailed else { return nil }
                return error.message
            }
            try await connection.flush()
            try install(expired)
            try await server.restart()
            #expect(try await said.contains("has expired, on 20"))
            await connection.close()
            settings.servers = try ServerAddress.list("wss://127.0.0.1:\(port)")
            let error = await connectFailure(settings)
            #expect(error?.message.contains("has expired, on 20") == true, "\(String(describing: error))")
        }
    }

    @Test("the authority and the client's certificate are read again at each reconnect", arguments: NATSServers.all)
    func replacedFiles(binary: NATSServers.Binary) async throws {
        let first = try await Certificates.make()
        let second = try await Certificates.make()
        let directory = try TemporaryDirectory()
        let files = ["server.pem", "server.key", "ca.pem"]
        func path(_ name: String) -> String { "\(directory.path)/\(name)" }
        func install(_ files: [(from: String, to: String)]) throws {
            for (from, to) in files {
                try? FileManager.default.removeItem(atPath: path(to))
                try FileManager.default.copyItem(atPath: from, toPath: path(to))
            }
        }
        func server(_ files: Certificates) -> [(from: String, to: String)] {
            [(files.server, "server.pem"), (files.serverKey, "server.key"), (files.ca, "ca.pem")]
        }
        func client(_ files: Certificates) -> [(from: String, to: String)] {
            [(files.ca, "client-ca.pem"), (files.client, "client.pem"), (files.clientKey, "client.key")]
        }
        try install(server(first) + client(first))
        let block = """
            tls { cert_file: "\(path(files[0]))", key_file: "\(path(files[1]))", ca_file: "\(path(files[2]))", verify: true }
            """
        try await withServer(binary, .init(jetStream: false, extraConfiguration: block)) { running in
            var settings = try configuration(running)
            settings.tls = NATSConnection.TLSConfiguration(
                certificateAuthorityFile: path("client-ca.pem"),
                certificateFile: path("client.pem"),
                privateKeyFile: path("client.key")
            )
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            async let unreadable = status(of: connection, "the missing authority to be named") { status in
                if case .reconnectFailed(_, let error) = status, error.message.contains("client-ca.pem") {
                    error.code
                } else {
                    nil
                }
            }
            try await connection.flush()
            try FileManager.default.removeItem(atPath: path("client-ca.pem"))
            try install(server(second))
            try await running.restart()
            #expect(try await unreadable == .tlsFailed)
            async let returned: Void = status(of: connection, "the return") {
                if case .reconnected = $0 { () } else { nil }
            }
            try install(client(second))
            try await returned
            try await connection.flush()

            // A key that others may read is said to be one, and tried again.
            async let refused = status(of: connection, "the key to be refused") { status in
                if case .reconnectFailed(_, let error) = status { error.message.contains("chmod 600") } else { nil }
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path("client.key"))
            try await running.restart()
            #expect(try await refused)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path("client.key"))
            try await eventually("a flush") {
                (try? await connection.flush(timeout: .seconds(2))) != nil
            }
            await connection.close()
        }
    }

    /// Keeping the address that asks for TLS from answering is no way to get the login in plain text.
    @Test(arguments: NATSServers.all)
    func oneAddressThatAsksForTLSAsksForAll(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let mixed = try ServerAddress.list("tls://127.0.0.1:1,nats://127.0.0.1:\(server.port)")
            let error = await #expect(throws: NATSError.self) {
                try await NATSConnection.connect(.init(servers: mixed)).close()
            }
            #expect(error?.code == .tlsFailed || error?.code == .connectionFailed, "\(String(describing: error))")
        }
    }
}
