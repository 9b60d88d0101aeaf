import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import NKeys
import TestSupport
import Testing

@Suite("NATS client: login and TLS", .timeLimit(.minutes(5)))
struct ClientLoginTests {
    @Test("user and password, given or in the address; a wrong one is named as such", arguments: NATSServers.all)
    func password(binary: NATSServers.Binary) async throws {
        let rules = #"authorization { user: me, password: "p@ss/word" }"#
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .userPassword(user: "me", password: "p@ss/word")
            try await prove(settings)
            settings.authentication = .none
            settings.servers = try ServerAddress.list("nats://me:p%40ss%2Fword@127.0.0.1:\(server.port)")
            try await prove(settings)
            for authentication in [NATSAuthentication.none, .userPassword(user: "me", password: "wrong"), .token("x")] {
                settings = try configuration(server)
                settings.authentication = authentication
                let error = await connectFailure(settings)
                #expect(error?.code == .authenticationFailed)
                #expect(error?.message.contains("wrong") == false)
            }
        }
    }

    @Test("a token", arguments: NATSServers.all)
    func token(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(extraConfiguration: "authorization { token: s3cr3t }")) { server in
            var settings = try configuration(server)
            settings.authentication = .token("s3cr3t")
            try await prove(settings)
            settings.authentication = .none
            settings.servers = try ServerAddress.list("nats://s3cr3t@127.0.0.1:\(server.port)")
            try await prove(settings)
        }
    }

    @Test("an NKey, given or in a file", arguments: NATSServers.all)
    func nkey(binary: NATSServers.Binary) async throws {
        let key = NKey()
        let rules = "authorization { users: [ { nkey: \(key.publicKey) } ] }"
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            let directory = try TemporaryDirectory()
            var settings = try configuration(server)
            settings.authentication = .nkey(key)
            try await prove(settings)
            settings.authentication = .nkeyFile(path: try directory.file("user.nk", key.seed + "\n", mode: 0o600))
            try await prove(settings)
            for (mode, isRefused) in [(0o400, false), (0o640, true), (0o604, true), (0o644, true), (0o620, true)] {
                let path = try directory.file("\(mode).nk", key.seed, mode: mode)
                settings.authentication = .nkeyFile(path: path)
                guard isRefused else {
                    try await prove(settings)
                    continue
                }
                let error = await connectFailure(settings)
                #expect(error?.code == .authenticationFailed)
                #expect(error?.message.contains("chmod 600 \(path)") == true, "\(String(describing: error))")
                #expect(error.map { "\($0)".contains(key.seed) } == false)
            }
            settings.authentication = .nkey(NKey())
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
    }

    @Test("a credentials file with a JWT of the server's operator", arguments: NATSServers.all)
    func credentials(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let (rules, path) = try operatorMode(directory)
        try await withServer(binary, .init(jetStream: false, extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .credentialsFile(path: path)
            try await prove(settings)
            for mode in [0o644, 0o640, 0o604, 0o602] {
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
                let error = await connectFailure(settings)
                #expect(error?.code == .authenticationFailed)
                #expect(error?.message.contains("chmod 600 \(path)") == true, "\(String(describing: error))")
            }
            settings.authentication = .credentialsFile(path: directory.path + "/missing.creds")
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
    }

    @Test("a credentials file is no obstacle to a server without a login", arguments: NATSServers.all)
    func credentialsWithoutLogin(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let path = try operatorMode(directory).credentials
        try await withServer(binary, .init(jetStream: false)) { server in
            var settings = try configuration(server)
            settings.authentication = .credentialsFile(path: path)
            try await prove(settings)
        }
        // One with another kind of login refuses, and says so itself.
        let rules = "authorization { token: s3cr3t }"
        try await withServer(binary, .init(jetStream: false, extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .credentialsFile(path: path)
            #expect(await connectFailure(settings)?.code == .authenticationFailed)
        }
    }

    @Test("an account that has all the connections it may have is no wrong password", arguments: NATSServers.all)
    func maximumConnections(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let (rules, path) = try operatorMode(directory, connections: 1)
        try await withServer(binary, .init(jetStream: false, extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .credentialsFile(path: path)
            let first = try await NATSConnection.connect(settings, logger: quiet)
            let error = await connectFailure(settings)
            #expect(error?.code == .serverError && error?.isRetriable == true, "\(String(describing: error))")
            #expect(error?.message.contains("no more connections") == true, "\(String(describing: error))")
            await first.close()
            try await eventually("the place to be free") { await connectFailure(settings) == nil }
        }
    }

    @Test(
        "a user whose JWT expires is asked for ever less often, and never taken for connected",
        arguments: NATSServers.all
    )
    func expired(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let (rules, path) = try operatorMode(directory, expires: Date() + 3)
        try await withServer(binary, .init(jetStream: false, extraConfiguration: rules)) { server in
            var settings = try configuration(server)
            settings.authentication = .credentialsFile(path: path)
            settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(40), maximum: .seconds(5))
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let updates = connection.statusUpdates()
            let times = try await withDeadline(.seconds(30), "six refusals") {
                var times: [ContinuousClock.Instant] = []
                for await update in updates {
                    switch update {
                    case .disconnected(let error, _), .reconnectFailed(_, let error):
                        if error.code == .authenticationFailed { times.append(.now) }
                    default: break
                    }
                    if times.count == 6 { return times }
                }
                return times
            }
            // After the first wait, four of at least half of 80, 160, 320 and 640 ms.
            #expect(times.count == 6 && times[5] - times[0] >= .milliseconds(590), "\(times)")
            await connection.close()
        }
    }

    @Test(
        "TLS after INFO with a private CA; a wrong CA and a missing client certificate are named",
        arguments: NATSServers.all
    )
    func tls(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make()
        let block = """
            tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)", ca_file: "\(files.ca)", verify: true, timeout: 5 }
            """
        try await withServer(binary, .init(extraConfiguration: block)) { server in
            var settings = try configuration(server)
            settings.tls = NATSConnection.TLSConfiguration(
                certificateAuthorityFile: files.ca,
                certificateFile: files.client,
                privateKeyFile: files.clientKey
            )
            try await prove(settings)
            settings.servers = try ServerAddress.list("tls://localhost:\(server.port)")
            try await prove(settings)
            settings.tls?.certificateFile = nil
            settings.tls?.privateKeyFile = nil
            #expect(await connectFailure(settings)?.code == .tlsFailed)
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: files.otherCA)
            #expect(await connectFailure(settings)?.code == .tlsFailed)
            settings.tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: "/does/not/exist.pem")
            let error = await connectFailure(settings)
            #expect(error?.code == .tlsFailed && error?.message.contains("/does/not/exist.pem") == true)
        }
    }

    @Test("TLS wanted from a server that has none is refused, not spoken in plain text", arguments: NATSServers.all)
    func noTLS(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            var settings = try configuration(server)
            settings.servers = try ServerAddress.list("tls://127.0.0.1:\(server.port)")
            #expect(await connectFailure(settings)?.code == .tlsFailed)
        }
    }

    @Test("handshake first, on servers that know it")
    func handshakeFirst() async throws {
        let files = try await Certificates.make()
        let block = """
            tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)", handshake_first: true, timeout: 5 }
            """
        var tested = 0
        for binary in NATSServers.all {
            do {
                try await withServer(binary, .init(extraConfiguration: block)) { server in
                    var settings = try configuration(server)
                    settings.tls = NATSConnection.TLSConfiguration(
                        certificateAuthorityFile: files.ca,
                        handshakeFirst: true
                    )
                    try await prove(settings)
                    tested += 1
                }
            } catch is LocalNATSServerError {
                // A server older than 2.10.4 does not know the setting and says so at its start.
                continue
            }
        }
        let hasNewServer = NATSServers.all.count > 1
        #expect(tested > 0 || !hasNewServer)
    }

    @Test("no server: an error within the time-out that names the address")
    func noServer() async throws {
        let error = await #expect(throws: NATSError.self) {
            try await NATSConnection.connect(to: "nats://127.0.0.1:1", logger: quiet)
        }
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.contains("127.0.0.1:1") == true)
    }
}
