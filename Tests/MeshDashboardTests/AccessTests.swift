import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

@Suite struct AccessTests {
    private typealias Head = AccessPolicy.Head

    private func refusal(_ head: AccessPolicy.Head, names: Set<String> = [], token: String? = nil) throws
        -> AccessPolicy.Refusal?
    {
        AccessPolicy(token: try token.map { try DashboardToken($0) }, names: names).refusal(head)
    }

    @Test(arguments: [
        ("127.0.0.1:8080", true), ("localhost", true), ("LOCALHOST:1", true), ("[::1]:8080", true),
        ("192.168.1.7:80", true),
        ("pi.local:8080", true), ("evil.example", false), ("127.0.0.1.evil.example", false), ("", false),
        ("localhost.evil.example:8080", false), ("1.2.3", false), ("[evil]", false), ("127.0.0.1:x", false),
    ])
    func onlyNamesThatCannotLeadElsewhereAreAnswered(host: String, isAnswered: Bool) throws {
        let refusal = try refusal(Head(host: host), names: ["pi.local"])
        #expect((refusal == nil) == isAnswered)
        #expect(try self.refusal(Head(host: nil)) == .host(""))
    }

    @Test func onlyItsOwnPageMayAsk() throws {
        let host = "127.0.0.1:8080"
        #expect(try refusal(Head(path: "/api/mesh", host: host, origin: "http://127.0.0.1:8080")) == nil)
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8081", "http://127.0.0.1"] {
            #expect(try refusal(Head(path: "/api/mesh", host: host, origin: origin)) == .origin)
        }
        for site in ["cross-site", "same-site"] {
            #expect(try refusal(Head(path: "/api/mesh", host: host, fetchSite: site, fetchMode: "cors")) == .origin)
            #expect(try refusal(Head(path: "/api/mesh", host: host, fetchSite: site, fetchMode: "navigate")) == .origin)
            // A link may lead to the page.
            #expect(try refusal(Head(path: "/", host: host, fetchSite: site, fetchMode: "navigate")) == nil)
            #expect(
                try refusal(Head(method: "POST", path: "/", host: host, fetchSite: site, fetchMode: "navigate"))
                    == .origin
            )
        }
        for site in ["same-origin", "none"] {
            #expect(try refusal(Head(path: "/api/mesh", host: host, fetchSite: site)) == nil)
        }
    }

    @Test func withATokenNothingOfTheMeshIsShownWithoutIt() throws {
        let token = try DashboardToken(Bench.token)
        func refusal(_ path: String, _ change: (inout Head) -> Void = { _ in }) throws -> AccessPolicy.Refusal? {
            var head = Head(path: path, host: "127.0.0.1")
            change(&head)
            return try self.refusal(head, token: Bench.token)
        }
        for path in ["/", "/main.js", "/healthz", "/api/session", "/api/openapi.json"] {
            #expect(try refusal(path) == nil)
        }
        for path in ["/api/mesh", "/api/events", "/api/events/1", "/api/stream", "/api/histogram"] {
            #expect(try refusal(path) == .login)
            #expect(try refusal(path) { $0.authorization = "Bearer \(Bench.token)" } == nil)
            #expect(try refusal(path) { $0.authorization = "Bearer another token, long enough" } == .login)
            #expect(try refusal(path) { $0.session = token.session() } == nil)
            #expect(try refusal(path) { $0.session = "" } == .login)
        }
    }

    @Test func sessionsExpireAndCannotBeMade() throws {
        let token = try DashboardToken(Bench.token)
        let session = token.session(from: .epoch)
        let end = Timestamp.epoch.adding(.seconds(DashboardToken.sessionSeconds))
        #expect(token.isSession(session, at: .epoch))
        #expect(token.isSession(session, at: end.subtracting(.seconds(1))))
        #expect(!token.isSession(session, at: end))
        let later = session.replacing(#/^\d+/#, with: "99999999999")
        #expect(!token.isSession(later, at: .epoch))
        #expect(try !DashboardToken("another token, long enough").isSession(session, at: .epoch))
        for wrong in ["", ".", "1.", String(session.dropLast()), session + "0", "x" + session] {
            #expect(!token.isSession(wrong, at: .epoch))
        }
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
            let pair = String(cookie.prefix { $0 != ";" })
            #expect(try await client.get("/api/mesh", [("cookie", pair)]).status == 200)
            #expect(try await client.get("/api/session", [("cookie", pair)]).json["logged_in"]?.bool == true)
            let out = try await client.send(.DELETE, "/api/session", [("cookie", pair)])
            #expect(out.headers.first(name: "set-cookie")?.contains("Max-Age=0") == true)
        }
    }

    @Test func guessingIsStopped() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let json = [("content-type", "application/json")]
            for _ in 0..<10 {
                #expect(try await bench.client.send(.POST, "/api/session", json, body: #"{"token":"x"}"#).status == 401)
            }
            let right = try await bench.client.send(.POST, "/api/session", json, body: #"{"token":"\#(Bench.token)"}"#)
            #expect(right.status == 429)
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
