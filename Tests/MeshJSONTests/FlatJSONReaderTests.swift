import MeshJSON
import Testing

struct FlatJSONReaderTests {
    private struct Reading: Equatable {
        var strings: [String?] = []
        var numbers: [UInt64?] = []
        var flags: [Bool] = []
        var others = 0
        var isComplete = false
    }

    /// Reads the members `s`, `n` and `f`; `nil` when there is no object.
    private func read(_ text: String) -> Reading? {
        text.withBytes { bytes in
            var reader = FlatJSONReader(UnsafeRawBufferPointer(bytes))
            guard reader.beginObject() else { return nil }
            var reading = Reading()
            while let member = reader.nextMember() {
                switch member.name {
                case "s": reading.strings.append(reader.string(member.value))
                case "n": reading.numbers.append(reader.number(member.value))
                case "f": reading.flags.append(reader.isTrue(member.value))
                default: reading.others += 1
                }
            }
            reading.isComplete = reader.isComplete
            return reading
        }
    }

    @Test func `members are found in any order, with white space between tokens, and repeated names are repeated`() {
        let expected = Reading(
            strings: ["é", ""],
            numbers: [7, .max],
            flags: [true, false, false],
            others: 3,
            isComplete: true
        )
        #expect(
            read(
                #"{"f":true,"x":{"a":[1,"}",{"b":"\""}]},"s":"é","n":7,"\u0073":"x","f":false,"s":"","#
                    + #""n":18446744073709551615,"f":1,"ss":null}"#
            ) == expected
        )
        #expect(
            read(
                " {\t\"f\" : true , \"x\" :\r\n[ { } ] , \"s\" : \"é\" , \"n\" : 7 , \"\" : 1.5e3 , \"f\" : false , "
                    + "\"s\" : \"\" , \"n\" : 18446744073709551615 , \"f\" : \"true\" , \"sn\" : \"\\\\\" } \n"
            ) == expected
        )
        #expect(read("{ }") == Reading(isComplete: true))
    }

    @Test func `a value of another kind, a string with escapes and a number beyond 64 bits read as nil`() {
        #expect(read(#"{"s":1,"s":"\n","s":[],"s":null}"#)?.strings == [nil, nil, nil, nil])
        #expect(
            read(#"{"n":-1,"n":1.0,"n":18446744073709551616,"n":"1","n":{}}"#)?.numbers == [nil, nil, nil, nil, nil]
        )
    }

    @Test func `values are skipped however deep they are`() {
        let deep = String(repeating: "[{\"a\":", count: 10_000) + "0" + String(repeating: "}]", count: 10_000)
        #expect(read("{\"x\":\(deep),\"n\":1}") == Reading(numbers: [1], others: 1, isComplete: true))
    }

    @Test func `the beginning of an object is never complete`() {
        let text = #" {"x":{"a":[1,"}"]},"s":"x\"y","n":7} "#
        for count in 0..<text.utf8.count - 2 {
            #expect(read(String(decoding: text.utf8.prefix(count), as: UTF8.self))?.isComplete != true, "\(count)")
        }
        #expect(read(text)?.isComplete == true)
    }

    @Test(arguments: [
        "{}x", "{,}", #"{"a":1,}"#, #"{"a" 1}"#, #"{"a":}"#, #"{"a":]}"#, #"{"a":,"n":1}"#, #"{"a":1 "n":1}"#,
        #"{"a":[}"#,
        "{a:1}", #"{"a\"#, #"{"a":"\"#, #"{"a":{"\"#, #"{"a":1}}"#,
    ]) func `what is no object is not complete`(text: String) { #expect(read(text)?.isComplete == false) }

    @Test(arguments: ["", " ", "null", "[{}]", "\"{\"", "+OK"]) func `what does not begin as an object has no members`(
        text: String
    ) { #expect(read(text) == nil) }
}
