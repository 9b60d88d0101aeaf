import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import NKeys
import TestSupport
import Testing

/// A fixture for each field of a context, against a server that lets in only those who have it right.
@Suite("NATS client: contexts of the nats tool", .timeLimit(.minutes(5)))
struct ContextServerTests {
    /// The first fields are let in, the second are not.
    private func check(
        _ binary: NATSServers.Binary,
        _ rules: String,
        _ right: [String: Any],
        wrong: [String: Any],
        jetStream: Bool = true
    ) async throws {
        let home = try ContextHome()
        try await withServer(binary, .init(jetStream: jetStream, extraConfiguration: rules)) { server in
            try await prove(try home.configuration(server, right))
            let error = await connectFailure(try home.configuration(server, wrong))
            #expect(error?.code == .authenticationFailed || error?.code == .tlsFailed, "\(String(describing: error))")
        }
    }

    @Test("url, token, user, password", arguments: NATSServers.all)
    func passwords(binary: NATSServers.Binary) async throws {
        try await check(binary, "authorization { token: t }", ["token": "t"], wrong: ["token": "x"])
        let login = "authorization { user: me, password: secret }"
        try await check(binary, login, ["user": "me", "password": "secret"], wrong: ["user": "me", "password": "x"])
        let home = try ContextHome()
        try await withServer(binary, .init(extraConfiguration: login)) { server in
            let url = "nats://me:secret@127.0.0.1:\(server.port)"
            try await prove(try home.configuration(server, ["url": url]))
        }
    }

    @Test("creds, nkey, user_jwt and user_seed", arguments: NATSServers.all)
    func keys(binary: NATSServers.Binary) async throws {
        let files = try TemporaryDirectory()
        let key = NKey()
        let rules = "authorization { users: [ { nkey: \(key.publicKey) } ] }"
        let mine = try files.file("mine.nk", key.seed, mode: 0o600)
        let other = try files.file("other.nk", NKey().seed, mode: 0o600)
        try await check(binary, rules, ["nkey": mine], wrong: ["nkey": other])

        let mode = try OperatorMode()
        let stranger = try OperatorMode()
        let creds = try files.file("mine.creds", mode.credentials, mode: 0o600)
        let others = try files.file("other.creds", stranger.credentials, mode: 0o600)
        try await check(binary, mode.rules, ["creds": creds], wrong: ["creds": others], jetStream: false)
        try await check(
            binary,
            mode.rules,
            ["user_jwt": mode.jwt, "user_seed": mode.user.seed],
            wrong: ["user_jwt": mode.jwt, "user_seed": NKey().seed],
            jetStream: false
        )
    }

    @Test("cert, key and ca", arguments: NATSServers.all)
    func certificates(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make()
        let rules = """
            tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)", ca_file: "\(files.ca)", verify: true, timeout: 5 }
            """
        let right = ["cert": files.client, "key": files.clientKey, "ca": files.ca]
        try await check(binary, rules, right, wrong: ["ca": files.ca])
        try await check(binary, rules, right, wrong: right.merging(["ca": files.otherCA]) { $1 })
    }

    @Test("tls_first, on a server that knows it")
    func tlsFirst() async throws {
        let files = try await Certificates.make()
        let rules = """
            tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)", handshake_first: true, timeout: 5 }
            """
        let home = try ContextHome()
        do {
            try await withServer(NATSServers.current, .init(extraConfiguration: rules)) { server in
                try await prove(try home.configuration(server, ["ca": files.ca, "tls_first": true]))
                var without = try home.configuration(server, ["ca": files.ca])
                without.connectTimeout = .seconds(2)
                #expect(await connectFailure(without) != nil)
            }
        } catch is LocalNATSServerError where NATSServers.all.count == 1 {
            // The only server here is older than 2.10.4.
        }
    }

    @Test("inbox_prefix, where a user may subscribe below it only", arguments: NATSServers.all)
    func inboxPrefix(binary: NATSServers.Binary) async throws {
        let rules = """
            authorization { users: [ { user: me, password: p, permissions: { publish: ">", subscribe: "_mine.>" } } ] }
            """
        let home = try ContextHome()
        try await withServer(binary, .init(extraConfiguration: rules)) { server in
            for (prefix, code) in [("_mine", NATSError.Code.noResponders), ("", .permissionDenied)] {
                let fields = ["user": "me", "password": "p", "inbox_prefix": prefix]
                let connection = try await NATSConnection.connect(
                    try home.configuration(server, fields),
                    logger: quiet
                )
                let error = await thrownError { () async throws(NATSError) in
                    _ = try await connection.request(to: "nobody.there")
                }
                #expect(error?.code == code, "\(prefix): \(String(describing: error))")
                await connection.close()
            }
        }
    }

    @Test("jetstream_domain and jetstream_api_prefix, on a leaf node of the domain", arguments: NATSServers.all)
    func jetStream(binary: NATSServers.Binary) async throws {
        let home = try ContextHome()
        try await withHubAndLeaf(binary, .both) { hub, leaf in
            let own = JetStream(connection: try await connect(hub))
            _ = try await own.createStream(StreamConfiguration(name: "AT_THE_HUB", subjects: ["hub.>"]))
            for fields in [["jetstream_domain": "hub"], ["jetstream_api_prefix": "$JS.hub.API"]] {
                let connection = try await NATSConnection.connect(
                    try home.configuration(leaf, fields),
                    logger: quiet
                )
                let jetStream = JetStream(connection: connection)
                try await eventually("the leaf to reach the hub") {
                    (try? await jetStream.streamNames()) == ["AT_THE_HUB"]
                }
                await connection.close()
            }
            await own.connection.close()
        }
    }

    @Test("socks_proxy", arguments: NATSServers.all)
    func proxy(binary: NATSServers.Binary) async throws {
        let proxy = try await SOCKSServer.start()
        let home = try ContextHome()
        try await withServer(binary) { server in
            let fields = ["socks_proxy": "socks5://127.0.0.1:\(proxy.port)"]
            try await prove(try home.configuration(server, fields))
            #expect(proxy.targets == ["127.0.0.1:\(server.port)"])
        }
    }
}

extension ContextHome {
    /// The configuration of a context with these fields, quick to try again.
    fileprivate func configuration(
        _ server: LocalNATSServer,
        _ fields: [String: Any]
    ) throws -> NATSConnection.Configuration {
        let fields = (["url": server.url] as [String: Any]).merging(fields) { $1 }
        try save("it", String(decoding: try JSONSerialization.data(withJSONObject: fields), as: UTF8.self))
        var settings = try NATSConnection.Configuration(context: "it", environment: environment)
        settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(10), maximum: .milliseconds(200))
        return settings
    }
}
