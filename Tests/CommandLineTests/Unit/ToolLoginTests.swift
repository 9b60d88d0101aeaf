import ArgumentParser
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

    @Test(arguments: [
        ("127.0.0.1", false), ("localhost", false), ("::1", false), ("127.1.2.3", false), ("0.0.0.0", true),
        ("::", true), ("192.168.1.5", true), ("mesh.local", true),
    ])
    func whoReachesAnAddress(host: String, isOpen: Bool) {
        #expect(LoopbackAddress.isOpen(host) == isOpen)
    }
}
