import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
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
                (["serve", "--users", readable], "give --dashboard too"),
                (["serve", "--https-cert", readable], "give --dashboard or --metrics too"),
                (["dashboard", "--https-cert", readable], "both files"),
                (["dashboard", "--https-key", readable], "both files"),
                (["dashboard", "--https-cert", readable, "--https-key", readable], "no certificate in PEM"),
                (["dashboard", "--users", readable], "chmod 600"),
                (["dashboard", "--users", "/nowhere/users"], "cannot be read"),
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

    @Test(arguments: NATSServers.all)
    func whoShowsAKeyedMeshWithoutATokenIsWarned(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let auth = directory.path + "/auth"
        #expect(try await Command.run(["auth", "init", auth]).code == 0)
        let page = ["--dashboard", "--dashboard-listen", "127.0.0.1:0"]
        let node = ["MESH_EVENTS_NATS_SERVER": binary.path]
        let warning =
            "warning: the mesh needs a login, the page does not: any user of this machine can see the mesh on it"
        let token = ["MESH_EVENTS_DASHBOARD_TOKEN": Self.token]

        let serve = try Command(["serve", "--node", "me", "--port", "0", "--auth", auth] + page, environment: node)
        _ = try await self.page(of: serve)
        #expect(serve.error.contains(warning))
        let url = String(try #require(serve.error.firstMatch(of: #/listens on (tls://[^ ]+)/#)).1)
        let login = ["--nats", url, "--nkey", auth + "/observer.nk", "--tls-ca", auth + "/ca.pem"]
        for (environment, isWarned) in [([:], true), (token, false)] {
            let dashboard = try Command(["dashboard", "--listen", "127.0.0.1:0"] + login, environment: environment)
            _ = try await self.page(of: dashboard)
            #expect(dashboard.error.contains(warning) == isWarned, "\(dashboard.error)")
            dashboard.signal(SIGTERM)
            #expect(try await dashboard.wait().code == 0)
        }
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)

        // With a token, and where there is no login, nothing is said.
        for (arguments, environment) in [(["--auth", auth], token), ([], [:])] {
            let serve = try Command(
                ["serve", "--node", "me", "--port", "0"] + arguments + page,
                environment: node.merging(environment) { $1 }
            )
            _ = try await self.page(of: serve)
            #expect(!serve.error.contains("warning"), "\(serve.error)")
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
        }
    }

    /// Asks by curl, which knows the authority; the status, and what it said.
    private func ask(_ url: String, _ authority: String, token: String = "") throws -> (status: String, text: String) {
        let (_, text) = try SpawnedProcess.outcome(
            of: "/usr/bin/env",
            [
                "curl", "-sS", "--max-time", "60", "--noproxy", "*", "--cacert", authority, "-w", "\n%{http_code}",
                "-H", "Authorization: Bearer \(token)", url,
            ]
        )
        return (String(text.suffix(3)), text)
    }

    @Test("users and certificate of `auth` are used over HTTPS, and read again on SIGHUP")
    func usersOverHTTPS() async throws {
        let temporary = try TemporaryDirectory()
        let auth = temporary.path + "/auth"
        #expect(try await Command.run(["auth", "init", auth, "--https", "mesh.test"]).code == 0)
        for name in ["alice", "bob"] {
            let added = try await Command.run(["auth", "add", auth, name, "--role", "observer", "--page"])
            #expect(added.code == 0 && added.output.contains("\(name).page-token"), "\(added.error)")
        }
        let tool = try await Command.run(["auth", "add", auth, "t", "--role", "tool", "--page"])
        #expect(tool.code == 64 && tool.error.contains("observer, operator or admin"))
        let tokens = try ["alice", "bob"].map {
            try temporary.text(of: "auth/\($0).page-token").trimmingCharacters(in: .newlines)
        }
        #expect(try await Command.run(["auth", "list", auth]).output.contains("page.pem"))
        try await withServer { server in
            let dashboard = try Command(
                [
                    "dashboard", "--listen", "127.0.0.1:0", "--users", auth + "/page.users", "--https-cert",
                    auth + "/page.pem", "--https-key", auth + "/page.key", "--metrics", "127.0.0.1:0", "--nats",
                    server.url,
                ]
            )
            try await dashboard.waitForError("the dashboard is at")
            try await dashboard.waitForError("the metrics are at")
            let url = String(try #require(dashboard.error.firstMatch(of: #/dashboard is at (https:\S+)/#)).1)
            let metrics = String(try #require(dashboard.error.firstMatch(of: #/metrics are at (https:\S+)/#)).1)
            let authority = auth + "/ca.pem"
            #expect(try ask(url + "api/session", authority).text.contains(#""logged_in":false"#))
            for token in tokens {
                #expect(try ask(url + "api/session", authority, token: token).text.contains(#""role":"observer""#))
            }
            #expect(try ask(metrics, authority).status == "200")
            #expect(try await Command.run(["auth", "remove", auth, "alice"]).code == 0)
            #expect(try await Command.run(["auth", "renew", auth]).code == 0)
            dashboard.signal(SIGHUP)
            try await dashboard.waitForError("the users of the page have been read again: 1")
            #expect(dashboard.error.contains("the certificate has been read again"))
            #expect(try ask(url + "api/mesh", authority, token: tokens[0]).status == "401")
            #expect(try ask(url + "api/session", authority, token: tokens[1]).text.contains("bob"))
            // A list that is wrong changes nothing.
            try Data("bob emperor x\n".utf8).write(to: URL(fileURLWithPath: auth + "/page.users"))
            dashboard.signal(SIGHUP)
            try await dashboard.waitForError("the users of the page stay as they are")
            #expect(dashboard.error.contains("line 1: the roles are"), "\(dashboard.error)")
            #expect(try ask(url + "api/session", authority, token: tokens[1]).text.contains("bob"))
            dashboard.signal(SIGTERM)
            #expect(try await dashboard.wait().code == 0)
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

    // MARK: Under abuse

    /// Whatever its clients do, it ends when it is told to; also while the server of the mesh says nothing.
    @Test(arguments: NATSServers.all)
    func endsInTimeWhateverItsClientsDo(binary: NATSServers.Binary) async throws {
        for isServerStopped in [false, true] {
            try await withServer(binary) { server in
                for number in 0..<40 {
                    let text = String(repeating: "x", count: 15_000)
                    let outcome = try await Command.run(
                        ["emit", "user.long", "n=\(number)", "text=\(text)", "--ack", "--nats", server.url]
                    )
                    #expect(outcome.code == 0)
                }
                let dashboard = try Command(
                    ["dashboard", "--listen", "127.0.0.1:0", "--nats", server.url],
                    environment: ["MESH_EVENTS_DASHBOARD_TOKEN": Self.token]
                )
                let url = try await page(of: dashboard)
                let port = try #require(url.port)
                try await eventually("it to hear the mesh") {
                    try await get(url.appending(path: "healthz")).status == 200
                }
                let head = "Host: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(Self.token)\r\n"
                let page = "GET /api/events?limit=1000 HTTP/1.1\r\n\(head)\r\n"
                var held: [HeldConnection] = []
                if isServerStopped, let pid = server.pid { kill(pid, SIGSTOP) }
                defer { if isServerStopped, let pid = server.pid { kill(pid, SIGCONT) } }
                for text in [
                    "", "GET / HTTP/1.1\r\n", "POST /api/session HTTP/1.1\r\n\(head)Content-Length: 9\r\n\r\n{",
                    "GET /api/stream HTTP/1.1\r\n\(head)\r\n", "GET /api/stream?after=0 HTTP/1.1\r\n\(head)\r\n",
                    String(repeating: page, count: 20), "GET /api/histogram HTTP/1.1\r\n\(head)\r\n",
                    "GET /api/mesh HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer wrong\r\n\r\n",
                ] {
                    for isReading in [true, false] {
                        held.append(try await HeldConnection(port: port, sending: text, isReading: isReading))
                    }
                }
                let began = ContinuousClock.now
                dashboard.signal(SIGTERM)
                let outcome = try await dashboard.wait(within: .seconds(30))
                #expect(outcome.code == 0, "\(outcome.error)")
                #expect(ContinuousClock.now - began < .seconds(15))
                #expect(!held.isEmpty)
            }
        }
    }

    /// What one page of events takes does not grow with how large the events are.
    @Test(arguments: NATSServers.all)
    func largeEventsAreNotHeldAllAtOnce(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(to: server.url)
            let bus = try await PersistentEventBus.open(transport: transport, node: "n")
            let data: EventData = ["text": .string(String(repeating: "x", count: 900_000))]
            for _ in 0..<200 { try await bus.emit("user.large", data) }
            let dashboard = try Command(["dashboard", "--listen", "127.0.0.1:0", "--nats", server.url])
            let url = try await page(of: dashboard)
            try await eventually("it to hear the mesh") { try await get(url.appending(path: "healthz")).status == 200 }
            let before = try ProcessUse(of: dashboard.pid).peakResidentBytes
            let answer = try await get(
                url.appending(path: "api/events").appending(queryItems: [.init(name: "limit", value: "1000")])
            )
            #expect(answer.status == 200 && answer.text.contains("data_bytes"))
            let after = try ProcessUse(of: dashboard.pid).peakResidentBytes
            // All of them are 180 MB, and were held twice.
            #expect(after < 200 << 20, "\(before >> 20) MB, then \(after >> 20) MB")
            await transport.close()
        }
    }
}
