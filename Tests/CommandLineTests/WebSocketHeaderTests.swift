import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// A proxy that wants a token, and commands that bring it in a file or by the environment.
@Suite struct WebSocketHeaderTests {
    private func privateFile(_ directory: TemporaryDirectory, _ name: String, _ text: String, mode: Int = 0o600) throws
        -> String
    {
        let path = try directory.file(name, text)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test func theProxyGetsTheHeadersAndNobodyElseSeesThem() async throws {
        let directory = try TemporaryDirectory()
        let port = try freePorts(1)[0]
        let block = "websocket { host: 127.0.0.1, port: \(port), no_tls: true }"
        try await withServer(NATSServers.first, .init(extraConfiguration: block)) { _ in
            let location = """
                location /mesh {
                  if ($http_authorization != "Bearer open-sesame") { return 401; }
                  proxy_pass http://127.0.0.1:\(port)/; proxy_http_version 1.1; proxy_set_header Host $host;
                  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
                }
                """
            try await withNginx(location) { proxy in
                let url = "ws://127.0.0.1:\(proxy)/mesh"
                let headers = "# for the proxy\n\nAuthorization: Bearer open-sesame\r\nX-Other:  two words \n"
                let good = try privateFile(directory, "good", headers)
                let emit = try await Command.run(["emit", "user.far", "--ack", "--nats", url, "--ws-headers", good])
                #expect(emit.code == 0, "\(emit.error)")
                let list = try await Command.run(
                    ["list"],
                    environment: ["JB_NATS_URL": url, "MESH_EVENTS_WS_HEADERS": good]
                )
                #expect(list.output.contains("user.far"), "\(list.error)")

                let wrong = try privateFile(directory, "wrong", "Authorization: Bearer wrong-secret")
                let refused = try await Command.run(["list", "--nats", url, "--ws-headers", wrong])
                #expect(refused.code == 69 && refused.error.contains("401"), "\(refused.error)")
                #expect(!refused.error.contains("wrong-secret"))
            }
        }
    }

    @Test(arguments: [
        ("no colon here my-secret", 0o600, "line 1 of"), ("A: b\nbad name: my-secret", 0o600, "line 2 of"),
        ("A: my\u{1}-secret", 0o600, "line 1 of"), ("A:", 0o600, "line 1 of"), ("A: my-secret", 0o644, "chmod 600"),
        ("A: my-secret", 0o640, "chmod 600"),
    ])
    func aBadFileIsNamedButNotShown(text: String, mode: Int, problem: String) async throws {
        let directory = try TemporaryDirectory()
        let file = try privateFile(directory, "headers", text, mode: mode)
        for (arguments, environment) in [(["--ws-headers", file], [:]), ([], ["MESH_EVENTS_WS_HEADERS": file])] {
            let outcome = try await Command.run(
                ["list", "--nats", "ws://127.0.0.1:1"] + arguments,
                environment: environment
            )
            #expect(outcome.code == 64, "\(outcome.error)")
            #expect(outcome.error.contains(problem) && outcome.error.contains(file), "\(outcome.error)")
            #expect(!outcome.error.contains("my-secret") && !outcome.error.contains("my\\u"))
        }
        #expect(try await Command.run(["list", "--ws-headers", "/no/such"]).code == 64)
    }
}
