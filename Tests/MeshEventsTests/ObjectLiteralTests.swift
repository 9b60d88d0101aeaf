import MeshEvents
import Testing

struct ObjectLiteralTests {
    @Test func `members of a literal are written in byte order, the last of a name wins, at every level`() throws {
        let data: EventData = [
            "b": ["z": 1, "a": ["y": true, "x": [["d": 1, "c": 2]]], "z": 2],
            "a\"": 1, "a": 2, "a!": 3, "A": 4, "\u{1F}": 5, "é": 6, "": 7, "a": 8,
        ]
        try data.validate()
        let expected =
            #"{"":7,"\u001f":5,"A":4,"a":8,"a!":3,"a\"":1,"b":{"a":{"x":[{"c":2,"d":1}],"y":true},"z":2},"é":6}"#
        #expect(data.json == expected)
    }

    @Test func `what a repeated name replaces is not sent and does no harm`() throws {
        let data: EventData = ["inner": ["a": JSONValue(.nan), "a": 1]]
        try data.validate()
        #expect(data.json == #"{"inner":{"a":1}}"#)
    }

    @Test func `a literal out of order may be larger than the buffer it is tried in`() throws {
        let long = String(repeating: "x", count: 3_000)
        let data: EventData = ["b": .string(long), "a": ["d": .string(long), "c": 1, "d": 2]]
        try data.validate()
        #expect(data.json == #"{"a":{"c":1,"d":2},"b":"\#(long)"}"#)
    }

    @Test func `an object literal is a collection in order`() {
        let object: JSONObject = ["b": 1, "a": 2, "b": 3]
        #expect(object.map(\.key) == ["a", "b"])
        #expect(object.count == 2 && object[1].value == 3 && object["b"] == 3 && object["c"] == nil)
        #expect(object == ["a": 2, "b": 3])
        #expect(Set([object, ["a": 2, "b": 3]]).count == 1)
    }

    @Test func `a deep literal, out of order at every level, takes no longer than a shallow one a level`() throws {
        var value: JSONValue = 0
        for _ in 0..<100 { value = ["b": value, "a": 1] }
        let data: EventData = ["b": value, "a": 1]
        try data.validate()
        #expect(data.json.hasPrefix(#"{"a":1,"b":{"a":1,"b":{"#))
    }
}
