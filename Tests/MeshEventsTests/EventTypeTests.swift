import MeshEvents
import Testing

@Suite struct EventTypeTests {
    static let invalid: [String] = [
        "", ".", "tool.", ".tool", "tool..x", "tool.*", "*", ">", "tool.>", "to*ol", "a b", " a", "a\n", "a\r\nPUB x 0",
        "a\tb", "a\u{0}", "a\u{7F}", "a\u{85}b", "a\u{A0}b", "a\u{2028}b", "a\u{3000}",
        String(repeating: "x", count: 201), String(repeating: "é", count: 101),
    ]
    static let valid: [String] = [
        "a", "tool.crashed", "user.a.b.c", "user.grün.日本", "user.\"quoted\\", "events.tool",
        String(repeating: "x", count: 200),
    ]

    @Test(arguments: invalid) func `an invalid type is refused, and a literal of it is kept until it is used`(
        string: String
    ) throws {
        let error = try #require(throws: MeshEventsError.self) { try EventType(string) }
        #expect(error.code == .invalidEventType)
        let literal = EventType(stringLiteral: string)
        #expect(literal.rawValue == string)
        #expect(literal.subject == "events." + string)
        let later = try #require(throws: MeshEventsError.self) { try literal.validate() }
        #expect(later.message == error.message)
        #expect(!error.message.unicodeScalars.contains { $0.value < 0x20 })
        let onEncoding = try #require(throws: MeshEventsError.self) { try EventEncoder().encode(Event(literal)) }
        #expect(onEncoding.code == .invalidEventType)
    }

    @Test(arguments: valid) func `a valid type gives its subject back`(string: String) throws {
        let type = try EventType(string)
        try type.validate()
        #expect(type.rawValue == string)
        #expect(type.description == string)
        #expect(type.subject == "events." + string)
        #expect(type == EventType(stringLiteral: string))
        #expect(type.hashValue == EventType(stringLiteral: string).hashValue)
    }

    @Test func `messages name the rule that is broken`() {
        func message(_ string: String) -> String {
            do throws(MeshEventsError) {
                _ = try EventType(string)
                return "accepted"
            } catch {
                return error.message
            }
        }
        #expect(message("").contains("empty"))
        #expect(message("tool..x").contains("empty token"))
        #expect(message("tool.*").contains("wildcard"))
        #expect(message("a b").contains("white space"))
        #expect(message("a\u{1}").contains("control"))
        #expect(message(String(repeating: "x", count: 201)).contains("201 bytes"))
    }

    @Test func `canonically equivalent spellings are different subjects, hence different types`() {
        #expect(EventType("user.\u{E9}") != EventType("user.e\u{301}"))
    }

    @Test func `types order by bytes`() {
        let types: [EventType] = ["user.b", "tool.é", "tool.z", "tool", "user.a"]
        #expect(types.sorted().map(\.rawValue) == ["tool", "tool.z", "tool.é", "user.a", "user.b"])
    }

    @Test func `the mesh's own types are what the contract says`() throws {
        let types: [EventType] = [
            .toolInstalled, .toolConfigured, .toolStarted, .toolStopped, .toolCrashed, .toolRemoved, .toolControlled,
            .nodeJoined, .nodeLeft,
            .nodeHealth, .nodeUnreachable, .nodeRecovered, .nodeForgotten, .nodeMaintenance,
            .toolFinished, .toolSkipped, try .user("x.y"),
        ]
        #expect(
            types.map(\.subject) == [
                "events.tool.installed", "events.tool.configured", "events.tool.started", "events.tool.stopped",
                "events.tool.crashed", "events.tool.removed", "events.tool.controlled", "events.node.joined",
                "events.node.left",
                "events.node.health", "events.node.unreachable", "events.node.recovered", "events.node.forgotten",
                "events.node.maintenance", "events.tool.finished", "events.tool.skipped",
                "events.user.x.y",
            ]
        )
        for type in types { try type.validate() }
        #expect(throws: MeshEventsError.self) { try EventType.user("") }
        #expect(throws: MeshEventsError.self) { try EventType.user("a..b") }
    }
}
