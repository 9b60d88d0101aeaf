import Testing

@testable import NATSClient

@Suite("The rules of keys")
struct KeyRulesTests {
    @Test("a key has letters, digits and -/_=. in tokens that are not empty")
    func keys() throws {
        for key in ["a", "A.b-c/d_e=f.9", "=", "-", "_kv", String(repeating: "k", count: 4_000)] {
            try KeyRules.validate(key: key)
        }
        for key in [
            "", ".", ".a", "a.", "a..b", "a b", "a*", "*", ">", "a.>", "é", "a\r\nb", "a\u{0}", "a:b", "$a",
            "a.\u{301}",
        ] {
            let error = #expect(throws: KeyValueError.self, "\(key)") { try KeyRules.validate(key: key) }
            #expect(error?.code == .invalidKey)
        }
    }

    @Test("a pattern has wildcards as whole tokens, and > only at its end")
    func patterns() throws {
        for pattern in [">", "*", "a.*.b", "a.>", "*.>", "a"] { try KeyRules.validate(pattern: pattern) }
        for pattern in ["", "a*", ">.a", "a.>.b", ".>", "a..>", "**", "a.>>"] {
            let error = #expect(throws: KeyValueError.self, "\(pattern)") { try KeyRules.validate(pattern: pattern) }
            #expect(error?.code == .invalidKey)
        }
    }

    @Test("a bucket's name is one token of ASCII, and short enough for a stream")
    func buckets() throws {
        for bucket in ["a", "A-b_9", String(repeating: "b", count: 252)] { try KeyRules.validate(bucket: bucket) }
        for bucket in ["", "a.b", "a b", "é", ">", "a/b", String(repeating: "b", count: 253)] {
            let error = #expect(throws: KeyValueError.self, "\(bucket)") { try KeyRules.validate(bucket: bucket) }
            #expect(error?.code == .invalidBucket)
        }
    }

    @Test("an error says what to change, without characters that harm a terminal")
    func errors() {
        let error = #expect(throws: KeyValueError.self) { try KeyRules.validate(key: "rate (new)") }
        #expect(error?.message.contains("\" \" is not allowed; use letters of ASCII, digits") == true)
        let harmful = #expect(throws: KeyValueError.self) { try KeyRules.validate(key: "a\u{1B}[31m") }
        #expect(harmful?.message.unicodeScalars.contains("\u{1B}") == false)
    }
}
