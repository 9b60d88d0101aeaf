import MeshDashboard
import MeshEvents
import NIOHTTP1
import TestSupport
import Testing

/// What `/api/openapi.json` says is compared with what is answered.
@Suite struct OpenAPITests {
    @Test func everyAnswerIsAsItIsDescribed() async throws {
        try await Bench.run(.init(token: Bench.token), emits: true, logs: StoredLogs(), control: StoppedTools()) {
            bench in
            let description = try APIDescription(try await bench.client.get("/api/openapi.json").json)
            let allowed = [("authorization", "Bearer \(Bench.token)"), ("content-type", "application/json")]
            let json = [("content-type", "application/json")]
            // Something of everything.
            try await bench.bus.emit(NodeJoined(capabilities: ["version": "1"]))
            try await bench.bus.emit(
                NodeHealth(status: "degraded", resources: ["cpu": 0.5, "checks": ["disk": "full"]])
            )
            try await bench.bus.emit(ToolInstalled(tool: "whisper", version: "1"))
            try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "no", restartCount: 1))
            let long = try await bench.bus.emit("user.long", ["text": .string(String(repeating: "x", count: 20_000))])
            try await eventually("the mesh to be known") {
                try await bench.client.get("/api/mesh", allowed).json["nodes"]?[0]?["tools"]?.array?.isEmpty == false
            }
            try await bench.bus.emit(NodeLeft(reason: "shutdown"))
            let calls: [(String, String, [(String, String)], String?, UInt)] = [
                ("GET", "/healthz", [], nil, 200),
                ("GET", "/api/session", [], nil, 200),
                ("POST", "/api/session", json, #"{"token":"\#(Bench.token)"}"#, 200),
                ("POST", "/api/session", json, #"{"token":"x"}"#, 401),
                ("POST", "/api/session", json, "x", 400),
                ("POST", "/api/session", json, String(repeating: " ", count: 5_000), 413),
                ("POST", "/api/session", [], "x", 415),
                ("DELETE", "/api/session", [], nil, 200),
                ("GET", "/api/mesh", allowed, nil, 200),
                ("GET", "/api/mesh", [], nil, 401),
                ("GET", "/api/mesh", allowed + [("origin", "http://evil.example")], nil, 403),
                ("GET", "/api/mesh", [("host", "evil.example")], nil, 421),
                ("GET", "/api/events?limit=3&text=o", allowed, nil, 200),
                ("GET", "/api/events?where=resources.cpu%20%3E%200.4&where=!tool", allowed, nil, 200),
                ("GET", "/api/events?where=tool%20~%20x", allowed, nil, 400),
                ("GET", "/api/events", allowed, nil, 200),
                ("GET", "/api/events?limit=0", allowed, nil, 400),
                ("POST", "/api/events", allowed, #"{"type":"user.hello","data":{"a":1}}"#, 201),
                ("POST", "/api/events", allowed, #"{"type":"user hello"}"#, 400),
                ("POST", "/api/events", [("authorization", "Bearer \(Bench.token)")], "{}", 415),
                ("GET", "/api/events/\(long.sequence)", allowed, nil, 200),
                ("GET", "/api/events/999", allowed, nil, 404),
                ("POST", "/api/tools", allowed, #"{"action":"stop","node":"pi","tool":"a"}"#, 200),
                ("POST", "/api/tools", allowed, #"{"action":"stop","node":"pi","tool":"refused"}"#, 409),
                ("POST", "/api/tools", allowed, #"{"action":"explode","node":"pi","tool":"a"}"#, 400),
                ("POST", "/api/tools", json, #"{"action":"stop","node":"pi","tool":"a"}"#, 401),
                ("POST", "/api/tools", [("authorization", "Bearer \(Bench.token)")], "{}", 415),
                ("GET", "/api/export?format=xml", allowed, nil, 400),
                ("GET", "/api/export?format=csv&limit=0", allowed, nil, 400),
                ("GET", "/api/export?format=csv", [], nil, 401),
                ("GET", "/api/histogram?buckets=3", allowed, nil, 200),
                ("GET", "/api/histogram?buckets=x", allowed, nil, 400),
                ("GET", "/api/logs?node=pi&tool=whisper&stderr=true&text=o", allowed, nil, 200),
                ("GET", "/api/logs?node=pi&tool=none", allowed, nil, 200),
                ("GET", "/api/logs?node=pi&tool=refused", allowed, nil, 503),
                ("GET", "/api/logs?node=pi&tool=forbidden", allowed, nil, 502),
                ("GET", "/api/logs?node=pi", allowed, nil, 400),
                ("GET", "/api/logs?node=pi&tool=whisper", [], nil, 401),
            ]
            for (method, path, headers, body, status) in calls {
                let answer = try await bench.client.send(.init(rawValue: method), path, headers, body: body)
                #expect(answer.status == status, "\(method) \(path): \(answer.text.prefix(200))")
                let problems = description.problems(method, path, answer.status, try answer.json)
                #expect(problems.isEmpty, "\(method) \(path): \(problems)")
            }
            #expect(
                description.untried == ["/api/openapi.json", "/api/stream", "/metrics"],
                "a path is described and not tried"
            )
        }
    }
}

/// An OpenAPI document, as far as this one goes.
final class APIDescription {
    private let document: JSONValue
    private var tried: Set<String> = []

    init(_ document: JSONValue) throws {
        self.document = document
        guard document["openapi"]?.string == "3.1.0" else { throw TestSupportError("this is no OpenAPI 3.1") }
    }

    /// The paths that no answer was compared with.
    var untried: [String] {
        (document["paths"]?.object.map { Array($0.keys) } ?? []).filter { !tried.contains($0) }.sorted()
    }

    /// How an answer differs from what is said of it.
    func problems(_ method: String, _ path: String, _ status: UInt, _ answer: JSONValue) -> [String] {
        let plain = String(path.prefix { $0 != "?" })
        let name = document["paths"]?[plain] == nil ? "/api/events/{sequence}" : plain
        tried.insert(name)
        guard let operation = document["paths"]?[name]?[method.lowercased()] else {
            return ["\(method) is not described"]
        }
        guard let response = operation["responses"]?["\(status)"] else { return ["\(status) is not described"] }
        guard let schema = response["content"]?["application/json"]?["schema"] else { return ["it has no schema"] }
        return problems(answer, schema, at: "$")
    }

    /// How a value differs from what is said of a schema.
    func problems(_ value: JSONValue, _ schema: String) -> [String] {
        guard let schema = document["components"]?["schemas"]?[schema] else { return ["there is no \(schema)"] }
        return problems(value, schema, at: "$")
    }

    private func problems(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        if let reference = schema["$ref"]?.string {
            guard let target = document["components"]?["schemas"]?[String(reference.split(separator: "/").last ?? "")]
            else {
                return ["\(place): there is no \(reference)"]
            }
            return problems(value, target, at: place)
        }
        if let allowed = schema["enum"]?.array {
            return allowed.contains(value) ? [] : ["\(place): \(value) is not allowed"]
        }
        let types = schema["type"]?.array?.compactMap(\.string) ?? [schema["type"]?.string ?? ""]
        guard types.contains(where: { Self.is(value, $0) }) else { return ["\(place): \(value) is no \(types)"] }
        if let minimum = schema["minimum"]?.double, let number = value.double, number < minimum {
            return ["\(place): \(number) is less than \(minimum)"]
        }
        if schema["format"]?.string == "date-time", let text = value.string, (try? Timestamp(rfc3339: text)) == nil {
            return ["\(place): \(text) is no time"]
        }
        if let elements = value.array, let items = schema["items"] {
            return elements.enumerated().flatMap { problems($1, items, at: "\(place)[\($0)]") }
        }
        guard let object = value.object else { return [] }
        var found: [String] = []
        for required in schema["required"]?.array ?? [] where object[required.string ?? ""] == nil {
            found.append("\(place): \(required) is missing")
        }
        for key in object.keys {
            guard let member = object[key] else { continue }
            if let described = schema["properties"]?[key] {
                found += problems(member, described, at: "\(place).\(key)")
            } else if schema["additionalProperties"]?.bool == false {
                found.append("\(place).\(key) is not described")
            } else if let other = schema["additionalProperties"], other.object != nil {
                found += problems(member, other, at: "\(place).\(key)")
            }
        }
        return found
    }

    private static func `is`(_ value: JSONValue, _ type: String) -> Bool {
        switch type {
        case "string": value.string != nil
        case "integer": value.int != nil
        case "number": value.double != nil
        case "boolean": value.bool != nil
        case "array": value.array != nil
        case "object": value.object != nil
        case "null": value.isNull
        default: false
        }
    }
}

/// Tools that can be stopped, but for one.
private struct StoppedTools: ToolController {
    func control(
        _ action: PageToolAction,
        tool: String,
        node: String,
        by: String
    ) async throws(MeshEventsError) -> String {
        if tool == "refused" { throw MeshEventsError(.serverRefused, "no") }
        return "stopped"
    }
}
