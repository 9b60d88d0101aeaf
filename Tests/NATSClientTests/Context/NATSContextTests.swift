import Foundation
import NKeys
import TestSupport
import Testing

@testable import NATSClient

/// The contexts of the `nats` tool: its directory, each field, and what is refused.
struct NATSContextTests {
    @Test func whereTheDirectoryIs() {
        func path(_ environment: [String: String]) -> String? { NATSContextDirectory(environment: environment)?.path }
        #expect(path(["XDG_CONFIG_HOME": "/x", "HOME": "/h"]) == "/x/nats")
        #expect(path(["XDG_CONFIG_HOME": "", "HOME": "/h"]) == "/h/.config/nats")
        #expect(path([:]) == nil)
    }

    @Test func namesAndTheSelectedOne() throws {
        let home = try ContextHome()
        let directory = try #require(NATSContextDirectory(environment: home.environment))
        #expect(directory.names == [] && directory.selected == nil)
        for name in ["b", "a", "c d"] { try home.save(name, "{}") }
        try home.directory.file("nats/context/not.a.context.txt", "")
        try home.directory.file("nats/context/...json", "{}")
        #expect(directory.names == ["a", "b", "c d"])
        try home.select("b")
        #expect(directory.selected == "b")
    }

    @Test func theNamedOneCountsThenTheVariableThenTheSelectedOne() throws {
        let home = try ContextHome()
        for (name, port) in [("a", 1), ("b", 2), ("c", 3)] { try home.save(name, #"{"url":"nats://h:\#(port)"}"#) }
        let nothing = #expect(throws: NATSError.self) { try home.configuration(nil) }
        #expect(nothing?.message.contains("no context is selected") == true)
        try home.select("c")
        #expect(try home.configuration(nil).servers.map(\.port) == [3])
        var environment = home.environment
        environment["NATS_CONTEXT"] = "b"
        #expect(try NATSConnection.Configuration(context: nil, environment: environment).servers.map(\.port) == [2])
        #expect(try NATSConnection.Configuration(context: "a", environment: environment).servers.map(\.port) == [1])
        let file = home.file(of: "a")
        #expect(try NATSConnection.Configuration(context: file, environment: [:]).servers.map(\.port) == [1])
        environment["NATS_CONTEXT"] = ""
        #expect(try NATSConnection.Configuration(context: nil, environment: environment).servers.map(\.port) == [3])
        try home.select("gone")
        let gone = #expect(throws: NATSError.self) { try home.configuration(nil) }
        #expect(gone?.message.contains("nats context select") == true, "\(String(describing: gone))")
        let absent = #expect(throws: NATSError.self) { try home.configuration("./no/such.json") }
        #expect(
            absent?.message.contains("./no/such.json cannot be used: it does not exist") == true,
            "\(String(describing: absent))"
        )
        for name in ["gone", "", "../a", "x/y"] {
            #expect(throws: NATSError.self) { try home.configuration(name) }
        }
    }

    @Test func aContextAsTheToolWritesIt() throws {
        let home = try ContextHome()
        let settings = try home.configuration(
            fields: """
                {"description":"home","url":"demo.example, tls://other:4443","socks_proxy":"socks5://proxy","token":"",
                "user":"me","password":"s3cr3t","creds":"","nkey":"","cert":"","key":"","ca":"","nsc":"",
                "jetstream_domain":"hub","jetstream_api_prefix":"","jetstream_event_prefix":"x","inbox_prefix":"_mine",
                "user_jwt":"","user_seed":"","color_scheme":"blue","tls_first":false,"windows_cert_store":"",
                "windows_ca_certs_match":null}
                """
        )
        #expect(settings.servers.map(\.description) == ["nats://demo.example:4222", "tls://other:4443"])
        guard case .userPassword("me", "s3cr3t") = settings.authentication else {
            Issue.record("another login")
            return
        }
        #expect(settings.jetStreamPrefix == "$JS.hub.API" && settings.inboxPrefix == "_mine")
        #expect(settings.socksProxy?.description == "socks5://proxy:1080" && settings.tls == nil)
    }

    @Test func withoutAURLItIsTheServerOfThisMachine() throws {
        let settings = try ContextHome().configuration(fields: "{}")
        #expect(settings.servers.map(\.description) == ["nats://127.0.0.1:4222"])
        guard case .none = settings.authentication else {
            Issue.record("a login out of nothing")
            return
        }
    }

    @Test func everyLogin() throws {
        let home = try ContextHome()
        let key = NKey()
        let creds = try home.directory.file("me.creds", "x", mode: 0o600)
        let seed = try home.directory.file("me.nk", key.seed, mode: 0o600)
        let token = try home.directory.file("token", "from-a-file\n", mode: 0o600)
        func login(_ json: String) throws -> NATSAuthentication {
            try home.save("it", json)
            let variables = ["TOKEN": "t1", "CREDS_DIR": home.directory.path, "SEED": key.seed]
            let environment = home.environment.merging(variables) { $1 }
            return try NATSConnection.Configuration(context: "it", environment: environment).authentication
        }
        guard case .token("t") = try login(#"{"token":"t"}"#),
            case .token("t1") = try login(#"{"token":"env://TOKEN"}"#),
            case .token("from-a-file") = try login(#"{"token":"file://\#(token)"}"#),
            case .token("data") = try login(#"{"token":"data:;base64,ZGF0YQo="}"#),
            case .userPassword("u", "") = try login(#"{"user":"u"}"#)
        else {
            Issue.record("another token or user")
            return
        }
        for text in [creds, "file://\(creds)", "~/me.creds", "$CREDS_DIR/me.creds", "${CREDS_DIR}/me.creds"] {
            guard case .credentialsFile(creds) = try login(#"{"creds":"\#(text)"}"#) else {
                Issue.record("not the file of \(text)")
                return
            }
        }
        guard case .nkeyFile(seed) = try login(#"{"nkey":"~/me.nk"}"#),
            case .nkey(let same) = try login(#"{"nkey":"env://SEED"}"#), same.publicKey == key.publicKey,
            case .jwt("j", let signing?) = try login(#"{"user_jwt":"j","user_seed":"\#(key.seed)"}"#),
            signing.publicKey == key.publicKey, case .jwt("j", nil) = try login(#"{"user_jwt":"j"}"#)
        else {
            Issue.record("another key")
            return
        }
        let text =
            "-----BEGIN NATS USER JWT-----\nj\n------END NATS USER JWT------\n"
            + "-----BEGIN USER NKEY SEED-----\n\(key.seed)\n------END USER NKEY SEED------\n"
        let data = Data(text.utf8).base64EncodedString()
        guard case .jwt("j", let embedded?) = try login(#"{"creds":"data:;base64,\#(data)"}"#) else {
            Issue.record("not the embedded credentials")
            return
        }
        #expect(embedded.publicKey == key.publicKey)
    }

    @Test func certificatesAndTLSFirst() throws {
        let home = try ContextHome()
        let (ca, cert) = (try home.directory.file("ca.pem", ""), try home.directory.file("c.pem", ""))
        let key = try home.directory.file("c.key", "", mode: 0o600)
        let tls = try home.configuration(fields: #"{"ca":"~/ca.pem","cert":"\#(cert)","key":"\#(key)"}"#).tls
        let expected = NATSConnection.TLSConfiguration(
            certificateAuthorityFile: ca,
            certificateFile: cert,
            privateKeyFile: key
        )
        #expect(tls == expected)
        #expect(try home.configuration(fields: #"{"tls_first":true}"#).tls == .init(handshakeFirst: true))
    }

    @Test(arguments: [
        (#"{"nsc":"nsc://o/a/u"}"#, "nsc"), (#"{"creds":"nsc://o/a/u"}"#, "creds"),
        (#"{"token":"op://vault/it"}"#, "token"), (#"{"windows_cert_store":"user"}"#, "windows_cert_store"),
        (#"{"windows_ca_certs_match":["x"]}"#, "windows_ca_certs_match"), (#"{"new_field":"x"}"#, "new_field"),
        (#"{"user":"a","token":"b"}"#, "user and token"), (#"{"user":"a","creds":"b"}"#, "user and creds"),
        (#"{"password":"b"}"#, "password"), (#"{"user_seed":"SU"}"#, "user_seed"),
        (#"{"cert":"/dev/null"}"#, "cert and key"),
        (#"{"jetstream_domain":"a","jetstream_api_prefix":"b"}"#, "jetstream_domain"),
        (#"{"jetstream_domain":"a b"}"#, "jetstream_domain"),
        (#"{"jetstream_api_prefix":"a.*"}"#, "jetstream_api_prefix"),
        (#"{"inbox_prefix":"a b"}"#, "inbox_prefix"), (#"{"socks_proxy":"http://p"}"#, "SOCKS proxy"),
        (#"{"socks_proxy":"socks5://u:s3cr3t@p"}"#, "SOCKS proxy"), (#"{"url":"http://h"}"#, "scheme"),
        (#"{"url":7}"#, "url"), (#"{"creds":"/no/such"}"#, "creds"), (#"{"ca":"$NOT_SET/x"}"#, "NOT_SET"),
        (#"{"token":"env://NOT_SET"}"#, "NOT_SET"), (#"{"nkey":"data:;base64,eA=="}"#, "seed"),
        (#"{"creds":"data:x"}"#, "creds"), (#"{"tls_first":"yes"}"#, "tls_first"), (#"["s3cr3t"]"#, "JSON"),
        ("", "JSON"),
    ])
    func whatCannotBeUsedIsNamed(json: String, word: String) throws {
        let error = try ContextHome().failure(json)
        #expect(error?.message.contains(word) == true, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains("s3cr3t") } == false)
    }

    @Test(arguments: [#"{"token":"t"}"#, #"{"user":"u","password":"p"}"#, #"{"url":"nats://u:p@h"}"#])
    func aSecretThatOthersMayReadIsRefused(json: String) throws {
        let home = try ContextHome()
        #expect(try home.failure(json, mode: 0o644)?.message.contains("chmod 600") == true)
        _ = try home.configuration(fields: json, mode: 0o600)
        _ = try home.configuration(fields: #"{"url":"nats://h","inbox_prefix":"x"}"#, mode: 0o644)
    }

    @Test func secretsAreNotShown() throws {
        let home = try ContextHome()
        try home.save(
            "it",
            """
            {"url":"nats://me:s3cr3t@host","token":"s3cr3t","password":"s3cr3t","user_jwt":"s3cr3t","user_seed":"s3cr3t",
            "creds":"data:;base64,s3cr3t==","nkey":"~/me.nk","socks_proxy":"socks5://u:s3cr3t@h","odd":"s3cr3t","user":"me"}
            """
        )
        let context = try #require(NATSContextDirectory(environment: home.environment)).context("it")
        let shown = context.shownFields
        #expect(!"\(shown) \(context.shownURL) \(context.loginKind)".contains("s3cr3t"), "\(shown)")
        #expect(shown.first { $0.name == "nkey" }?.value == "~/me.nk")
        #expect(shown.first { $0.name == "url" }?.value == "nats://host:4222")
        #expect(shown.first { $0.name == "token" }?.value == "(hidden)")
        #expect(shown.first { $0.name == "odd" }?.value == "(not supported)")
    }
}

extension ContextHome {
    fileprivate func configuration(_ name: String?) throws(NATSError) -> NATSConnection.Configuration {
        try NATSConnection.Configuration(context: name, environment: environment)
    }

    /// The configuration of a context with these fields.
    fileprivate func configuration(fields json: String, mode: Int = 0o600) throws -> NATSConnection.Configuration {
        try save("it", json, mode: mode)
        return try configuration("it")
    }

    /// Why a context with these fields cannot be used.
    fileprivate func failure(_ json: String, mode: Int = 0o600) throws -> NATSError? {
        try save("it", json, mode: mode)
        return #expect(throws: NATSError.self) { try configuration("it") }
    }
}
