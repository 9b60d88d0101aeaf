import Foundation
import MeshEvents
import MeshLogging
import MeshSupervision
import Testing

@testable import mesh_events

/// How lines of logs look.
@Suite struct LogFormatterTests {
    private func formatter(_ tool: String? = "whisper", json: Bool = false, isColored: Bool = false) -> LogFormatter {
        var formatter = LogFormatter(node: "pi", tool: tool, json: json)
        formatter.terminal = Terminal(descriptor: -1)
        formatter.time = LocalTime { seconds in
            var (seconds, result) = (seconds, tm())
            gmtime_r(&seconds, &result)
            return result
        }
        formatter.isColored = isColored
        return formatter
    }

    private func record(_ line: String, _ stream: LogRecord.Stream = .stdout, dropped: UInt64 = 0) -> RemoteLogs.Element
    {
        let time = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_123_000_000)
        return .record(LogRecord(number: 7, time: time, stream: stream, line: line, dropped: dropped))
    }

    @Test func text() {
        let formatter = formatter()
        #expect(formatter.line(record("a\tb")) == "2027-01-15 08:00:00.123 out  a    b")
        #expect(formatter.line(record("oh", .stderr)) == "2027-01-15 08:00:00.123 err  oh")
        #expect(formatter.line(record("started", .node)) == "2027-01-15 08:00:00.123 node started")
        #expect(self.formatter(nil).line(record("a", .node)) == "2027-01-15 08:00:00.123 a")
        #expect(formatter.line(.missed(3)) == nil && formatter.line(.back) == nil)
        #expect(formatter.note(.missed(3))?.contains("3 lines were removed") == true)
        #expect(formatter.note(.missed(1))?.contains("1 line was removed") == true)
        #expect(formatter.note(.away("node x does not answer")) == "node x does not answer; waiting for it")
        #expect(formatter.note(record("a")) == nil)
    }

    @Test func whatAToolWritesCannotReachATerminal() {
        let hostile = "\u{1B}]0;title\u{7}\u{1B}[2J\u{202E}\r\u{0}x"
        for isColored in [false, true] {
            let line = formatter(isColored: isColored).line(record(hostile, .stderr)) ?? ""
            let plain = line.replacing(/\u{1B}\[[0-9;]*m/, with: "")
            #expect(plain.unicodeScalars.allSatisfy { !$0.isHarmful }, "\(line.debugDescription)")
            #expect(plain.hasSuffix(#"\u001b]0;title\u0007\u001b[2J\u202e\u000d\u0000x"#), "\(plain)")
        }
    }

    @Test func numbersOfOthersAddUpToTheLargestAtMost() {
        var missed = MissedLines()
        for _ in 0..<2 { missed.count.addSaturating(.max) }
        #expect(missed.take() == .max)
    }

    @Test func whatWasMissedIsToldOnceASecond() {
        var missed = MissedLines()
        let start = ContinuousClock.now
        #expect(missed.take(at: start) == nil && missed.take() == nil)
        missed.count += 3
        #expect(missed.take(at: start) == 3)
        missed.count += 4
        #expect(missed.take(at: start + .milliseconds(999)) == nil)
        missed.count += 5
        #expect(missed.take(at: start + .seconds(1)) == 9)
        missed.count += 1
        #expect(missed.take() == 1 && missed.take() == nil)
    }

    @Test func json() throws {
        let line = try #require(formatter(json: true).line(record("a \u{1B}b", .stderr)))
        let data = try EventData(json: line)
        #expect(data["line"]?.string == "a \u{1B}b" && data["number"]?.int == 7 && data["stream"]?.string == "stderr")
        #expect(data["dropped"] == nil && data["time"]?.string == "2027-01-15T08:00:00.123Z")
        let dropped = try EventData(
            json: #require(formatter(nil, json: true).line(record("5 lines", .node, dropped: 5)))
        )
        #expect(dropped["dropped"]?.int == 5 && dropped["tool"]?.isNull == true)
        #expect(try EventData(json: #require(formatter(json: true).line(.missed(9))))["missed"]?.int == 9)
        #expect(try EventData(json: #require(formatter(json: true).line(.begunAnew)))["begun_anew"]?.bool == true)
        #expect(formatter(json: true).line(.away("x")) == nil)
    }
}
