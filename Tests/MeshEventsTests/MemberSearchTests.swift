import MeshEvents
import Testing

struct MemberSearchTests {
    @Test func `of members with the same name the last one is found, whatever stands between`() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let names = (0..<3).map { _ in RandomJSON.string(using: &generator) }
            let members = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                (names.randomElement(using: &generator) ?? "", RandomJSON.value(using: &generator, depth: 1))
            }
            let text = members.map { "\(JSONValue($0.0)):\($0.1)" }.joined(separator: ",")
            let data = try EventData(json: "{\(text)}")
            for name in names + ["absent"] {
                let expected = members.last { Array($0.0.utf8) == Array(name.utf8) }?.1
                #expect(data[name]?.value == expected, "\(name.debugDescription) in \(data.json)")
            }
        }
    }

    @Test func `a name in other spellings is the same name`() throws {
        let data = try EventData(json: ##"{"a\u0062":1,"\u0061b":2,"\\\"":3,"\\":4,"":5,"x]":"#","y":{"a":"]#\"}"}}"##)
        #expect(data["ab"]?.int == 2)
        #expect(data["\\\""]?.int == 3)
        #expect(data["\\"]?.int == 4)
        #expect(data[""]?.int == 5)
        #expect(data["x]"]?.string == "#")
        #expect(data["y"]?["a"]?.string == "]#\"}")
        #expect(data["a"] == nil)
    }
}
