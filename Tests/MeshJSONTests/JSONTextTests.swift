import MeshJSON
import Testing

struct JSONTextTests {
    @Test(arguments: [
        (#""\u0041\ud83d\ude80\"\\\/\b\f\n\r\t""#, "A🚀\"\\/\u{8}\u{C}\n\r\t"), (#""\ud800x""#, "\u{FFFD}x"),
        (#""\udc00\ud800""#, "\u{FFFD}\u{FFFD}"), (#""\ud800\ud83d\ude80""#, "\u{FFFD}🚀"),
        (#""\ud800\u0041""#, "\u{FFFD}A"), ("\"é\"", "é"), ("\"\"", ""),
    ]) func `strings read as Go reads them, lone surrogates as U+FFFD`(text: String, expected: String) {
        #expect(text.withBytes { JSONNavigator(bytes: $0).string(at: 0..<$0.count) } == expected)
    }

    @Test func `white space between tokens is dropped, and inside strings kept`() {
        let text = "{ \"a b\" :\t[ 1 ,\r\n\" \\\" \" ] }"
        #expect(text.withBytes { JSONText.compact($0) } == #"{"a b":[1," \" "]}"#)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("1.0", 1), ("10e-1", 1), ("1e3", 1000), ("9223372036854775807", Int64.max),
            ("-9223372036854775808", Int64.min), ("9223372036854775807.000", Int64.max), ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("1.5", nil), ("1e-1", nil), ("1e19", nil), ("1e99999999999999999999", nil),
            ("0e99999999999", 0), ("123456789012345678", 123_456_789_012_345_678),
        ] as [(String, Int64?)]
    ) func `integers read exactly or not at all`(text: String, expected: Int64?) {
        #expect(text.withBytes { DecimalText.int64($0) } == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("-1", nil), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("1844674407370955161.5e1", UInt64.max), ("0.5", nil),
        ] as [(String, UInt64?)]
    ) func `unsigned integers too`(text: String, expected: UInt64?) {
        #expect(text.withBytes { DecimalText.uint64($0) } == expected)
    }
}
