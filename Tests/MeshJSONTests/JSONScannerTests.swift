import MeshJSON
import Testing

struct JSONScannerTests {
    private func failure(_ text: String) -> JSONScanner.Failure? { failure(Array(text.utf8)) }

    private func failure(_ bytes: [UInt8]) -> JSONScanner.Failure? {
        bytes.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            do throws(JSONScanner.Failure) {
                scanner.skipWhitespace()
                try scanner.scanValue(depth: 0)
                try scanner.expectEnd()
                try scanner.validateUTF8()
                return nil
            } catch {
                return error
            }
        }
    }

    @Test(
        arguments: [
            ("", .unexpectedEnd), ("[1", .unexpectedEnd), ("\"abc", .unexpectedEnd), ("tru", .unexpectedEnd),
            ("\"\\", .unexpectedEnd), ("-", .unexpectedEnd), ("1e", .unexpectedEnd), ("{\"a\":", .unexpectedEnd),
            ("nulL", .unexpectedCharacter), ("{a:1}", .unexpectedCharacter), ("[1,]", .unexpectedCharacter),
            ("[1 2]", .unexpectedCharacter), ("\u{FEFF}1", .unexpectedCharacter), ("{\"a\" 1}", .unexpectedCharacter),
            ("\"\\x\"", .invalidEscape), ("\"\\u12g4\"", .invalidEscape), ("\"\n\"", .controlCharacter),
            ("[-]", .invalidNumber), ("[1.]", .invalidNumber), ("[1e+]", .invalidNumber), ("1 2", .trailingCharacters),
            ("01", .trailingCharacters), ("{}\u{0}", .trailingCharacters),
        ] as [(String, JSONScanner.Failure)]
    ) func `what is not JSON is refused with the reason`(text: String, expected: JSONScanner.Failure) {
        #expect(failure(text) == expected)
    }

    @Test(arguments: [
        "0", "-0.5e-7", "\"\"", "\"\\u00e9\\ud800é🚀\"", "true", " [ false , null ] ", "{}", "[[],{\"a\":{}}]",
        "{\"a\":1,\"a\":2}",
    ]) func `any value is read`(text: String) { #expect(failure(text) == nil) }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0xC3], [0xFF], [0xF0, 0x9F, 0x9A],
        ] as [[UInt8]]
    ) func `invalid UTF-8 is refused`(bytes: [UInt8]) {
        #expect(failure(Array("{\"a\":\"0123456789".utf8) + bytes + Array("\"}".utf8)) == .invalidUTF8)
    }

    @Test func `128 levels are read and 129 are not`() {
        func nested(_ levels: Int) -> String {
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        #expect(failure(nested(128)) == nil)
        #expect(failure(nested(129)) == .tooDeep)
        #expect(failure(String(repeating: "{\"a\":", count: 100_000)) == .tooDeep)
    }
}
