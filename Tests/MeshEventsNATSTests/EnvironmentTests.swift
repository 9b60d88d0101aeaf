import Foundation
import NATSClient
import TestSupport
import Testing

@testable import MeshEventsNATS

@Suite("Logins and places from options and variables")
struct EnvironmentTests {
    private func secret(_ directory: TemporaryDirectory, _ name: String, mode: Int = 0o600) throws -> String {
        let path = try directory.file(name, "secret")
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func message(_ body: () throws(NATSError) -> Void) -> String {
        do throws(NATSError) {
            try body()
            return ""
        } catch {
            return error.code == .invalidArgument ? error.message : "\(error)"
        }
    }

    private func login(_ options: LoginOptions, _ environment: [String: String]) throws -> [String] {
        switch try options.authentication(environment) {
        case .none: []
        case .token(let token): ["token", token]
        case .userPassword(let user, let password): ["user", user, password]
        case .nkeyFile(let path): ["nkey", path]
        case .credentialsFile(let path): ["credentials", path]
        default: ["another"]
        }
    }

    @Test("of the variables the first counts, and an option replaces them all")
    func logins() throws {
        let directory = try TemporaryDirectory()
        let (credentials, key) = (try secret(directory, "creds"), try secret(directory, "nkey"))
        var environment = ["JB_NATS_CREDS": credentials, "MESH_EVENTS_NKEY": key, "MESH_EVENTS_TOKEN": "t"]
        #expect(try login(LoginOptions(), environment) == ["credentials", credentials])
        #expect(try login(LoginOptions(token: "o"), environment) == ["token", "o"])
        environment["JB_NATS_CREDS"] = ""
        #expect(try login(LoginOptions(), environment) == ["nkey", key])
        environment["MESH_EVENTS_NKEY"] = nil
        #expect(try login(LoginOptions(), environment) == ["token", "t"])
        #expect(try login(LoginOptions(), [:]) == [])
        let user = LoginOptions(user: "u")
        #expect(
            try login(user, ["MESH_EVENTS_PASSWORD": "p"]) == ["user", "u", "p"]
        )
        #expect(
            message { () throws(NATSError) in _ = try user.authentication([:]) }.contains("--user needs --password")
        )
    }

    @Test("what cannot be meant is refused, with the option's or the variable's name")
    func refusals() throws {
        let directory = try TemporaryDirectory()
        let open = try secret(directory, "open", mode: 0o644)
        let refused: [(LoginOptions, [String: String], [String])] = [
            (LoginOptions(credentials: open, token: "t"), [:], ["--creds and --token exclude each other"]),
            (LoginOptions(password: "p"), [:], ["--password needs --user"]),
            (LoginOptions(key: open), [:], ["--nkey", open]),
            (LoginOptions(), ["MESH_EVENTS_NKEY": open], ["MESH_EVENTS_NKEY", open]),
            (LoginOptions(), ["JB_NATS_CREDS": directory.path + "/none"], ["JB_NATS_CREDS", "/none"]),
        ]
        for (options, environment, words) in refused {
            let said = message { () throws(NATSError) in _ = try options.authentication(environment) }
            for word in words { #expect(said.contains(word), "\(said)") }
        }
        #expect(
            message { () throws(NATSError) in _ = try LoginOptions(certificate: open).tls([:]) }
                .contains("--tls-cert and --tls-key go together")
        )
        #expect(
            message { () throws(NATSError) in _ = try LoginOptions().tls(["MESH_EVENTS_TLS_CERT": open]) }
                .contains("MESH_EVENTS_TLS_CERT and MESH_EVENTS_TLS_KEY go together")
        )
        #expect(try LoginOptions().tls([:]) == nil)
        #expect(try LoginOptions(certificateAuthority: open).tls([:])?.certificateAuthorityFile == open)
    }

    @Test("a stream's place: options before variables, and what another program needs to find the same")
    func place() throws {
        let environment = [
            "MESH_EVENTS_STREAM": "S", "MESH_EVENTS_JS_DOMAIN": "hub", "MESH_EVENTS_INBOX_PREFIX": "_IN",
        ]
        let place = try StreamPlace(environment)
        #expect(place.streamName == "S" && place.domain == "hub" && place.prefix == nil && place.inbox == "_IN")
        #expect(try StreamPlace(place.environment) == place)
        let moved = try StreamPlace(stream: "T", prefix: "$JS.other.API.", environment)
        #expect(moved.streamName == "T" && moved.domain == nil && moved.prefix == "$JS.other.API")
        #expect(try StreamPlace([:]).environment.isEmpty && StreamPlace([:]).streamName == "MESH_EVENTS")
        let configuration = place.applied(to: NATSConnection.Configuration(servers: []))
        #expect(configuration.jetStreamPrefix == "$JS.hub.API" && configuration.inboxPrefix == "_IN")
        for variables in [
            ["MESH_EVENTS_STREAM": "a.b"], ["MESH_EVENTS_JS_DOMAIN": "a b"], ["MESH_EVENTS_JS_PREFIX": "a.*"],
            ["MESH_EVENTS_INBOX_PREFIX": ".a"], ["MESH_EVENTS_JS_DOMAIN": "d", "MESH_EVENTS_JS_PREFIX": "p"],
        ] {
            let said = message { () throws(NATSError) in _ = try StreamPlace(variables) }
            for name in variables.keys { #expect(said.contains(name), "\(said)") }
        }
    }

    @Test("header fields of a WebSocket's request from a file, and no secret in a message")
    func webSocketHeaders() throws {
        let directory = try TemporaryDirectory()
        func fields(_ text: String, mode: Int = 0o600) throws(NATSError) -> [String: String] {
            let path = (try? directory.file("headers", text)) ?? ""
            try? FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            return try WebSocketHeaderFile.fields(in: [WebSocketHeaderFile.variable: path])
        }
        #expect(
            try fields("# a comment\n\nAuthorization: Bearer x:y\r\nX-A:b\n") == [
                "Authorization": "Bearer x:y", "X-A": "b",
            ]
        )
        #expect(try WebSocketHeaderFile.fields(in: [:]).isEmpty)
        for text in ["X-A: b\nBearer s3cret", "X-A: b\nbad name: s3cret", "X-A: b\nX-B: s3cret\u{1}"] {
            let said = message { () throws(NATSError) in _ = try fields(text) }
            #expect(said.contains("line 2") && !said.contains("s3cret"), "\(said)")
        }
        #expect(message { () throws(NATSError) in _ = try fields("X-A: b", mode: 0o640) }.contains("headers"))
    }
}
