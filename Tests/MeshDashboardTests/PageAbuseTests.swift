import Foundation
import Logging
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// What somebody who can reach the page, and knows no token, tries.
@Suite struct PageAbuseTests {
    private static let secret = "the-secret-of-the-mesh"
    private static let bearer = [("authorization", "Bearer \(Bench.token)")]

    // MARK: Past the login

    /// The ways in which one path can be written that a router, a proxy or a person might take for the same.
    private static func spellings(_ path: String, _ port: Int) -> [String] {
        let host = "127.0.0.1:\(port)"
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        let encoded =
            last.isEmpty
            ? path : path.replacing(last, with: "%\(String(last.utf8.first ?? 0, radix: 16))\(last.dropFirst())")
        return [
            path, "/" + path, "//" + path, "/." + path, "/.//" + path, path.replacing("/", with: "//"), path + "/",
            path + "//",
            path + "/.", path + "?", path + "?a=1", path + "?/healthz", path + "#", path + "#/healthz", path + ";a=1",
            path + "%20", path + "%00", path + "%2F", path.replacing("/", with: "%2F"),
            "/" + path.dropFirst().replacing("/", with: "%2f"),
            path.replacing("/", with: "/%2e/"), "/healthz/.." + path, "/api/session/../.." + path,
            "/main.js/..;" + path,
            path.uppercased(), path.replacing("/", with: "\\"), encoded, "http://" + host + path,
            "HTTP://" + host + path,
            "http://" + host + "/" + path, "https://" + host + path, "http://" + host + "?" + path, "//" + host + path,
            "/http://" + host + path, "http://healthz@" + host + path, "http:" + path, "http://other" + path, "*",
            String(path.dropFirst()), "/healthz?" + path, "/healthz#" + path,
        ]
    }

    @Test func noSpellingOfARouteLeadsPastTheLogin() async throws {
        try await Bench.run(.init(token: Bench.token), emits: true) { bench in
            let port = bench.client.port
            try await bench.bus.emit("user.secret", ["text": .string(Self.secret)])
            try await bench.bus.emit(NodeJoined(capabilities: ["text": .string(Self.secret)]))
            try await eventually("the secret to be known to those who are let in") {
                let mesh = try await bench.client.get("/api/mesh", Self.bearer)
                let event = try await bench.client.get("/api/events/1", Self.bearer)
                return mesh.text.contains(Self.secret) && event.text.contains(Self.secret)
            }
            let raw = RawClient(port: port)
            let body = #"{"type":"user.stranger","data":{}}"#
            var count = 0
            for route in Set(bench.dashboard.routeList) {
                let path = (route.template ?? "").replacing("{sequence}", with: "1").replacing(
                    "{file}",
                    with: "main.js"
                )
                let isPublic = AccessPolicy.publicRoutes.contains(route)
                for method in Set([route.method, "GET", "HEAD", "OPTIONS", "DELETE"]) {
                    for target in Self.spellings(path, port) {
                        let answer = try await raw.send(
                            "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
                                + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                        ) { $0.contains("text/event-stream") }
                        count += 1
                        let isIn = (200..<300).contains(answer.status ?? 0)
                        // What begins with a public path and ends in another may be answered as the public one.
                        let mayBeIn = isPublic || target.hasPrefix("/healthz?") || target.contains("?" + path)
                        #expect(!isIn || mayBeIn, "\(method) \(target): \(answer.text.prefix(300))")
                        #expect(!answer.text.contains(Self.secret), "\(method) \(target)")
                    }
                }
            }
            let stored = try await bench.bus.history(matching: "events.user.stranger")
            #expect(stored.isEmpty)
            AbuseRow(act: "every route, spelled in 41 ways, without a token", times: count, held: "401 or 404").report()
        }
    }

