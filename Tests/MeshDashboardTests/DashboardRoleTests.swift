import MeshAuth
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// Users of the page: what each role may do on each route, and when a login ends.
@Suite struct DashboardRoleTests {
    private static func token(_ name: String) -> String { "the token of \(name), long enough" }

    private static func bearer(_ name: String) -> [(String, String)] { [("authorization", "Bearer \(token(name))")] }

    private static let json = [("content-type", "application/json")]

    private static func users(_ roles: [(String, DashboardRole)]) throws -> [DashboardUser] {
        try roles.map { try DashboardUser(name: $0.0, role: $0.1, token: token($0.0)) }
    }

    /// One user of each role, named after it.
    private static func everyRole() throws -> [DashboardUser] {
        try users(DashboardRole.allCases.map { ($0.rawValue, $0) })
    }

    /// Notes who asks.
    private final class Recorder: ToolController {
        private let made = Locked<[String]>([])
        var names: [String] { made.withLock { $0 } }

        func control(
            _ action: PageToolAction,
            tool: String,
            node: String,
            by: String
        ) async throws(MeshEventsError) -> String {
            made.withLock { $0.append(by) }
            return "running"
        }
    }

    /// A route, a request for it, and the least role that it is for; `nil` for a route without a login.
    private struct Row {
        let method: String
        let template: String
        let path: String
        let least: DashboardRole?

        init(_ method: String, _ template: String, _ least: DashboardRole?, path: String? = nil) {
            self.method = method
            self.template = template
            self.path = path ?? template
            self.least = least
        }
    }

    /// Every route. A new one needs a row here.
    private static let rows = [
        Row("GET", "/", nil),
        Row("GET", "/{file}", nil, path: "/main.js"),
        Row("GET", "/healthz", nil),
        Row("GET", "/api/openapi.json", nil),
        Row("GET", "/api/session", nil),
        Row("POST", "/api/session", nil),
        Row("DELETE", "/api/session", nil),
        Row("GET", "/metrics", .observer),
        Row("GET", "/api/mesh", .observer),
        Row("GET", "/api/events", .observer),
        Row("GET", "/api/events/{sequence}", .observer, path: "/api/events/1"),
        Row("GET", "/api/export", .observer, path: "/api/export?format=csv"),
        Row("GET", "/api/histogram", .observer),
        Row("GET", "/api/stream", .observer),
        Row("GET", "/api/logs", .operator, path: "/api/logs?node=pi&tool=whisper"),
        Row("POST", "/api/tools", .operator),
        Row("POST", "/api/events", .admin),
    ]

    /// The status of an answer, and its error's code. Of the stream only the head is read.
    private static func outcome(
        _ client: HTTPClient,
        _ row: Row,
        _ headers: [(String, String)]
    ) async throws -> (status: UInt, code: String?) {
        if row.template == "/api/stream", row.method == "GET" {
            let status = try await client.connect(.GET, row.path, headers) { inbound in
                for try await part in inbound {
                    if case .head(let head) = part { return head.status.code }
                }
                return 0
            }
            return (status, status == 403 ? "role" : nil)
        }
        let isPost = row.method == "POST"
        let answer = try await client.send(
            .init(rawValue: row.method),
            row.path,
            headers + (isPost ? json : []),
            body: isPost ? "{}" : nil
        )
        return (answer.status, try? answer.json["error"]?["code"]?.string)
    }

