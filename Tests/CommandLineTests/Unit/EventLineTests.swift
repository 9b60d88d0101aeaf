import MeshEvents
import Testing

@testable import mesh_events

@Suite struct EventLineTests {
    @Test func readsTypeNodeAndData() throws {
        let event = try EventLine.parse(
            Array(#"{"type":"tool.started","node":"pi","data":{"tool":"whisper","n":1.50}}"#.utf8)
        )
        #expect(event.type == "tool.started")
        #expect(event.node == "pi")
        #expect(event.data.json == #"{"tool":"whisper","n":1.50}"#)
    }

    @Test func nodeAndDataMayBeMissing() throws {
        let event = try EventLine.parse(Array(#"{"type":"user.a"}"#.utf8))
        #expect(event.node == "")
        #expect(event.data == .null)
    }

    @Test func linesOfListCanBeEmittedAgain() throws {
        let stored = StoredEvent(
            event: Event("user.a", node: "n", timestamp: .now, data: ["a": 1]),
            sequence: 7,
            storedAt: .now
        )
        let event = try EventLine.parse(Array(try EventJSON().line(stored).utf8))
        #expect(event.type == "user.a")
        #expect(event.data == ["a": 1])
    }

    @Test func aLeadingEventsIsDropped() throws {
        #expect(try EventLine.parse(Array(#"{"type":"events.user.a"}"#.utf8)).type == "user.a")
    }

    @Test(arguments: [
        ("nonsense", "not valid JSON"), ("[1]", "JSON object"), ("null", "JSON object"), ("{}", #"no "type""#),
        (#"{"type":1}"#, "not a string"), (#"{"type":"a..b"}"#, "empty token"), (#"{"type":"a","node":1}"#, "node"),
        (#"{"type":"a","data":[1]}"#, "data"), (#"{"type":"a","data":"x"}"#, "data"),
        (#"{"type":"tool.*"}"#, "wildcard"),
        (#"{"type":"a","tool":"x"}"#, #""tool""#), (#"{"type":"a"} {"type":"b"}"#, "not valid JSON"),
        (#"{"type":"a","data":{"x":NaN}}"#, "not valid JSON"), (#"{"type":"a\nb"}"#, "white space"),
    ])
    func saysWhatIsWrongWithALine(line: String, expected: String) {
        let error = #expect(throws: MeshEventsError.self) { try EventLine.parse(Array(line.utf8)) }
        #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    }

    @Test func invalidUTF8IsRefused() {
        let bytes = Array(#"{"type":"a","data":{"x":""#.utf8) + [0xFF] + Array(#""}}"#.utf8)
        #expect(throws: MeshEventsError.self) { try EventLine.parse(bytes) }
    }
}

@Suite struct PatternTextTests {
    @Test(arguments: [
        ("tool.*", "events.tool.*"), ("events.tool.*", "events.tool.*"), (">", "events.>"), ("*", "events.*"),
        ("user.a.>", "events.user.a.>"), ("eventsx", "events.eventsx"),
    ])
    func aPatternWithoutEventsGetsIt(text: String, expected: String) throws {
        #expect(try PatternArgument.pattern(text).subject == expected)
    }

    @Test func noPatternIsEveryEvent() throws {
        #expect(try PatternArgument.pattern(nil) == .all)
    }

    @Test(arguments: ["events.>.x", "a b", "", "tool..x", "tool.", "foo*", "events", "a\nb"])
    func aBadPatternIsAUsageError(text: String) {
        let failure = #expect(throws: CommandFailure.self) { try PatternArgument.pattern(text) }
        #expect(failure?.code == .usage)
    }

    @Test func aLeadingEventsOfATypeIsDropped() throws {
        #expect(try PatternArgument.type("events.tool.started") == .toolStarted)
        #expect(try PatternArgument.type("tool.started") == .toolStarted)
    }
}