    @Test func whatMatchesNoRouteSaysNothing() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            // Also what there is not is told to those only who are let in.
            for path in ["/api/nothing", "/api/events/1/2", "/a/b"] {
                #expect(try await bench.client.get(path).status == 401)
                #expect(try await bench.client.get(path, Self.bearer).status == 404)
            }
            let wrong = [("authorization", "Bearer another token, long enough")]
            let (one, other) = (
                try await bench.client.get("/api/mesh"), try await bench.client.get("/api/mesh", wrong)
            )
            #expect(one.status == 401 && other.status == 401)
            #expect(!other.text.contains("another token"))
        }
    }

    @Test func errorsAreForItsOwnPageOnlyToo() async throws {
        try await Bench.run(.init(token: Bench.token), emits: true) { bench in
            let calls: [(HTTPMethod, String, String?)] = [
                (.GET, "/api/nothing", nil), (.GET, "/nothing", nil), (.POST, "/api/mesh", "{}"), (.HEAD, "/", nil),
                (.POST, "/api/session", "{"), (.POST, "/api/events", String(repeating: "x", count: 2_000)),
                (.OPTIONS, "/api/events", nil), (.DELETE, "/api/session", nil), (.GET, "/api/stream?after=x", nil),
            ]
            for (method, path, body) in calls {
                for (header, status) in [
                    (("host", "evil.example"), 421 as UInt), (("origin", "http://evil.example"), 403),
                    (("sec-fetch-site", "cross-site"), 403),
                ] {
                    let answer = try await bench.client.send(method, path, Self.bearer + [header], body: body)
                    #expect(answer.status == status, "\(method) \(path) \(header)")
                    #expect(answer.headers["x-content-type-options"] == ["nosniff"])
                    #expect(answer.headers["access-control-allow-origin"].isEmpty)
                }
            }
            AbuseRow(
                act: "a page from elsewhere asks, under another name or origin, for what ends in an error",
                times: calls.count * 3,
                held: "421, 403"
            ).report()
        }
    }

    // MARK: Two meanings

    @Test func aRequestWithTwoMeaningsIsRefused() async throws {
        try await Bench.run { bench in
            let host = "127.0.0.1:\(bench.client.port)"
            let next = "GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            let heads = [
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: xchunked\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked, identity\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: identity\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: gzip, chunked\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding : chunked\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 5, 5\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: +5\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 0x5\r\n",
                "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 99999999999999999999\r\n",
                "POST /api/session HTTP/1.0\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\n",
                "GET /healthz HTTP/1.1\r\nHost: \(host)\r\nHost: \(host)\r\n",
                "GET /healthz HTTP/1.1\r\nHost: \(host)\r\nhost: evil.example\r\n",
                "GET /healthz HTTP/1.1\r\n",
                "GET /healthz HTTP/1.1\r\nHost : \(host)\r\n",
                "GET http://evil.example/healthz HTTP/1.1\r\nHost: \(host)\r\n",
                "GET healthz HTTP/1.1\r\nHost: \(host)\r\n",
                "CONNECT \(host) HTTP/1.1\r\nHost: \(host)\r\n",
                "GET * HTTP/1.1\r\nHost: \(host)\r\n",
                "GET /healthz HTTP/3.0\r\nHost: \(host)\r\n",
                "GET /healthz\r\n",
                "GET /healthz HTTP/1.1\r\nHost: \(host)\r\nA\0: b\r\n",
                "GET /healthz HTTP/1.1\r\nHost: \(host)\r\nX: \(String(repeating: "x", count: 20_000))\r\n",
                "GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\(String(repeating: "X: y\r\n", count: 200))",
            ]
            for head in heads {
                let answer = try await RawClient(port: bench.client.port).send("\(head)\r\n\(next)\(next)")
                #expect(answer.status == 400, "\(head): \(answer.text.prefix(200))")
                #expect(answer.count == 1, "\(head): something behind it was taken for a request")
            }
            AbuseRow(act: "requests that can be understood in two ways", times: heads.count, held: "400, closed")
                .report()
        }
    }

    @Test func anAnswerToHeadHasNoBodyAndTakesNoPlace() async throws {
        try await Bench.run(.init(token: Bench.token, maximumClients: 1)) { bench in
            let host = "127.0.0.1:\(bench.client.port)"
            let raw = RawClient(port: bench.client.port)
            for path in ["/", "/nothing", "/api/mesh", "/api/stream", "/api/nothing", "/api/stream?after=x"] {
                for token in ["", "Authorization: Bearer \(Bench.token)\r\n"] {
                    let answer = try await raw.send(
                        "HEAD \(path) HTTP/1.1\r\nHost: \(host)\r\n\(token)Connection: close\r\n\r\n"
                    )
                    #expect(answer.status != nil && answer.body.isEmpty, "\(path): \(answer.text)")
                }
            }
            try await withDeadline(.seconds(10), "the only place") {
                try await bench.client.listen("/api/stream", Self.bearer) { _ = try await $0.next("position") }
            }
        }
    }

    // MARK: Guessing

    @Test func guessesCountHoweverTheyAreSentAndLockNobodyOut() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let client = bench.client
            let json = [("content-type", "application/json")]
            let wrong = [("authorization", "Bearer wrong, but long enough")]
            // Each of the three ways counts.
            for _ in 0..<4 {
                #expect(try await client.get("/api/mesh", wrong).status == 401)
                #expect(try await client.get("/api/session", wrong).status == 401)
            }
            for _ in 0..<2 {
                #expect(try await client.send(.POST, "/api/session", json, body: #"{"token":"x"}"#).status == 401)
            }
            let began = ContinuousClock.now
            for path in ["/api/mesh", "/api/session"] {
                let late = try await client.get(path, wrong)
                #expect(late.status == 429 && late.headers["retry-after"] == ["60"])
            }
            #expect(try await client.send(.POST, "/api/session", json, body: "{}").status == 429)
            #expect(ContinuousClock.now - began >= TokenGuesses.delay * 3)
            // The right one comes from the same address, as behind a proxy, and is let in.
            let right = #"{"token":"\#(Bench.token)"}"#
            #expect(try await client.send(.POST, "/api/session", json, body: right).status == 200)
            #expect(try await client.get("/api/mesh", Self.bearer).status == 200)
            AbuseRow(
                act: "wrong tokens, as login and as bearer",
                times: 13,
                held: "401, then 429 after 1 s; the right one is let in"
            )
            .report()
        }
    }

    // MARK: Connections

    @Test func strangersDoNotKeepTheOwnerOut() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let client = bench.client
            let host = "127.0.0.1:\(client.port)"
            try await client.listen("/api/stream", Self.bearer) { owner in
                _ = try await owner.next("position")
                var held: [HeldConnection] = []
                let half = "GET / HTTP/1.1\r\nHost: \(host)\r\n"
                let whole = "GET /api/stream HTTP/1.1\r\nHost: \(host)\r\n\r\n"
                for number in 0..<512 {
                    held.append(try await HeldConnection(port: client.port, sending: number % 2 == 0 ? half : whole))
                }
                defer { for connection in held { connection.close() } }
                #expect(try await client.get("/api/mesh", Self.bearer).status == 200)
                let limit = ConnectionTable.Limits().strangersPerAddress
                try await eventually("the oldest of the strangers to be closed") {
                    held.count { $0.isActive } <= limit
                }
                // The owner's stream went on.
                try await bench.emit(0..<1)
                _ = try await owner.next("message")
            }
            AbuseRow(
                act: "connections that stay half open, and streams without a token",
                times: 512,
                held: "the oldest make room"
            )
            .report()
        }
    }

    @Test func whoKeepsNothingGoingIsClosed() async throws {
        let times = ConnectionTimer.Limits(
            head: .milliseconds(300),
            body: .milliseconds(300),
            idle: .milliseconds(300),
            trustedIdle: .milliseconds(300),
            stall: .milliseconds(300)
        )
        try await Bench.run(times: times) { bench in
            let host = "127.0.0.1:\(bench.client.port)"
            let long = String(repeating: "x", count: 15_000)
            for _ in 0..<200 { try await bench.bus.emit("user.long", ["text": .string(long)]) }
            for (act, text) in [
                ("nothing", ""), ("half a head", "GET / HTTP/1.1\r\nHost: \(host)\r\nA:"),
                ("half a body", "POST /api/session HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 9\r\n\r\n{"),
                ("a body that is not read", "GET / HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 9\r\n\r\n{"),
                ("nothing after a request", "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"),
            ] {
                let connection = try await HeldConnection(port: bench.client.port, sending: text)
                try await eventually("the end of a connection that sends \(act)") { !connection.isActive }
            }
            // A client that does not read; its socket holds some, the server's too.
            let request = "GET /api/events?limit=1000 HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            let connection = try await HeldConnection(
                port: bench.client.port,
                sending: String(repeating: request, count: 8),
                isReading: false
            )
            defer { connection.close() }
            try await eventually("the end of a connection whose client does not read") {
                bench.dashboard.connectionCount == 0
            }
            AbuseRow(act: "clients that send half a request, or do not read", times: 6, held: "closed after 10 to 30 s")
                .report()
        }
    }

    // MARK: Answers that are not read

    @Test func requestsAreAnsweredOneAfterTheOtherAndNotTooManyAhead() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let host = "127.0.0.1:\(bench.client.port)"
            let request = "GET /healthz HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            let last = "GET /api/nothing HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
            let some = String(repeating: request, count: RequestQueue.maximumWaiting - 1)
            let answer = try await RawClient(port: bench.client.port).send(some + last)
            #expect(answer.count == RequestQueue.maximumWaiting)
            // In their order, and what is no request behind them is told behind them.
            #expect(answer.text.contains("HTTP/1.1 401"))
            let wrong = try await RawClient(port: bench.client.port).send(request + request + "nonsense\r\n\r\n")
            #expect(wrong.count == 3)
            #expect(wrong.text.ranges(of: "HTTP/1.1 200").count == 2 && wrong.text.contains("HTTP/1.1 400"))
            // No browser has that many to ask at once.
            let specification = "GET /api/openapi.json HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            let before = bench.dashboard.connectionCount
            let greedy = try await HeldConnection(
                port: bench.client.port,
                sending: String(repeating: specification, count: 3_000),
                isReading: false
            )
            defer { greedy.close() }
            try await eventually("the end of a connection that asks for 3000 answers at once") {
                bench.dashboard.connectionCount <= before
            }
            AbuseRow(act: "3000 requests at once whose answers are not read", times: 1, held: "closed").report()
        }
    }

    @Test func largeAnswersThatAreNotReadMakeRoomForOthers() async throws {
        try await Bench.run { bench in
            let text = String(repeating: "x", count: 15_000)
            for _ in 0..<300 { try await bench.bus.emit("user.large", ["text": .string(text)]) }
            let path = "/api/events?limit=1000"
            let size = try await bench.client.get(path).text.utf8.count
            let host = "127.0.0.1:\(bench.client.port)"
            let request = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n"
            var held: [HeldConnection] = []
            for _ in 0..<24 {
                held.append(try await HeldConnection(port: bench.client.port, sending: request, isReading: false))
            }
            defer { for connection in held { connection.close() } }
            // Those that read are answered meanwhile.
            #expect(try await bench.client.get(path).status == 200)
            try await eventually("the oldest of those that do not read to be closed") {
                bench.dashboard.connectionCount <= (32 << 20) / size + 1
            }
            AbuseRow(
                act: "answers of \(size >> 10) KiB that are not read",
                times: 24,
                held: "32 MiB altogether; the oldest are closed"
            )
            .report()
        }
    }

    @Test func aClientOfHTTP10IsAnsweredWithoutChunksAndTheEnd() async throws {
        try await Bench.run { bench in
            for path in ["/healthz", "/api/events", "/main.js"] {
                let answer = try await RawClient(port: bench.client.port)
                    .send("GET \(path) HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
                #expect(answer.text.hasPrefix("HTTP/1.0 200"))
                let head = answer.text.prefix(
                    upTo: answer.text.firstRange(of: "\r\n\r\n")?.lowerBound ?? answer.text.endIndex
                )
                .lowercased()
                #expect(head.contains("connection: close") && !head.contains("chunked"))
            }
            let stream = try await RawClient(port: bench.client.port)
                .send("GET /api/stream HTTP/1.0\r\nHost: localhost\r\n\r\n") { $0.contains("event: hello") }
            #expect(stream.body.hasPrefix("retry: ") && !stream.text.lowercased().contains("chunked"))
        }
    }

    @Test func aBodyThatIsNotWantedEndsTheConnection() async throws {
        try await Bench.run(.init(token: Bench.token), emits: true) { bench in
            let began = ContinuousClock.now
            let answer = try await RawClient(port: bench.client.port).send(
                "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 1000000000\r\n\r\n{"
            )
            #expect(answer.status == 401 && answer.text.lowercased().contains("connection: close"))
            #expect(ContinuousClock.now - began < .seconds(20))
        }
    }

    // MARK: Other servers of this host

    @Test func aCookieOfAnotherServerDoesNotHideTheSession() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let logged = try await bench.client.send(
                .POST,
                "/api/session",
                [("content-type", "application/json")],
                body: #"{"token":"\#(Bench.token)"}"#
            )
            let cookie = try #require(logged.headers["set-cookie"].first?.split(separator: ";").first)
            let name = try #require(cookie.split(separator: "=").first)
            let key = ("mesh-events-session", try #require(try logged.json["session"]?.string))
            for cookies in [
                "\(cookie)", "\(name)=x; \(cookie)", "\(cookie); \(name)=x", "\(name)=x; other=y;\(name)=z;\(cookie)",
                String(repeating: "\(name)=x; ", count: 100) + cookie,
            ] {
                #expect(try await bench.client.get("/api/mesh", [("cookie", cookies), key]).status == 200)
            }
            #expect(try await bench.client.get("/api/mesh", [("cookie", "\(name)=x"), key]).status == 401)
        }
    }

    @Test func whoGuessesInManyConnectionsIsNotAnswered() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let request =
                "GET /api/mesh HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a wrong one of some length\r\n\r\n"
            let count = TokenGuesses.maximum + TokenGuesses.maximumDelayed + 20
            let answers = try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<count {
                    group.addTask {
                        // Those beyond the limit of one address are closed as well.
                        try await RawClient(port: bench.client.port).send(request) { !$0.isEmpty }.status
                    }
                }
                return try await group.reduce(into: [Int?]()) { $0.append($1) }
            }
            #expect(answers.count { $0 == nil } >= 1)
            #expect(answers.count { $0 == 429 } <= TokenGuesses.maximumDelayed)
        }
    }

    // MARK: What is logged

    @Test func nothingThatAStrangerSendsIsLogged() async throws {
        let log = LogLines()
        try await Bench.run(.init(token: Bench.token), logger: Logger(label: "page") { _ in log }) { bench in
            let host = "127.0.0.1:\(bench.client.port)"
            let raw = RawClient(port: bench.client.port)
            let texts = [
                "GET /logged-path?logged-query=%0d%0alogged HTTP/1.1\r\nHost: \(host)\r\n",
                "GET /api/mesh HTTP/1.1\r\nHost: logged-host\r\n",
                "GET /api/mesh HTTP/1.1\r\nHost: \(host)\r\nAuthorization: Bearer logged-token-long-enough\r\n",
                "GET /api/mesh HTTP/1.1\r\nHost: \(host)\r\nCookie: logged=logged\r\nX-Logged: \u{1B}[31mlogged\r\n",
                "LOGGED / HTTP/1.1\r\nHost: \(host)\r\n", "logged\r\n",
            ]
            for text in texts { _ = try await raw.send("\(text)Connection: close\r\n\r\n") }
            let found = log.lines.withLock { $0 }.filter { $0.lowercased().contains("logged") }
            #expect(found.isEmpty)
            #expect(!log.lines.withLock { $0 }.contains { $0.contains(Bench.token) })
            AbuseRow(act: "control characters and tokens for the log", times: texts.count, held: "none of it is logged")
                .report()
        }
    }
}

/// Keeps what is logged.
private struct LogLines: LogHandler {
    let lines = Locked<[String]>([])
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.message) \(metadata) \(event.metadata ?? [:])") }
    }
}
