import MeshEvents
import Testing

@testable import mesh_events

@Suite struct ReplayInputTests {
    @Test func aStartIsAWordASequenceOrATime() throws {
        let now = Timestamp(nanosecondsSinceEpoch: 1_000_000_000_000)
        #expect(try ReplayStartArgument.parse("beginning") == .beginning)
        #expect(try ReplayStartArgument.parse("new") == .new)
        #expect(try ReplayStartArgument.parse("0") == .sequence(0))
        #expect(try ReplayStartArgument.parse("18446744073709551615") == .sequence(.max))
        #expect(try ReplayStartArgument.parse("10m", now: now) == .time(now.subtracting(.seconds(600))))
        #expect(try ReplayStartArgument.parse("1970-01-01T00:00:01Z") == .time(.epoch.adding(.seconds(1))))
        for text in ["", "-1", "+1", "1.5", "18446744073709551616", "old", "١"] {
            #expect(throws: CommandFailure.self, "\(text)") { try ReplayStartArgument.parse(text) }
        }
    }

    @Test func aPaceSpreadsEventsAsTheyWereStored() throws {
        let now = ContinuousClock.now
        func at(_ seconds: Int) -> Timestamp { Timestamp.epoch.adding(.seconds(seconds)) }
        var double = try ReplayPace("2")
        #expect(double.delay(of: at(10), now: now) == nil)
        #expect(double.delay(of: at(14), now: now + .seconds(1)) == now + .seconds(2))
        // A clock that went back holds nothing up.
        #expect(double.delay(of: at(3), now: now + .seconds(1)) == now)
        double.stop()
        #expect(double.delay(of: at(100), now: now) == nil)
        var fastest = try ReplayPace("max")
        #expect(fastest.delay(of: at(1), now: now) == nil)
        #expect(fastest.delay(of: at(9), now: now) == nil)
        #expect(try ReplayPace("real").factor == 1)
        #expect(try ReplayPace("1.5x").factor == 1.5)
        for text in ["0", "-1", "nan", "inf", "", "x", "1e9"] {
            #expect(throws: CommandFailure.self, "\(text)") { try ReplayPace(text) }
        }
    }
}

@Suite struct TransferStateTests {
    private let begin = ImportState(stream: "S", server: "s", lines: 0, hash: "h0", sequence: 50)

    @Test func theMarkMovesOverLinesStoredWithoutAHole() {
        var marks = ImportMarks(begin)
        for line in 1...3 { marks.take(line: line, hash: "h\(line)", isKnown: false) }
        marks.stored(1, at: 52)
        #expect(marks.state == begin)
        marks.stored(0, at: 53)
        #expect(marks.state.lines == 2 && marks.state.hash == "h2")
        // Line 3 was sent when nothing above 50 was known.
        #expect(marks.state.sequence == 50)
        marks.take(line: 4, hash: "h4", isKnown: false)
        marks.stored(2, at: 54)
        #expect(marks.state.lines == 3 && marks.state.sequence == 53)
        marks.stored(3, at: 55)
        #expect(marks.state.lines == 4 && marks.state.sequence == 55)
        #expect(marks.stored == 4)
        marks.stored(3, at: 55)
        #expect(marks.stored == 4)
    }

    @Test func linesThatTheStreamHasAreNotCountedAsStored() {
        var marks = ImportMarks(begin)
        marks.take(line: 1, hash: "h1", isKnown: true)
        marks.take(line: 2, hash: "h2", isKnown: false)
        marks.take(line: 3, hash: "h3", isKnown: true)
        #expect(marks.state.lines == 1)
        marks.stored(0, at: 60)
        #expect(marks.state.lines == 3 && marks.state.sequence == 60 && marks.stored == 1)
    }

    @Test func manyLinesTakeNoMoreThanThoseUnderWay() {
        var marks = ImportMarks(begin)
        for line in 1...20_000 {
            marks.take(line: line, hash: "h", isKnown: line.isMultiple(of: 7))
            if !line.isMultiple(of: 7) { marks.stored(line - 1 - line / 7, at: UInt64(50 + line)) }
        }
        #expect(marks.state.lines == 20_000)
    }

    @Test func aLineMakesTheSameMessageWheneverItIsRead() throws {
        func line(_ text: String, _ number: Int) throws -> PendingMessage {
            let bytes = Array(text.utf8)
            return try ImportLine(LineReader.Line(number: number, bytes: bytes[...])).message
        }
        let plain = #"{"type":"user.x","node":"n","timestamp":"2026-01-01T01:00:00+01:00","data":{"a":1}}"#
        let placed = plain.dropLast() + #","sequence":7,"stored":"2026-01-01T00:00:00Z"}"#
        #expect(try line(plain, 1).messageID == line(plain, 1).messageID)
        #expect(try line(plain, 1).messageID != line(plain, 2).messageID)
        #expect(try line(String(placed), 1).messageID == line(String(placed), 2).messageID)
        #expect(
            String(decoding: try line(plain, 1).payload, as: UTF8.self)
                == #"{"type":"user.x","node":"n","timestamp":"2026-01-01T00:00:00Z","data":{"a":1}}"#
        )
        for text in [#"{"type":"user.x"}"#, #"{"type":"user.x","timestamp":"then"}"#, "[]", #"{"timestamp":"x"}"#] {
            #expect(throws: MeshEventsError.self, "\(text)") { try line(text, 1) }
        }
    }

    @Test func theBarShowsShareCountAndRate() {
        func text(_ fraction: Double?) -> String {
            ProgressBar.text(1_200, "stored", fraction: fraction, elapsed: .seconds(2))
        }
        #expect(text(0.5) == "[############            ]  50 %  1200 events stored, 600 a second")
        #expect(text(1) == "[########################] 100 %  1200 events stored, 600 a second")
        #expect(text(7).contains("100 %"))
        #expect(text(nil) == "1200 events stored, 600 a second")
        #expect(ProgressBar.text(1, "exported", fraction: nil, elapsed: .zero) == "1 event exported")
    }
}
