import MeshEvents
import Testing

@Suite struct EventDataTests {
    @Test func `a literal is written as one line of compact JSON, members in byte order, the last duplicate`() throws {
        let sequence = 7
        let data: EventData = [
            "status": "online",
            "resources": ["cpu": 0.42, "gpu": true, "mem_mb": 12345, "seq": .init(sequence)],
            "list": [1, -2.5, "x", nil, [], [:], false],
            "status": "last",
            "é": "ü\u{2028}<&>",
            "Z": "quote\" back\\ \n\r\t\u{0}\u{1F}\u{7F}/",
        ]
        try data.validate()
        #expect(
            data.json
                == #"{"Z":"quote\" back\\ \n\r\t\u0000\u001f"# + "\u{7F}" + #"/","list":[1,-2.5,"x",null,[],{},false],"#
                + #""resources":{"cpu":0.42,"gpu":true,"mem_mb":12345,"seq":7},"status":"last","#
                + "\"é\":\"ü\u{2028}<&>\"}"
        )
    }

    @Test(arguments: [
        ("1e400", true), ("-1e309", true), ("1.8e308", true), ("1" + String(repeating: "0", count: 309), true),
        ("1e308", false), ("1.7976931348623157e308", false), ("1e-400", false), ("0e999999999999999999999", false),
        ("1" + String(repeating: "0", count: 308), false), ("\"1e400\"", false), ("[\"\\\"\",1e400]", true),
    ]) func `a number beyond the range of a double is kept when passed on, and not built anew`(
        text: String,
        isBeyond: Bool
    ) throws {
        let data = try EventData(json: #"{"a":{"1e400":[\#(text)],"b":2}}"#)
        #expect(data.json.contains(text))
        try data.validate()
        let forwarded = try EventEncoder().encode(Event("user.a", data: data))
        #expect(String(decoding: forwarded, as: UTF8.self).contains(text))
        let checks: [() throws -> Void] = [
            { try data.checkNumbers() }, { try EventData(JSONObject([("x", data.value)])).validate() },
        ]
        for check in checks {
            if isBeyond {
                #expect { try check() } throws: {
                    ($0 as? MeshEventsError)?.code == .invalidData && "\($0)".contains("beyond the range of a double")
                }
            } else {
                try check()
            }
        }
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity]) func `NaN and infinity are reported, never sent`(
        value: Double
    ) throws {
        let data: EventData = ["outer": ["inner": [.init(value)]]]
        let error = try #require(throws: MeshEventsError.self) { try data.validate() }
        #expect(error.code == .invalidData)
        #expect(throws: MeshEventsError.self) { try EventData(["x": .init(value)]) }
        #expect(throws: MeshEventsError.self) { try EventEncoder().encode(Event("user.x", data: data)) }
        #expect(throws: MeshEventsError.self) { try EventEncoder().encode(.nodeHealth(status: "", resources: data)) }
        #expect(throws: MeshEventsError.self) { try EventData(encoding: ["x": value]) }
        #expect(data.json == "null")
        #expect(data["outer"] == nil)
    }

    @Test func `text is kept as it is, white space between tokens apart`() throws {
        let text =
            #"{"b" : 9007199254740993 ,  "a":[ 1.50 , 1E+2, "\u00e9 \ud800 \/ x  y", { } ],"b":"# + "\n\t\r null } "
        let data = try EventData(json: text)
        #expect(data.json == #"{"b":9007199254740993,"a":[1.50,1E+2,"\u00e9 \ud800 \/ x  y",{}],"b":null}"#)
        #expect(try EventData(json: Array(text.utf8)) == data)
        #expect(try EventData(json: text.utf8.lazy.map { $0 }) == data)
        #expect(try EventData(json: " null ").isNull)
        #expect(try EventData(json: "null") == nil)
    }

    @Test(arguments: [
        "", " ", "1", "\"x\"", "[]", "true", "nul", "{", "}", "{}x", "{}{}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}",
        "{'a':1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":-}",
        "{\"a\":0x1}",
        "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":True}", "{\"a\":nulL}", "{\"a\":\"\n\"}", "{\"a\":\"\u{0}\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u123\"}", "{\"a\":[1 2]}", "{\"a\":[1,]}", "{\"a\":[}", "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1/**/}", "\u{FEFF}{}", "{\u{A0}}", "{\"a\":1}\u{0}", "{1:2}",
    ]) func `what is not an object or null is refused`(text: String) throws {
        let error = try #require(throws: MeshEventsError.self) { try EventData(json: text) }
        #expect(error.code == .invalidData)
    }

    @Test(arguments: [[0x80], [0xC3], [0xF0, 0x9F, 0x9A]] as [[UInt8]]) func `invalid UTF-8 is refused`(bytes: [UInt8])
    {
        let text = Array("{\"a\":\"0123456789".utf8) + bytes + Array("\"}".utf8)
        #expect(throws: MeshEventsError.self) { try EventData(json: text) }
    }

    @Test func `127 levels are accepted and 128 are not, so that the event has at most 128`() throws {
        func nested(_ levels: Int) -> String {
            "{\"a\":" + String(repeating: "[", count: levels - 1) + String(repeating: "]", count: levels - 1) + "}"
        }
        let deepest = try EventData(json: nested(127))
        #expect(throws: MeshEventsError.self) { try EventData(json: nested(128)) }
        let bytes = try EventEncoder().encode(Event("user.x", data: deepest))
        let back = try EventDecoder.decode(subject: "events.user.x", payload: bytes, received: .epoch)
        #expect(back.data == deepest)
        #expect(throws: MeshEventsError.self) { try ToolConfigured(tool: "x", config: deepest).eventData() }
        #expect(throws: MeshEventsError.self) { try EventData(json: String(repeating: "{\"a\":", count: 100_000)) }
        var value: JSONValue = []
        for _ in 0..<1_000 { value = [value] }
        #expect(throws: MeshEventsError.self) { try EventData(["a": value]) }
    }

    @Test func `a lookup finds the last member of the name, escaped names too`() throws {
        let data = try EventData(
            json: #"{"a":1,"b":{"a":"in","list":[1,{"x":"y"},[],"]"]},"\u0061":2,"c\"":3,"é":4,"":5}"#
        )
        #expect(data["a"]?.int == 2)
        #expect(data["b"]?["a"]?.string == "in")
        #expect(data["b"]?["list"]?[1]?["x"]?.string == "y")
        #expect(data["b"]?["list"]?[3]?.string == "]")
        #expect(data["b"]?["list"]?[4] == nil)
        #expect(data["b"]?["list"]?[-1] == nil)
        #expect(data["b"]?["list"]?.array?.count == 4)
        #expect(data["c\""]?.int == 3)
        #expect(data["é"]?.int == 4)
        #expect(data["e\u{301}"] == nil)
        #expect(data[""]?.int == 5)
        #expect(data["missing"] == nil)
        #expect(data["a"]?["a"] == nil)
        #expect(data.keys == ["a", "b", "a", "c\"", "é", ""])
        #expect(data["b"]?.data == (try EventData(json: #"{"list":[1,{"x":"y"},[],"]"],"a":"in"}"#)))
        #expect(EventData.null["a"] == nil)
        #expect(EventData.empty["a"] == nil)
    }

    @Test func `each accessor is nil for another kind`() throws {
        let data: EventData = ["s": "x", "i": 1, "d": 1.5, "t": true, "f": false, "n": nil, "a": [1], "o": ["k": "v"]]
        for (key, field) in data.members {
            #expect((field.string != nil) == (key == "s"))
            #expect((field.int != nil) == (key == "i"))
            #expect((field.double != nil) == (key == "i" || key == "d"))
            #expect((field.bool != nil) == (key == "t" || key == "f"))
            #expect(field.isNull == (key == "n"))
            #expect((field.array != nil) == (key == "a"))
            #expect(field.isObject == (key == "o"))
        }
        #expect(data["t"]?.bool == true)
        #expect(data["f"]?.bool == false)
        #expect(data.value["o"]?["k"]?.string == "v")
        #expect(data.value["a"]?[0]?.int == 1)
        #expect(data.value["a"]?[1] == nil)
    }

    @Test func `unsigned integers and large numbers keep their digits`() throws {
        let data = try EventData(json: #"{"u":18446744073709551615,"big":123456789012345678901234567890.5,"e":1e400}"#)
        #expect(data["u"]?.uint64 == .max)
        #expect(data["u"]?.int64 == nil)
        #expect(data["u"]?.value == JSONValue(UInt64.max))
        #expect(data["big"]?.value.description == "123456789012345678901234567890.5")
        #expect(data["e"]?.double == .infinity)
        #expect(try EventData(encoding: ["u": UInt64.max]).json == #"{"u":18446744073709551615}"#)
    }

    @Test func `equality is by value and hashes agree`() throws {
        let equal = [
            #"{"a":1,"b":[true,"é"],"c":{"x":null}}"#,
            #"{ "c" : {"x":null}, "b":[true,"\u00e9"], "a":1.0 }"#,
            #"{"a":"replaced","b":[true,"é"],"c":{"x":0,"x":null},"a":10e-1}"#,
        ].map { try? EventData(json: $0) }
        for one in equal {
            for two in equal {
                #expect(one != nil && one == two)
                #expect(one.hashValue == two.hashValue)
            }
        }
        let different = [
            #"{"a":1}"#, #"{"a":2}"#, #"{"a":"1"}"#, #"{"b":1}"#, #"{"a":[1]}"#, #"{"a":null}"#, #"{}"#,
            #"{"a":1,"b":1}"#, "null",
            #"{"a":9007199254740993}"#, #"{"a":9007199254740992}"#, #"{"a":true}"#, #"{"a":-1}"#, #"{"a":10}"#,
        ]
        for (index, one) in different.enumerated() {
            for (other, two) in different.enumerated() {
                #expect((try EventData(json: one) == EventData(json: two)) == (index == other))
            }
        }
        #expect(JSONNumber(1) == 1.0)
        #expect(JSONNumber(0) == JSONNumber(-0.0))
        #expect(JSONNumber(1e23).hashValue == (try EventData(json: #"{"v":1e23}"#))["v"]?.value.number?.hashValue)
    }

    @Test func `a value survives being written and read`() throws {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<3_000 {
            let object = RandomJSON.object(using: &generator)
            let data = EventData(object)
            try data.validate()
            #expect(data.value == .object(object))
            #expect(try EventData(json: data.json).json == data.json)
            for (key, value) in object { #expect(data[key]?.value == value) }
        }
    }
}

/// Random values, with hostile strings.
enum RandomJSON {
    static let scalars: [Unicode.Scalar] = [
        "a", "b", "\"", "\\", "\n", "\u{0}", "\u{1F}", "/", "é", "日", "🚀", "\u{2028}", "\u{7F}", " ", "{", "]", ",",
    ]

    static func string(using generator: inout SeededGenerator) -> String {
        var string = ""
        for _ in 0..<Int.random(in: 0...20, using: &generator) {
            string.unicodeScalars.append(scalars.randomElement(using: &generator) ?? "a")
        }
        return string
    }

    static func object(using generator: inout SeededGenerator, depth: Int = 0) -> JSONObject {
        JSONObject(
            (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                (string(using: &generator), value(using: &generator, depth: depth + 1))
            }
        )
    }

    static func value(using generator: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 4 ? 9 : 7), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return JSONValue(Int.random(in: .min ... .max, using: &generator))
        case 3: return JSONValue(Double.random(in: -1e9...1e9, using: &generator))
        case 4: return JSONValue(UInt64.random(in: .min ... .max, using: &generator))
        case 5, 6: return .string(string(using: &generator))
        case 7:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in value(using: &generator, depth: depth + 1) }
            )
        default: return .object(object(using: &generator, depth: depth))
        }
    }
}
