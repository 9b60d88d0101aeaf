import ProcessGuard
import Testing

@Suite("Lines of a tool's output")
struct ProcessOutputTests {
    private func lines(_ pieces: [String], limit: Int = 8) -> [String] {
        var splitter = LineSplitter(limit: limit)
        var lines: [String] = []
        let collect = { (line: UnsafeRawBufferPointer, cut: Int) in
            lines.append(String(decoding: line, as: UTF8.self) + (cut > 0 ? "+\(cut)" : ""))
        }
        for piece in pieces { Array(piece.utf8).withUnsafeBytes { splitter.append($0, collect) } }
        splitter.finish(collect)
        return lines
    }

    @Test func splitting() {
        #expect(lines(["a\nb", "c\r\n\n", "d"]) == ["a", "bc", "", "d"])
        #expect(lines(["a\n"]) == ["a"])
        #expect(lines([]) == [])
    }

    @Test("the result does not depend on how the bytes arrive") func pieces() {
        let text = "one\ntwo two two two\n\nthree\r\nfour"
        #expect(lines([text]) == lines(text.unicodeScalars.map { String($0) }))
    }

    @Test("a long line is cut") func long() {
        #expect(
            lines(["12345678\n123456789\n", String(repeating: "x", count: 1000), "y\nz"]) == [
                "12345678", "12345678+1", "xxxxxxxx+993", "z",
            ]
        )
    }

    @Test("so many lines and bytes in a second, the others are counted") func allowance() {
        var limits = OutputLimits()
        limits.linesPerSecond = 3
        limits.bytesPerSecond = 100
        limits.lineLength = 10
        var allowance = OutputAllowance(limits)
        let start = ContinuousClock.now
        #expect(allowance.begin(at: start) == nil)
        #expect((0..<5).map { _ in allowance.admits(1) } == [true, true, true, false, false])
        #expect(allowance.begin(at: start + .milliseconds(999)) == nil)
        #expect(allowance.begin(at: start + .seconds(1)) == 2)
        #expect([90, 20, 10].map { allowance.admits($0) } == [true, false, true])
        #expect(allowance.takeDropped() == 1)
        #expect(allowance.takeDropped() == nil)
    }
}
