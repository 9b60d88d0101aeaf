import MeshJSON
import TestSupport
import Testing

struct JSONWriterTests {
    @Test(arguments: [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (0.1, "0.1"), (0.42, "0.42"), (-2.5, "-2.5"), (100.0, "100"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-7, "1.5e-7"), (9.9e-7, "9.9e-7"), (1.234e-10, "1.234e-10"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"), (1.5e21, "1.5e+21"), (123_456_789.123, "123456789.123"), (0.1 + 0.2, "0.30000000000000004"),
        (.leastNonzeroMagnitude, "5e-324"), (.greatestFiniteMagnitude, "1.7976931348623157e+308"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (1e15, "1000000000000000"), (999_999_999_999_999.9, "999999999999999.9"), (1.0 / 3, "0.3333333333333333"),
        (0.000123, "0.000123"), (12_345.678_9, "12345.6789"), (1_152_921_504_606_846_976.0, "1152921504606847000"),
    ]) func `numbers are written as Go writes them`(value: Double, text: String) {
        #expect(JSONWriter.text { $0.double(value) } == text)
    }

    @Test func `any finite number is written in the shortest form that reads back`() {
        var generator = SeededGenerator(seed: 3)
        for round in 0..<50_000 {
            let value: Double
            switch round % 3 {
            case 0: value = Double(bitPattern: generator.next())
            case 1: value = Double(Int.random(in: -1_000_000...1_000_000, using: &generator)) / 1000
            default: value = .random(in: -1000...1000, using: &generator)
            }
            guard value.isFinite else { continue }
            let text = JSONWriter.text { $0.double(value) }
            #expect(text.withBytes { DecimalText.double($0) }.bitPattern == value.bitPattern, "\(text)")
            func digits(_ text: String) -> Int {
                var plain = String(text.prefix { $0 != "e" }.filter(\.isNumber).drop { $0 == "0" })
                while plain.hasSuffix("0") { plain.removeLast() }
                return plain.count
            }
            #expect(digits(text) <= digits(value.description), "\(text) for \(value)")
        }
    }

    @Test func `what does not fit is counted, and nothing is written behind the buffer`() {
        var bytes = [UInt8](repeating: 0xFF, count: 64)
        func write(_ capacity: Int) -> (count: Int, fits: Bool) {
            bytes.withUnsafeMutableBytes { buffer in
                var writer = JSONWriter(UnsafeMutableRawBufferPointer(rebasing: buffer[..<capacity]))
                writer.open(UInt8(ascii: "{"))
                writer.name("name" as StaticString)
                writer.string("a line\nand \"more\" \u{1}")
                writer.write(UInt8(ascii: ","))
                _ = writer.name("ü")
                writer.integer(-1_234_567)
                writer.close(UInt8(ascii: "}"))
                return (writer.count, writer.fits)
            }
        }
        let expected = Array(#"{"name":"a line\nand \"more\" \u0001","ü":-1234567}"#.utf8)
        for capacity in 0..<expected.count {
            #expect(write(capacity) == (expected.count, false))
            #expect(bytes[capacity...].allSatisfy { $0 == 0xFF })
        }
        #expect(write(expected.count) == (expected.count, true))
        #expect(Array(bytes.prefix(expected.count)) == expected)
    }

    @Test func `127 levels are written, one more is a problem, and the first problem is kept`() {
        func problem(_ levels: Int, _ value: Double = 0) -> JSONWriter.Problem? {
            withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
                var writer = JSONWriter(buffer)
                for _ in 0..<levels { writer.open(UInt8(ascii: "[")) }
                writer.double(value)
                for _ in 0..<levels { writer.close(UInt8(ascii: "]")) }
                #expect(writer.deepest == levels)
                return writer.problem
            }
        }
        #expect(problem(127) == nil)
        #expect(problem(128) == .tooDeep)
        #expect(problem(1, .nan) == .notFinite)
        #expect(problem(128, .infinity) == .tooDeep)
    }
}
