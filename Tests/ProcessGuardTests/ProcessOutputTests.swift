import ProcessGuard
import TestSupport
import Testing

@Suite("Lines of a tool's output")
struct ProcessOutputTests {
    /// The lines that come of pieces of bytes; `nil` is a pause.
    private func lines(of pieces: [[UInt8]?], limit: Int = 8) -> [String] {
        var splitter = LineSplitter(limit: limit)
        var lines: [String] = []
        let collect = { (line: UnsafeRawBufferPointer) in lines.append(String(decoding: line, as: UTF8.self)) }
        for piece in pieces {
            if let piece {
                piece.withUnsafeBytes { splitter.append($0, collect) }
            } else {
                splitter.pause(collect)
            }
        }
        splitter.finish(collect)
        return lines
    }

    private func lines(_ pieces: [String?], limit: Int = 8) -> [String] {
        lines(of: pieces.map { $0.map { Array($0.utf8) } }, limit: limit)
    }

    @Test func splitting() {
        #expect(lines(["a\nb", "c\r\n\n", "d"]) == ["a", "bc", "", "d"])
        #expect(lines(["a\n"]) == ["a"])
        #expect(lines([]) == [])
    }

    @Test("pieces that overwrite each other are the last of them") func progress() {
        #expect(lines(["\r1%\r20%", "\r300%, full\n\r", "a\r\rb\n"], limit: 20) == ["300%, full", "b"])
        #expect(lines(["1%\r2%\r\n3%\r\r\n4%\r"]) == ["2%", "3%", "4%"])
        #expect(lines(["a\r", "\nb\r", "\r\nc\r", "d\n", "\r\n", "\r"]) == ["a", "b", "d", ""])
        let bar = (1...300).map { "\rdownloading \($0)% " + String(repeating: ".", count: 54) }
        let last = lines(bar + ["fatal: disk full\n"], limit: 8 << 10)
        #expect(last.count == 1 && last[0].hasPrefix("downloading 300%") && last[0].hasSuffix("fatal: disk full"))
    }

    @Test("the result does not depend on how the bytes arrive, and is that of a simple model") func pieces() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                ([97, 98, 99, 100, 13, 10] as [UInt8]).randomElement(using: &random) ?? 97
            }
            let limit = Int.random(in: 0...12, using: &random)
            var (pieces, rest): ([[UInt8]?], ArraySlice<UInt8>) = ([], bytes[...])
            while !rest.isEmpty {
                let count = Int.random(in: 1...12, using: &random)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            #expect(lines(of: pieces, limit: limit) == model(bytes, limit), "\(pieces) with \(limit)")
        }
    }

    private func model(_ bytes: [UInt8], _ limit: Int) -> [String] {
        var lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map { line in
            Array(line.split(separator: 13).last ?? [])
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { line in
            guard line.count > limit else { return String(decoding: line, as: UTF8.self) }
            let kept = limit / 2
            let (first, last) = (line.prefix(kept / 2), line.suffix(kept - kept / 2))
            return String(decoding: first, as: UTF8.self) + " … \(line.count - kept) bytes cut … "
                + String(decoding: last, as: UTF8.self)
        }
    }

    @Test("of a long line the beginning and the end are kept, and no part of a character") func long() {
        #expect(
            lines(["12345678\n123456789\n", String(repeating: "x", count: 1000), "y\nz"]) == [
                "12345678", "12 … 5 bytes cut … 89", "xx … 997 bytes cut … xy", "z",
            ]
        )
        let cut = lines([String(repeating: "é", count: 500), String(repeating: "é", count: 500) + "."], limit: 83)
        let part = String(repeating: "é", count: 10)
        #expect(cut == [part + " … 1960 bytes cut … " + part + "."])
        let end = (0..<100_000).map { "\($0) " } + ["fatal: disk full\n"]
        #expect(lines(end, limit: 200).first?.hasSuffix("99998 99999 fatal: disk full") == true)
    }

    @Test("a word in which a line is cut is left out, for it may be a secret; one that is very long is not")
    func cutWords() {
        let words = (0..<50).map { "word-\($0)=a/b" }.joined(separator: " ")
        let kept = words.split(separator: " ")
        let cut = lines([words], limit: 100)
        #expect(cut.count == 1 && cut[0].contains("bytes cut"))
        #expect(
            cut[0].split(separator: " ").allSatisfy {
                kept.contains($0) || ["…", "bytes", "cut"].contains($0) || Int($0) != nil
            },
            "\(cut)"
        )
        let quoted = lines(
            [#"{"key":"value-of-the-key","other":"\#(String(repeating: "x", count: 100))","a":"tail-of-it"}"#],
            limit: 60
        )
        #expect(quoted == [#"{"key":" … 131 bytes cut … ":"tail-of-it"}"#])
    }

    @Test("what is there in a pause is a line, what comes next is another; its mere end is none") func pauses() {
        #expect(lines(["Overwrite? ", nil, nil, "yes\nb\n"], limit: 20) == ["Overwrite? ", "yes", "b"])
        #expect(lines(["a", nil, "\nb\n", nil, "\n"]) == ["a", "b", ""])
        #expect(lines(["1%\r", nil, "2%\r", nil, "\n", "3%", nil, "\r", "\n"]) == ["1%", "2%", "3%"])
        #expect(lines([nil, "\r", nil]) == [])
    }

    @Test("a character that has come in part is left for the line after a pause") func partOfCharacter() {
        #expect(lines(of: [[97, 0xE2], nil, [0x82], nil, [0xAC, 10]]) == ["a", "€"])
        #expect(lines(of: [[0xF0, 0x9F], nil]) == ["\u{FFFD}"])
        // It was overwritten, or is none.
        #expect(lines(of: [[97, 0xE2, 13], nil, [98, 10]]) == ["a\u{FFFD}", "b"])
        #expect(lines(of: [[97, 0xFF], nil, [98, 10]]) == ["a\u{FFFD}", "b"])
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
