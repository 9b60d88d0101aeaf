import TestSupport
import Testing

@testable import mesh_events

@Suite struct LineReaderTests {
    private func lines(of text: String) async throws -> [String] {
        let directory = try TemporaryDirectory()
        var reader = try LineReader(path: try directory.file("lines", text))
        defer { reader.close() }
        var lines: [String] = []
        while let line = try await reader.next() {
            lines.append("\(line.number) \(String(decoding: line.bytes, as: UTF8.self))")
        }
        return lines
    }

    @Test func numbersLinesAndSkipsBlankOnes() async throws {
        #expect(try await lines(of: "a\n\n  \t\r\nb\r\nc") == ["1 a", "4 b\r", "5 c"])
    }

    @Test func anEmptyFileHasNoLines() async throws {
        #expect(try await lines(of: "").isEmpty)
        #expect(try await lines(of: "\n\n").isEmpty)
    }

    @Test func aByteOrderMarkIsNoPartOfTheFirstLine() async throws {
        #expect(try await lines(of: "\u{FEFF}a\n\u{FEFF}b\n") == ["1 a", "2 \u{FEFF}b"])
    }

    @Test func linesLongerThanAReadAreWhole() async throws {
        let long = String(repeating: "x", count: 200_000)
        #expect(try await lines(of: "a\n\(long)\nb\n\(long)") == ["1 a", "2 \(long)", "3 b", "4 \(long)"])
    }

    @Test func aFileThatIsNotThereIsAUsageError() {
        let failure = #expect(throws: CommandFailure.self) { try LineReader(path: "/no/such/file") }
        #expect(failure?.code == .usage)
        #expect(failure?.message.contains("/no/such/file") == true)
    }

    @Test func everyEventKnowsItsLine() {
        let numbers = LineNumbers()
        for line in [1, 2, 5, 6, 9] { numbers.append(line) }
        #expect((0...5).map { numbers.line(of: $0) } == [1, 2, 5, 6, 9, nil])
    }

    @Test func aDirectoryIsNoFile() async throws {
        let directory = try TemporaryDirectory()
        var reader = try LineReader(path: directory.path)
        await #expect(throws: CommandFailure.self) { try await reader.next() }
    }
}
