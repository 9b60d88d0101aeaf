import Foundation
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

    @Test("a line that is too long is left out, and the next one is read", arguments: [true, false])
    func tooLong(endsWithBreak: Bool) async throws {
        let directory = try TemporaryDirectory()
        let long = String(repeating: "x", count: 300_000)
        let text = "a\n\(long)\nb\n\(long)\(endsWithBreak ? "\n" : "")"
        var reader = try LineReader(path: try directory.file("lines", text), longest: 1_000, longLines: .leaveOut)
        defer { reader.close() }
        var lines: [String] = []
        while let line = try await reader.next() {
            #expect(!line.isTooLong || line.bytes.isEmpty)
            lines.append("\(line.number) \(line.isTooLong ? "too long" : String(decoding: line.bytes, as: UTF8.self))")
        }
        #expect(lines == ["1 a", "2 too long", "3 b", "4 too long"])
    }

    @Test func withoutThatALineThatIsTooLongIsAnError() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("lines", String(repeating: "x", count: 3 << 20))
        var reader = try LineReader(path: path, longest: 2 << 20)
        defer { reader.close() }
        let failure = await #expect(throws: CommandFailure.self) { try await reader.next() }
        #expect(failure?.message.contains("longer than 2 MiB") == true)
    }

    /// A file that gives nothing and does not end, as a terminal.
    @Test func waitingForALineEndsWithTheTask() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/silent"
        try #require(mkfifo(path, 0o600) == 0)
        // Open in both directions, so that it neither waits for a writer nor ends.
        let holder = open(path, O_RDWR | O_CLOEXEC)
        defer { close(holder) }
        let reading = Task {
            var reader = try LineReader(path: path)
            defer { reader.close() }
            return try await reader.next()
        }
        reading.cancel()
        let result = try await withDeadline(.seconds(60), "the end of the reading") { await reading.result }
        #expect(throws: CancellationError.self) { try result.get() }
    }
}
