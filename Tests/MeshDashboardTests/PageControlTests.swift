import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

@testable import MeshDashboard

/// Controlling tools by the page: who may, and who may not.
@Suite struct PageControlTests {
    /// Notes what it is asked for.
    private final class Recorder: ToolController {
        struct Call: Equatable {
            let action: PageToolAction
            let tool: String
            let node: String
            let by: String
        }

        private let made = Mutex<[Call]>([])
        var calls: [Call] { made.withLock { $0 } }

        func control(
            _ action: PageToolAction,
            tool: String,
            node: String,
            by: String
        ) async throws(MeshEventsError) -> String {
            made.withLock { $0.append(Call(action: action, tool: tool, node: node, by: by)) }
            switch tool {
            case "refused": throw MeshEventsError(.serverRefused, "tool refused: is not installed")
            case "late": throw MeshEventsError(.timeout, "no answer")
            case "forbidden": throw MeshEventsError(.permissionDenied, "may not")
            case "absent": throw MeshEventsError(.noResponders, "no such node")
            default: return action == .stop ? "stopped" : "running"
            }
        }
    }

    private static let json = [("content-type", "application/json")]
    private static let bearer = json + [("authorization", "Bearer \(Bench.token)")]
    private static func body(_ action: String = "restart", tool: String = "whisper") -> String {
        #"{"action":"\#(action)","node":"pi","tool":"\#(tool)"}"#
    }

    @Test func withoutTheFlagItIsForbiddenAndThePageIsToldSo() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let answer = try await bench.client.send(.POST, "/api/tools", Self.bearer, body: Self.body())
            #expect(answer.status == 403)
            #expect(try answer.json["error"]?["code"]?.string == "controlOff")
            #expect(try await bench.client.get("/api/session").json["control"]?.bool == false)
        }
    }

    @Test func aSessionControlsToolsAndItsNameIsPassedOn() async throws {
        let recorder = Recorder()
        try await Bench.run(.init(token: Bench.token), control: recorder) { bench in
            let session = try await bench.logIn()
            for (action, state) in [("start", "running"), ("stop", "stopped"), ("restart", "running")] {
                let answer = try await bench.client.send(
                    .POST,
                    "/api/tools",
                    session + Self.json,
                    body: Self.body(action)
                )
                #expect(answer.status == 200)
                #expect(try answer.json["state"]?.string == state)
            }
            #expect(recorder.calls.map(\.action) == [.start, .stop, .restart])
            #expect(recorder.calls.allSatisfy { $0.tool == "whisper" && $0.node == "pi" })
            let names = Set(recorder.calls.map(\.by))
            #expect(names.count == 1 && names.first?.hasPrefix("page, session ") == true, "\(names)")
            #expect(names.first?.hasSuffix(", 127.0.0.1") == true)
            // The name tells nothing of what the session is.
            let secrets = session.map(\.1).joined()
            #expect(names.allSatisfy { !secrets.contains($0.split(separator: " ")[2].dropLast()) })
            let other = try await bench.logIn()
            _ = try await bench.client.send(.POST, "/api/tools", other + Self.json, body: Self.body())
            _ = try await bench.client.send(.POST, "/api/tools", Self.bearer, body: Self.body())
            #expect(Set(recorder.calls.map(\.by)).count == 3)
            #expect(recorder.calls.last?.by == "page, token, 127.0.0.1")
        }
    }

    @Test func nothingOfAnotherSitesPageOrOfHalfASessionGetsThrough() async throws {
        let recorder = Recorder()
        try await Bench.run(.init(token: Bench.token), control: recorder) { bench in
            let session = try await bench.logIn()
            let (cookie, key) = (session[0], session[1])
            // A browser sends the cookie along with a form or a script of another site; it cannot send the key.
            let tries: [([(String, String)], UInt)] = [
                (Self.json, 401), ([cookie] + Self.json, 401), ([key] + Self.json, 401),
                ([cookie, ("content-type", "text/plain")], 401),
                (session + [("content-type", "text/plain")], 415),
                (session + [("content-type", "application/x-www-form-urlencoded")], 415),
                (session + Self.json + [("origin", "http://evil.example")], 403),
                (session + Self.json + [("origin", "null")], 403),
                (session + Self.json + [("sec-fetch-site", "cross-site")], 403),
                (session + Self.json + [("sec-fetch-site", "same-site")], 403),
                (session + Self.json + [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 403),
                (session + Self.json + [("host", "evil.example")], 421),
                (Self.bearer + [("origin", "http://127.0.0.1:1")], 403),
            ]
            for (headers, status) in tries {
                let answer = try await bench.client.send(.POST, "/api/tools", headers, body: Self.body())
                #expect(answer.status == status, "\(headers): \(answer.text)")
            }
            for method in [HTTPMethod.GET, .PUT, .DELETE, .PATCH] {
                let answer = try await bench.client.send(method, "/api/tools", session + Self.json, body: Self.body())
                #expect(answer.status == 404 || answer.status == 405, "\(method): \(answer.status)")
            }
            _ = try await bench.client.send(.DELETE, "/api/session", session)
            #expect(
                try await bench.client.send(.POST, "/api/tools", session + Self.json, body: Self.body()).status == 401
            )
            #expect(recorder.calls.isEmpty, "no tool was touched")
        }
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"action":"remove","node":"pi","tool":"a"}"#, #"{"action":"signal","node":"pi","tool":"a"}"#,
        #"{"action":"stop","node":"pi"}"#, #"{"action":"stop","node":"","tool":"a"}"#,
        #"{"action":"stop","node":"pi","tool":"a","by":"someone"}"#, #"{"action":"stop","node":1,"tool":"a"}"#,
        #"{"action":"stop","node":"pi","tool":"\#(String(repeating: "x", count: 600))"}"#,
    ]) func aWrongRequestIsRefused(text: String) async throws {
        let recorder = Recorder()
        try await Bench.run(.init(token: Bench.token), control: recorder) { bench in
            let answer = try await bench.client.send(.POST, "/api/tools", Self.bearer, body: text)
            #expect(answer.status == 400)
            #expect(recorder.calls.isEmpty)
        }
    }

    @Test func whatTheNodeSaysBecomesAStatus() async throws {
        try await Bench.run(.init(token: Bench.token), control: Recorder()) { bench in
            for (tool, status) in [("refused", 409), ("late", 504), ("forbidden", 502), ("absent", 503)]
                as [(String, UInt)]
            {
                let answer = try await bench.client.send(.POST, "/api/tools", Self.bearer, body: Self.body(tool: tool))
                #expect(answer.status == status, "\(answer.text)")
            }
            let long = #"{"action":"stop","tool":"\#(String(repeating: "x", count: 5_000))"}"#
            #expect(try await bench.client.send(.POST, "/api/tools", Self.bearer, body: long).status == 413)
        }
    }

    @Test func aDashboardThatControlsToolsNeedsAToken() {
        let error = #expect(throws: MeshEventsError.self) {
            try Dashboard(store: InMemoryStore(InMemoryMesh()), control: Recorder(), configuration: .init())
        }
        #expect(error?.message.contains("token") == true)
    }
}
