import MeshEvents
import Testing

@testable import mesh_events

/// The arguments of tools for agents: their schema, and what is checked.
@Suite struct AgentFieldTests {
    private static let fields = [
        AgentField("tool", .text(atMost: 4), isRequired: true, "The tool."),
        AgentField("limit", .integer(1...200, standard: 20), "How many."),
        AgentField("severity", .word(["info", "critical"]), "How bad."),
        AgentField("detail", .flag, "More."),
        AgentField("where", .texts(atMost: 2, each: 3), "Conditions."),
    ]

    private func arguments(_ json: String) throws -> AgentArguments {
        try AgentArguments(try EventData(json: json), Self.fields)
    }

    @Test func theSchemaSaysWhatIsChecked() {
        let schema = Self.fields.schema
        #expect(schema["required"] == ["tool"] && schema["additionalProperties"] == false)
        let properties = schema["properties"]
        #expect(
            properties?["tool"] == ["type": "string", "minLength": 1, "maxLength": 4, "description": "The tool."]
        )
        #expect(
            properties?["limit"]
                == ["type": "integer", "minimum": 1, "maximum": 200, "default": 20, "description": "How many."]
        )
        #expect(properties?["severity"]?["enum"] == ["info", "critical"])
        #expect(properties?["detail"] == ["type": "boolean", "default": false, "description": "More."])
        #expect(properties?["where"]?["maxItems"] == 2)
        #expect(properties?["where"]?["items"] == ["type": "string", "minLength": 1, "maxLength": 3])
    }

    @Test func whatFitsIsRead() throws {
        let full = try arguments(
            #"{"tool":"äöüß","limit":200,"severity":"info","detail":true,"where":["a","abc"]}"#
        )
        #expect(try full.required("tool") == "äöüß" && full.integer("limit") == 200)
        #expect(full.text("severity") == "info" && full.flag("detail") && full.texts("where") == ["a", "abc"])
        let least = try arguments(#"{"tool":"x","limit":null}"#)
        #expect(least.integer("limit") == 20 && least.text("severity") == nil && !least.flag("detail"))
        #expect(least.texts("where").isEmpty)
    }

    @Test(
        "what does not fit is refused, and the argument named",
        arguments: [
            (#"{}"#, "`tool`"), (#"{"tool":""}"#, "`tool`"), (#"{"tool":"abcde"}"#, "`tool`"),
            (#"{"tool":1}"#, "`tool`"),
            (#"{"tool":"x","limit":0}"#, "`limit`"), (#"{"tool":"x","limit":201}"#, "`limit`"),
            (#"{"tool":"x","limit":1e300}"#, "`limit`"), (#"{"tool":"x","limit":"5"}"#, "`limit`"),
            (#"{"tool":"x","severity":"bad"}"#, "`severity`"), (#"{"tool":"x","detail":"yes"}"#, "`detail`"),
            (#"{"tool":"x","where":"a"}"#, "`where`"), (#"{"tool":"x","where":["a","b","c"]}"#, "`where`"),
            (#"{"tool":"x","where":["abcd"]}"#, "`where`"), (#"{"tool":"x","where":[1]}"#, "`where`"),
            (#"{"tool":"x","IGNORE":1}"#, "schema"),
        ]
    )
    func refused(json: String, words: String) throws {
        let failure = #expect(throws: AgentFailure.self) { try arguments(json) }
        #expect(failure?.code == .invalidArguments)
        #expect(failure?.words.text.contains(words) == true && failure?.words.text.contains("IGNORE") == false)
    }
}
