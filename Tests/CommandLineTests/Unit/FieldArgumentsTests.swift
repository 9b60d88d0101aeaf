import MeshEvents
import Testing

@testable import mesh_events

@Suite struct FieldArgumentsTests {
    @Test(arguments: [
        ("a=1", #"{"a":1}"#), ("a=1.50", #"{"a":1.50}"#), ("a=true", #"{"a":true}"#), ("a=null", #"{"a":null}"#),
        ("a=text", #"{"a":"text"}"#), ("a=", #"{"a":""}"#), (#"a="1""#, #"{"a":"1"}"#), ("a=b=c", #"{"a":"b=c"}"#),
        (#"a={"z":1, "b":[2]}"#, #"{"a":{"z":1,"b":[2]}}"#), ("a=NaN", #"{"a":"NaN"}"#), ("a=01", #"{"a":"01"}"#),
        ("a=v1.4.0", #"{"a":"v1.4.0"}"#), ("ä ö=ü", #"{"ä ö":"ü"}"#), ("a={broken", #"{"a":"{broken"}"#),
        ("a=12345678901234567890123", #"{"a":12345678901234567890123}"#), ("a.b=1", #"{"a.b":1}"#),
    ])
    func aValueThatParsesAsJSONIsJSONElseAString(argument: String, expected: String) throws {
        #expect(try FieldArguments.data([argument]).json == expected)
    }

    @Test(arguments: [#"1,"b":2"#, #"1}"#, #"1,"":2"#, "1 2"])
    func aValueCannotSmuggleInAnotherMember(value: String) throws {
        let data = try FieldArguments.data(["a=" + value])
        #expect(data.keys == ["a"])
        #expect(data["a"]?.string == value)
    }

    @Test func quotesAndControlCharactersSurvive() throws {
        let data = try FieldArguments.data(["q\"\n=line\u{1B}[31m\n\"end\""])
        #expect(data["q\"\n"]?.string == "line\u{1B}[31m\n\"end\"")
    }

    @Test func membersKeepTheOrderOfTheArgumentsBehindThoseOfTheData() throws {
        let base = try EventData(json: #"{"z":1,"y":2}"#)
        #expect(try FieldArguments.data(["b=1", "y=3", "a=2"], base: base).json == #"{"z":1,"b":1,"y":3,"a":2}"#)
    }

    @Test func noArgumentsMakeAnEmptyObject() throws {
        #expect(try FieldArguments.data([]).json == "{}")
    }

    @Test(arguments: [["novalue"], ["=x"], [""], ["a=1", "a=2"]])
    func whatIsNotKeyValueIsAUsageError(arguments: [String]) {
        let failure = #expect(throws: CommandFailure.self) { try FieldArguments.data(arguments) }
        #expect(failure?.code == .usage)
    }

    @Test func membersCannotBeAddedToNull() {
        let failure = #expect(throws: CommandFailure.self) { try FieldArguments.data(["a=1"], base: .null) }
        #expect(failure?.code == .usage)
    }
}
