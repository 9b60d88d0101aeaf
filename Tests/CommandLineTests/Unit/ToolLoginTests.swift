import ArgumentParser
import TestSupport
import Testing

@testable import mesh_events

@Suite struct ToolLoginTests {
    private func variables(_ arguments: [String], key: String? = nil, _ environment: [String: String] = [:]) throws
        -> [String: String]
    {
        let login: ToolLogin = if let key { .ownKey(key, password: nil) } else { .asNode(passwordOrToken: nil) }
        return try login.variables(try ConnectionOptions.parse(arguments), environment)
    }

    @Test func withAKeyOfTheirOwnToolsGetNothingOfTheNodes() throws {
        let environment = [
            "JB_NATS_CREDS": "/node.creds", "MESH_EVENTS_NKEY": "/node.nk", "MESH_EVENTS_TOKEN": "t",
            "MESH_EVENTS_PASSWORD": "p", "MESH_EVENTS_TLS_CERT": "/node.pem", "MESH_EVENTS_TLS_KEY": "/node.key",
        ]
        let options = [
            "--nkey", "/node.nk", "--tls-ca", "/ca.pem", "--tls-cert", "/node.pem", "--tls-key", "/node.key",
        ]
        #expect(
            try variables(options, key: "/tool.nk", environment) == [
                "MESH_EVENTS_NKEY": "/tool.nk", "MESH_EVENTS_TLS_CA": "/ca.pem", "JB_NATS_CREDS": "",
                "MESH_EVENTS_TOKEN": "", "MESH_EVENTS_PASSWORD": "", "MESH_EVENTS_TLS_CERT": "",
                "MESH_EVENTS_TLS_KEY": "",
            ]
        )
        let url = "tls://node:secret@host:4222,tls://other"
        #expect(ToolURL.make(servers: url, login: nil, keepsLogin: false) == "tls://host:4222")
        #expect(ToolURL.make(servers: "token@host", login: nil, keepsLogin: false) == "host")
    }

    @Test func withoutOneTheyLogInAsTheNode() throws {
        #expect(try variables([]) == [:])
        #expect(
            try variables(["--creds", "/a.creds"], ["MESH_EVENTS_NKEY": "/b.nk"]) == [
                "JB_NATS_CREDS": "/a.creds", "MESH_EVENTS_NKEY": "",
            ]
        )
        let options = ["--nkey", "/a.nk", "--ws-headers", "/h", "--tls-cert", "/c.pem", "--tls-key", "/c.key"]
        #expect(
            try variables(options) == [
                "MESH_EVENTS_NKEY": "/a.nk", "MESH_EVENTS_WS_HEADERS": "/h", "MESH_EVENTS_TLS_CERT": "/c.pem",
                "MESH_EVENTS_TLS_KEY": "/c.key",
            ]
        )
    }

    @Test func toolsFindTheSameStream() throws {
        let options = ["--stream", "S", "--js-domain", "hub", "--inbox-prefix", "_mine"]
        #expect(
            try variables(options, ["MESH_EVENTS_JS_PREFIX": "other"]) == [
                "MESH_EVENTS_STREAM": "S", "MESH_EVENTS_JS_DOMAIN": "hub", "MESH_EVENTS_JS_PREFIX": "",
                "MESH_EVENTS_INBOX_PREFIX": "_mine",
            ]
        )
        // What only the environment says, they inherit.
        #expect(try variables([], ["MESH_EVENTS_STREAM": "S"]) == [:])
    }

    @Test func toolsGetWhatTheNodesContextSays() throws {
        let directory = try TemporaryDirectory()
        let (ca, creds) = (try directory.file("ca.pem", ""), try directory.file("node.creds", "", mode: 0o600))
        let file = try directory.file(
            "it.json",
            #"{"url":"nats://h","creds":"\#(creds)","ca":"\#(ca)","jetstream_domain":"hub","inbox_prefix":"_mine"}"#
        )
        let place = [
            "MESH_EVENTS_JS_DOMAIN": "", "MESH_EVENTS_JS_PREFIX": "$JS.hub.API", "MESH_EVENTS_INBOX_PREFIX": "_mine",
        ]
        let files = ["JB_NATS_CREDS": creds, "MESH_EVENTS_TLS_CA": ca]
        #expect(try variables([], ["NATS_CONTEXT": file]) == place.merging(files) { $1 })
        // What the context outranks, they do not inherit.
        let forgotten = ["MESH_EVENTS_TOKEN": "t", "JB_NATS_URL": "nats://other"]
        let named = try variables(["--context", file], forgotten)
        #expect(named == place.merging(files) { $1 }.merging(["MESH_EVENTS_TOKEN": ""]) { $1 })
        let options = ["--context", file, "--stream", "S", "--inbox-prefix", "_o"]
        let given = try variables(options)
        #expect(given["MESH_EVENTS_STREAM"] == "S" && given["MESH_EVENTS_INBOX_PREFIX"] == "_o")
        #expect(given["MESH_EVENTS_JS_PREFIX"] == "$JS.hub.API")
        // With a key of their own they get nothing of the login.
        let own = try variables(["--context", file], key: "/tool.nk")
        #expect(own["JB_NATS_CREDS"] == nil && own["MESH_EVENTS_NKEY"] == "/tool.nk" && own["MESH_EVENTS_TLS_CA"] == ca)
        let inline = try directory.file("inline.json", #"{"user_jwt":"j"}"#, mode: 0o600)
        #expect(throws: CommandFailure.self) { try variables(["--context", inline]) }
        #expect(try variables(["--context", inline], key: "/tool.nk")["MESH_EVENTS_NKEY"] == "/tool.nk")
    }

    @Test(arguments: [
        ("127.0.0.1", false), ("localhost", false), ("::1", false), ("127.1.2.3", false), ("0.0.0.0", true),
        ("::", true), ("192.168.1.5", true), ("mesh.local", true),
    ])
    func whoReachesAnAddress(host: String, isOpen: Bool) {
        #expect(LoopbackAddress.isOpen(host) == isOpen)
    }
}