    @Test func everyRouteIsForItsRoles() async throws {
        let configuration = Dashboard.Configuration(users: try Self.everyRole())
        try await Bench.run(configuration, emits: true, logs: StoredLogs(), control: Recorder()) { bench in
            try await bench.emit(0..<1)
            let rows = Self.rows.map { AccessPolicy.Route($0.method, $0.template) }
            #expect(Set(rows) == Set(bench.dashboard.routeList), "a route has no row in the table, or a row no route")
            #expect(rows.count == Set(rows).count)
            for row in Self.rows {
                for role in DashboardRole.allCases {
                    let (status, code) = try await Self.outcome(bench.client, row, Self.bearer(role.rawValue))
                    let isDenied = row.least.map { role < $0 } ?? false
                    #expect((status == 403) == isDenied, "\(role) \(row.method) \(row.path): \(status)")
                    #expect(!isDenied || code == "role")
                    if row.least != nil { #expect(status != 401) }
                }
                let (status, _) = try await Self.outcome(bench.client, row, [])
                if row.least != nil { #expect(status == 401, "\(row.method) \(row.path) without a login: \(status)") }
            }
            // A wrong path tells an observer no more than that.
            let answer = try await bench.client.get("/api/nothing", Self.bearer("observer"))
            #expect(answer.status == 404)
        }
    }

    @Test func aRouteThatIsNotListedIsForAdmins() {
        #expect(AccessPolicy.role(for: .init("GET", "/api/new")) == .admin)
        #expect(AccessPolicy.role(for: .init("PUT", "/api/events")) == .admin)
        #expect(AccessPolicy.role(for: .init("HEAD", "/api/events")) == .observer)
        #expect(DashboardRole.observer < .operator && DashboardRole.operator < .admin)
    }

    @Test func thePageIsToldWhatItsUserMayDo() async throws {
        let configuration = Dashboard.Configuration(users: try Self.everyRole())
        try await Bench.run(configuration, emits: true, logs: StoredLogs(), control: Recorder()) { bench in
            for (role, control, emit) in [
                (DashboardRole.observer, false, false), (.operator, true, false), (.admin, true, true),
            ] {
                let session = try await bench.logIn(Self.token(role.rawValue))
                let answer = try await bench.client.get("/api/session", session).json
                #expect(answer["user"]?.string == role.rawValue && answer["role"]?.string == role.rawValue)
                #expect(answer["logged_in"]?.bool == true && answer["login"]?.bool == true)
                #expect(answer["control"]?.bool == control && answer["can"]?["control"]?.bool == control)
                #expect(answer["emit"]?.bool == emit && answer["can"]?["emit"]?.bool == emit)
                #expect(answer["can"]?["logs"]?.bool == control && answer["can"]?["export"]?.bool == true)
                let hello = try await bench.client.listen("/api/stream", session) { try await $0.next("hello").json }
                #expect(hello["control"]?.bool == control && hello["emit"]?.bool == emit)
                #expect(hello["logs"]?.bool == control)
            }
            let stranger = try await bench.client.get("/api/session").json
            #expect(stranger["logged_in"]?.bool == false && stranger["role"]?.isNull == true)
            #expect(stranger["can"]?["export"]?.bool == false && stranger["can"]?["control"]?.bool == false)
        }
        try await Bench.run { bench in
            let open = try await bench.client.get("/api/session").json
            #expect(open["login"]?.bool == false && open["role"]?.string == "admin" && open["user"]?.isNull == true)
            #expect(open["can"]?["export"]?.bool == true && open["can"]?["control"]?.bool == false)
        }
    }

    @Test func theTokenWithoutANameDoesAllAndStandsBesideUsers() async throws {
        let recorder = Recorder()
        let configuration = Dashboard.Configuration(
            token: Bench.token,
            users: try Self.users([("ann", .operator), ("bob", .observer)])
        )
        try await Bench.run(configuration, emits: true, control: recorder) { bench in
            let body = #"{"action":"stop","node":"pi","tool":"a"}"#
            let ann = try await bench.logIn(Self.token("ann"))
            let calls: [[(String, String)]] = [
                [("authorization", "Bearer \(Bench.token)")], Self.bearer("ann"), ann,
            ]
            for headers in calls {
                let answer = try await bench.client.send(.POST, "/api/tools", headers + Self.json, body: body)
                #expect(answer.status == 200, "\(answer.text)")
            }
            let names = recorder.names
            #expect(names[0] == "page, token, 127.0.0.1" && names[1] == "page, user ann, token, 127.0.0.1")
            #expect(names[2].wholeMatch(of: #/page, user ann, session [0-9a-f]{8}, 127\.0\.0\.1/#) != nil, "\(names)")
            let refused = try await bench.client.send(.POST, "/api/tools", Self.bearer("bob") + Self.json, body: body)
            #expect(refused.status == 403 && refused.text.contains("bob has the role observer; this needs operator"))
            #expect(recorder.names.count == 3)
            let event = #"{"type":"user.hello"}"#
            let emitted = try await bench.client.send(.POST, "/api/events", calls[0] + Self.json, body: event)
            #expect(emitted.status == 201)
            for wrong in ["", "wrong", Self.token("cid"), Self.token("ann") + "x"] {
                let answer = try await bench.client.get("/api/mesh", [("authorization", "Bearer \(wrong)")])
                #expect(answer.status == 401, "\(wrong)")
            }
        }
    }

    @Test("a removed user's session, token and stream end; so do those of a user whose role or token is another one")
    func removedUsers() async throws {
        let before = try Self.users([("ann", .operator), ("bob", .observer), ("cid", .observer), ("dan", .observer)])
        try await Bench.run(.init(token: Bench.token, users: before)) { bench in
            let client = bench.client
            var sessions: [String: [(String, String)]] = [:]
            for name in ["ann", "bob", "cid", "dan"] { sessions[name] = try await bench.logIn(Self.token(name)) }
            let (ann, bob) = (try #require(sessions["ann"]), try #require(sessions["bob"]))
            let nameless = try await bench.logIn()
            // Ann is gone, Cid may do more, Dan has another token.
            let after =
                try Self.users([("bob", .observer), ("cid", .operator)])
                + [try DashboardUser(name: "dan", role: .observer, token: Self.token("dan anew"))]
            try await withDeadline(.seconds(60), "the end of the streams of users who are gone") {
                try await client.listen("/api/stream", bob) { others in
                    _ = try await others.next("position")
                    try await client.listen("/api/stream", ann) { reader in
                        _ = try await reader.next("position")
                        try await client.listen("/api/stream", Self.bearer("ann")) { byToken in
                            _ = try await byToken.next("position")
                            bench.dashboard.replace(users: after)
                            while try await byToken.next() != nil {}
                        }
                        while try await reader.next() != nil {}
                    }
                    try await bench.emit(0..<1)
                    _ = try await others.next("message")
                }
            }
            for (name, status) in [("ann", 401), ("bob", 200), ("cid", 401), ("dan", 401)] as [(String, UInt)] {
                let session = try #require(sessions[name])
                #expect(try await client.get("/api/mesh", session).status == status, "\(name)")
            }
            #expect(try await client.get("/api/mesh", nameless).status == 200)
            #expect(try await client.get("/api/mesh", Self.bearer("ann")).status == 401)
            #expect(try await client.get("/api/mesh", Self.bearer("dan")).status == 401)
            #expect(try await client.get("/api/mesh", Self.bearer("dan anew")).status == 200)
            #expect(try await client.get("/api/session", Self.bearer("cid")).json["role"]?.string == "operator")
        }
    }

    @Test func aListWithoutUsersLetsInNoUser() async throws {
        try await Bench.run(.init(users: [])) { bench in
            let status = try await bench.client.get("/api/mesh").status
            #expect(status == 401)
            let session = try await bench.client.get("/api/session").json
            #expect(session["login"]?.bool == true)
        }
        _ = try Dashboard(store: InMemoryStore(), configuration: .init(host: "0.0.0.0", users: []))
    }

    @Test func aListIsRead() throws {
        let hash = "9ac2197d9258257b1ae8463e4214e4cd0a578bc1517f2415928b91be4283fc48"
        let other = String(hash.reversed())
        let text = "\u{FEFF}# users\r\n\nalice observer \(hash)\r\n  b.o-b_1\tadmin  \(other.uppercased()) # mine\n"
        let users = try DashboardUser.list(text)
        #expect(users.map(\.name) == ["alice", "b.o-b_1"] && users.map(\.role) == [.observer, .admin])
        // The hash of "long enough for a token".
        let known = try DashboardUser(name: "x", role: .admin, token: "long enough for a token")
        let line = known.digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(try DashboardUser.list("x admin \(line)") == [known])
        for (wrong, reason) in [
            ("alice observer", "line 1: write"), ("alice observer \(hash) x", "line 1: write"),
            ("alice tool \(hash)", "the roles are observer, operator, admin"), ("alice observer abc", "64 hexadecimal"),
            ("alice observer \(hash.dropLast())g", "64 hexadecimal"),
            ("alice observer +\(hash.dropFirst())", "64 hexadecimal"),
            ("a/b observer \(hash)", "cannot be a user's name"),
            ("\(String(repeating: "a", count: 65)) observer \(hash)", "cannot be a user's name"),
            ("a observer \(hash)\na admin \(other)", "line 2: there is a user a already"),
            ("a observer \(hash)\nb admin \(hash)", "line 2: b has the token of a"),
        ] {
            let error = #expect(throws: MeshEventsError.self) { try DashboardUser.list(wrong) }
            #expect(error?.message.contains(reason) == true, "\(wrong): \(error?.message ?? "")")
            #expect(error?.message.contains(hash) == false)
        }
        #expect(throws: MeshEventsError.self) { try DashboardUser(name: "a", role: .admin, token: "short") }
    }

    @Test func theListThatAuthWritesIsUnderstood() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(at: temporary.path + "/auth")
        for (name, role) in [("alice", MeshRole.observer), ("bob", .operator), ("carol", .admin)] {
            try directory.add(name, role: role, page: true)
        }
        let users = try DashboardUser.list(file: directory.pageUsersFile)
        #expect(users.map(\.name) == ["alice", "bob", "carol"] && users.map(\.role) == [.observer, .operator, .admin])
        let token = try temporary.text(of: "auth/alice.page-token").split(separator: "\n").joined()
        #expect(users.first == (try DashboardUser(name: "alice", role: .observer, token: token)))
        try directory.remove("bob")
        #expect(try DashboardUser.list(file: directory.pageUsersFile).map(\.name) == ["alice", "carol"])
        for name in ["alice", "carol"] { try directory.remove(name) }
        #expect(try DashboardUser.list(file: directory.pageUsersFile).isEmpty)
        let open = try temporary.file("open", "", mode: 0o644)
        let error = #expect(throws: MeshEventsError.self) { try DashboardUser.list(file: open) }
        #expect(error?.message.contains("chmod 600") == true)
    }
}
