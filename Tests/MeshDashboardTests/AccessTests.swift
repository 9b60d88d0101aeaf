import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

@Suite struct AccessTests {
    private typealias Head = AccessPolicy.Head

    private func refusal(_ head: AccessPolicy.Head, names: Set<String> = []) -> AccessPolicy.Refusal? {
        AccessPolicy(names: names).refusal(head)
    }

    private let mesh = AccessPolicy.Route("GET", "/api/mesh")

    @Test(arguments: [
        ("127.0.0.1:8080", true), ("localhost", true), ("LOCALHOST:1", true), ("[::1]:8080", true),
        ("192.168.1.7:80", true),
        ("pi.local:8080", true), ("evil.example", false), ("127.0.0.1.evil.example", false), ("", false),
        ("localhost.evil.example:8080", false), ("1.2.3", false), ("[evil]", false), ("127.0.0.1:x", false),
    ])
    func onlyNamesThatCannotLeadElsewhereAreAnswered(host: String, isAnswered: Bool) throws {
        let refusal = refusal(Head(host: host), names: ["pi.local"])
        #expect((refusal == nil) == isAnswered)
        #expect(self.refusal(Head(host: nil)) == .host(""))
    }

    @Test func onlyItsOwnPageMayAsk() {
        let host = "127.0.0.1:8080"
        #expect(refusal(Head(route: mesh, host: host, origin: "http://127.0.0.1:8080")) == nil)
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8081", "http://127.0.0.1"] {
            #expect(refusal(Head(route: mesh, host: host, origin: origin)) == .origin)
        }
        for site in ["cross-site", "same-site"] {
            #expect(refusal(Head(route: mesh, host: host, fetchSite: site, fetchMode: "cors")) == .origin)
            #expect(refusal(Head(route: mesh, host: host, fetchSite: site, fetchMode: "navigate")) == .origin)
            let none = AccessPolicy.Route("GET", nil)
            #expect(refusal(Head(route: none, host: host, fetchSite: site, fetchMode: "navigate")) == .origin)
            // A link may lead to the page.
            #expect(refusal(Head(host: host, fetchSite: site, fetchMode: "navigate")) == nil)
            let post = AccessPolicy.Route("POST", "/")
            #expect(refusal(Head(route: post, host: host, fetchSite: site, fetchMode: "navigate")) == .origin)
        }
        for site in ["same-origin", "none"] {
            #expect(refusal(Head(route: mesh, host: host, fetchSite: site)) == nil)
        }
    }

    @Test func everyRouteThatIsNotNamedNeedsALogin() throws {
        let dashboard = try Dashboard(store: InMemoryStore(), configuration: .init(token: Bench.token))
        let open = dashboard.routeList.filter { AccessPolicy.publicRoutes.contains($0) }
        #expect(Set(open) == AccessPolicy.publicRoutes)
        let closed = Set(dashboard.routeList).subtracting(open).map { "\($0.method) \($0.template ?? "")" }.sorted()
        #expect(
            closed == [
                "GET /api/events", "GET /api/events/{sequence}", "GET /api/export", "GET /api/histogram",
                "GET /api/logs",
                "GET /api/mesh", "GET /api/stream", "GET /metrics", "POST /api/events", "POST /api/tools",
            ]
        )
    }

    @Test func sessionsExpireEndAndCannotBeMade() throws {
        let sessions = DashboardSessions()
        let account = Login.Account(try DashboardUser(name: "alice", role: .observer, token: Bench.token))
        let now = ContinuousClock.now
        let value = sessions.begin(for: account, at: now)
        let id = try #require(sessions.session(value, at: now)).id
        #expect(sessions.session(value, at: now)?.account == account)
        #expect(sessions.session(value, at: now + DashboardSessions.lifetime - .seconds(1)) != nil)
        #expect(sessions.session(value, at: now + DashboardSessions.lifetime) == nil)
        #expect(sessions.count == 0)
        let other = sessions.begin(for: account, at: now)
        #expect(value != other && value.cookie.count == 64 && value.key.count == 64)
        let third = sessions.begin(for: account, at: now)
        for wrong in [
            "", ".", String(other.cookie.dropLast()), other.cookie + "0", other.cookie.uppercased() + " ", "\(id)",
            other.key, third.cookie,
        ] {
            #expect(sessions.session(.init(cookie: wrong, key: other.key), at: now) == nil)
        }
        // Each half alone, or with that of another session, is nothing.
        for wrong in ["", other.cookie, third.key, String(other.key.dropLast()), other.key + "0"] {
            #expect(sessions.session(.init(cookie: other.cookie, key: wrong), at: now) == nil)
        }
        sessions.end(try #require(sessions.session(other, at: now)).id)
        #expect(sessions.session(other, at: now) == nil)
        // The oldest makes room.
        let values = (0...DashboardSessions.maximum).map { sessions.begin(for: account, at: now + .seconds($0)) }
        #expect(sessions.count == DashboardSessions.maximum)
        #expect(sessions.session(values[0], at: now) == nil && sessions.session(values[1], at: now) != nil)
    }

    @Test func guessesAreCountedByAddress() {
        let guesses = TokenGuesses()
        let now = ContinuousClock.now
        let one = PeerAddress("192.0.2.1")
        for _ in 0..<TokenGuesses.maximum { #expect(guesses.failed(from: one, at: now) == .refused) }
        for _ in 0..<TokenGuesses.maximumDelayed { #expect(guesses.failed(from: one, at: now) == .delayed) }
        #expect(guesses.failed(from: one, at: now) == .tooMany)
        #expect(guesses.failed(from: PeerAddress("192.0.2.2"), at: now) == .refused)
        guesses.delayIsOver()
        #expect(guesses.failed(from: one, at: now) == .delayed)
        #expect(guesses.failed(from: one, at: now + TokenGuesses.period) == .refused)
        for number in 0..<10_000 {
            _ = guesses.failed(from: PeerAddress("10.0.\(number / 256).\(number % 256)"), at: now)
            #expect(guesses.addressCount <= TokenGuesses.maximumAddresses)
        }
    }

    @Test func oneMachineIsOneAddress() {
        #expect(PeerAddress("::ffff:192.0.2.1") == PeerAddress("192.0.2.1"))
        #expect(PeerAddress("2001:db8:1:2:3:4:5:6") == PeerAddress("2001:db8:1:2::9"))
        #expect(PeerAddress("2001:db8:1:2::") != PeerAddress("2001:db8:1:3::"))
        #expect(PeerAddress("fe80::1%eth0") == PeerAddress("fe80::2%eth0"))
        #expect(PeerAddress("::1") != PeerAddress("127.0.0.1"))
    }

    @Test func aTokenThatCanBeGuessedAndAnOpenDoorAreRefused() throws {
        let store = InMemoryStore()
        #expect(throws: MeshEventsError.self) { try Dashboard(store: store, configuration: .init(token: "short")) }
        #expect(throws: MeshEventsError.self) { try Dashboard(store: store, configuration: .init(host: "0.0.0.0")) }
        #expect(throws: MeshEventsError.self) { try Dashboard(store: store, configuration: .init(host: "::")) }
        _ = try Dashboard(store: store, configuration: .init(host: "0.0.0.0", token: Bench.token))
        _ = try Dashboard(store: store, configuration: .init(host: "::1"))
    }

    @Test func loggingInOpensAndLoggingOutCloses() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let client = bench.client
            let json = [("content-type", "application/json")]
            #expect(try await client.get("/api/mesh").status == 401)
            #expect(try await client.get("/api/session").json["logged_in"]?.bool == false)
            #expect(try await client.send(.POST, "/api/session", json, body: #"{"token":"wrong"}"#).status == 401)
            #expect(try await client.send(.POST, "/api/session", body: #"{"token":"\#(Bench.token)"}"#).status == 415)
            let answer = try await client.send(.POST, "/api/session", json, body: #"{"token":"\#(Bench.token)"}"#)
            #expect(answer.status == 200)
            let cookie = try #require(answer.headers.first(name: "set-cookie"))
            #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(Bench.token))
            let pair = ("cookie", String(cookie.prefix { $0 != ";" }))
            let key = ("mesh-events-session", try #require(try answer.json["session"]?.string))
            #expect(!cookie.contains(key.1))
            #expect(try await client.get("/api/mesh", [pair, key]).status == 200)
            #expect(try await client.get("/api/session", [pair, key]).json["logged_in"]?.bool == true)
            // Who has got hold of one half has nothing, and ends nothing.
            for half in [[pair], [key], [pair, (key.0, String(pair.1.suffix(64)))], [pair, (key.0, "")]] {
                for path in ["/api/mesh", "/api/events", "/api/histogram", "/api/stream", "/api/events/1"] {
                    #expect(try await client.get(path, half).status == 401)
                }
                #expect(try await client.get("/api/session", half).json["logged_in"]?.bool == false)
                _ = try await client.send(.DELETE, "/api/session", half)
            }
            #expect(try await client.get("/api/mesh", [pair, key]).status == 200)
            let out = try await client.send(.DELETE, "/api/session", [pair, key])
            #expect(out.headers.first(name: "set-cookie")?.contains("Max-Age=0") == true)
            // Not only in the browser.
            #expect(try await client.get("/api/mesh", [pair, key]).status == 401)
            #expect(try await client.get("/api/session", [pair, key]).json["logged_in"]?.bool == false)
        }
    }

    @Test func loggingOutEndsTheStreamsOfTheSession() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let client = bench.client
            let (mine, other) = (try await bench.logIn(), try await bench.logIn())
            try await withDeadline(.seconds(20), "the end of the streams of one session") {
                try await client.listen("/api/stream", other) { others in
                    _ = try await others.next("position")
                    try await client.listen("/api/stream", mine) { reader in
                        _ = try await reader.next("position")
                        _ = try await client.send(.DELETE, "/api/session", mine)
                        while try await reader.next() != nil {}
                    }
                    try await bench.emit(0..<1)
                    _ = try await others.next("message")
                }
            }
        }
    }

    @Test func aPageFromElsewhereGetsNothing() async throws {
        try await Bench.run { bench in
            for (path, header, status) in [
                ("/api/mesh", ("host", "evil.example"), 421), ("/api/stream", ("origin", "http://evil.example"), 403),
                ("/api/mesh", ("sec-fetch-site", "cross-site"), 403),
            ] {
                let answer = try await bench.client.get(path, [header])
                #expect(answer.status == status)
            }
        }
    }

    @Test func emittingIsOffUnlessAskedFor() async throws {
        let json = [("content-type", "application/json")]
        let body = #"{"type":"user.hello","data":{"a":1}}"#
        try await Bench.run { bench in
            let answer = try await bench.client.send(.POST, "/api/events", json, body: body)
            #expect(answer.status == 403)
            #expect(try answer.json["error"]?["code"]?.string == "emitOff")
        }
        try await Bench.run(.init(token: Bench.token), emits: true) { bench in
            let allowed = json + [("authorization", "Bearer \(Bench.token)")]
            #expect(try await bench.client.send(.POST, "/api/events", json, body: body).status == 401)
            let answer = try await bench.client.send(.POST, "/api/events", allowed, body: body)
            #expect(answer.status == 201)
            let stored = try await bench.bus.history().first
            #expect(try answer.json["sequence"]?.int == stored.map { Int($0.sequence) })
            #expect(stored?.event.type == "user.hello" && stored?.event.node == "attic")
            for wrong in ["", "[]", "{}", #"{"type":"a b"}"#, #"{"type":"a","data":3}"#, #"{"type":"a","node":"x"}"#] {
                #expect(
                    try await bench.client.send(.POST, "/api/events", allowed, body: wrong).status == 400,
                    "\(wrong)"
                )
            }
            let long = #"{"type":"a","data":{"x":"\#(String(repeating: "x", count: 1 << 20))"}}"#
            #expect(try await bench.client.send(.POST, "/api/events", allowed, body: long).status == 413)
        }
    }
}
