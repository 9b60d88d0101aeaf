import Foundation
import LocalNATSServer
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct DashboardCommandTests {
    private static let token = "a token for tests, long enough"

    /// The URL at which it says that its dashboard is.
    private func page(of command: Command) async throws -> URL {
        try await command.waitForError("the dashboard is at")
        let url = try #require(command.error.firstMatch(of: #/the dashboard is at (http://\S+:\d+/)/#)).1
        return try #require(URL(string: String(url)))
    }

    private func get(_ url: URL, token: String? = nil) async throws -> (status: Int, text: String) {
        var request = URLRequest(url: url)
        if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        let (data, response) = try await URLSession.shared.data(for: request)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    @Test(arguments: NATSServers.all)
    func showsTheMeshOfTheServerThatIsNamed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            #expect(try await Command.run(["emit", "user.hello", "a=1", "--ack", "--nats", server.url]).code == 0)
            let dashboard = try Command(["dashboard", "--listen", "127.0.0.1:0", "--nats", server.url])
            let url = try await page(of: dashboard)
            #expect(try await get(url).text.contains("<title>mesh-events</title>"))
            try await eventually("it to hear the mesh") { try await get(url.appending(path: "healthz")).status == 200 }
            #expect(try await get(url.appending(path: "api/events")).text.contains("user.hello"))
            dashboard.signal(SIGTERM)
            #expect(try await dashboard.wait().code == 0)
        }
    }

    @Test func aNodeShowsItsMesh() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("token", Self.token + "\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let serve = try Command(
            [
                "serve", "--node", "me", "--port", "0", "--dashboard", "--dashboard-listen", "127.0.0.1:0",
                "--token-file", file,
                "--allow-emit",
            ],
            environment: ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
        )
        let url = try await page(of: serve)
        try await serve.waitForOutput("node.joined")
        #expect(try await get(url.appending(path: "api/mesh")).status == 401)
        try await eventually("the node to be online") {
            let mesh = try await get(url.appending(path: "api/mesh"), token: Self.token).text
            return mesh.contains(#""name":"me""#) && mesh.contains(#""status":"online""#)
        }
        var request = URLRequest(url: url.appending(path: "api/events"))
        request.httpMethod = "POST"
        request.httpBody = Data(#"{"type":"user.hello","data":{"from":"the page"}}"#.utf8)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue("Bearer \(Self.token)", forHTTPHeaderField: "Authorization")
        let (_, response) = try await URLSession.shared.data(for: request)
        #expect((response as? HTTPURLResponse)?.statusCode == 201)
        try await serve.waitForOutput("the page")
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
        #expect(serve.output.contains("node.left"))
    }

    @Test func whatWouldBeOpenToOthersIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let readable = try directory.file("token", Self.token)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: readable)
        try await withServer { server in
            for (arguments, reason) in [
                (["dashboard", "--listen", "0.0.0.0:0"], "give it a token"),
                (["dashboard", "--allow-emit"], "needs a token"),
                (["dashboard", "--token-file", readable], "chmod 600"),
                (["dashboard", "--token-file", "/nowhere/token"], "cannot be read"),
                (["dashboard", "--listen", "8080"], "an address and a port"),
                (["dashboard", "--listen", "127.0.0.1:70000"], "an address and a port"),
                (["serve", "--dashboard-listen", "127.0.0.1:0"], "give --dashboard too"),
            ] {
                let outcome = try await Command.run(arguments + ["--nats", server.url])
                #expect(outcome.code == 64, "\(arguments): \(outcome.error)")
                #expect(outcome.error.contains(reason), "\(arguments): \(outcome.error)")
            }
            let short = try await Command.run(
                ["dashboard", "--nats", server.url],
                environment: ["MESH_EVENTS_DASHBOARD_TOKEN": "short"]
            )
            #expect(short.code == 64 && short.error.contains("can be guessed"))
        }
    }

    @Test func anAddressThatIsTakenIsNamed() async throws {
        try await withServer { server in
            let port = server.url.split(separator: ":").last ?? ""
            let outcome = try await Command.run(["dashboard", "--listen", "127.0.0.1:\(port)", "--nats", server.url])
            #expect(
                outcome.code == 64 && outcome.error.contains("cannot listen on 127.0.0.1:\(port)"),
                "\(outcome.error)"
            )
        }
    }
}
