import Foundation
import MeshEvents
import MeshLogging
import Testing

@testable import mesh_events

@Suite struct RowFormatterTests {
    private func formatter(isColored: Bool = false) -> RowFormatter {
        RowFormatter(isColored: isColored, time: Self.utc)
    }

    private static let utc = LocalTime { seconds in
        var seconds = seconds
        var result = tm()
        gmtime_r(&seconds, &result)
        return result
    }

    private func event(_ type: EventType = "tool.started", node: String = "pi", _ data: EventData = ["a": 1]) -> Event {
        Event(type, node: node, timestamp: Timestamp(nanosecondsSinceEpoch: 1_774_343_045_123_999_999), data: data)
    }

    @Test func showsDateTimeTypeNodeAndData() {
        var rows = formatter()
        #expect(rows.row(event()) == #"2026-03-24 09:04:05.123  tool.started      pi        {"a":1}"#)
    }

    @Test func timesBeforeTheEpochAreRight() {
        var rows = formatter()
        let old = Event("a", node: "n", timestamp: Timestamp(nanosecondsSinceEpoch: -1_000_000))
        #expect(rows.row(old).hasPrefix("1969-12-31 23:59:59.999  "))
    }

    @Test func columnsGrowWithWhatComesAndStay() {
        var rows = formatter()
        let wide = rows.row(event("user.training.epoch", node: "raspberry-pi"))
        let narrow = rows.row(event())
        #expect(wide.firstRange(of: "{\"a\"")?.lowerBound == narrow.firstRange(of: "{\"a\"")?.lowerBound)
    }

    @Test func oneEndlessNameDoesNotWidenTheColumnForGood() throws {
        var rows = formatter()
        let before = rows.row(event())
        let long = rows.row(event(EventType(stringLiteral: "user." + String(repeating: "x", count: 150))))
        #expect(long.contains(String(repeating: "x", count: 150)))
        #expect(rows.row(event()) == before)
    }

    @Test(arguments: [1, 10, 40, 57, 60, 80, 200])
    func aRowFitsTheTerminal(width: Int) throws {
        var rows = formatter()
        let data = try EventData(
            json: #"{"text":"日本語日本語日本語日本語日本語日本語日本語日本語👩‍👩‍👧é","more":"\#(String(repeating: "x", count: 300))"}"#
        )
        let row = rows.row(event("user.wide", node: "ノード", data), width: width)
        #expect(TextWidth.columns(of: row) <= width)
        #expect(row.hasSuffix("…"))
    }

    @Test func nothingIsCutWithoutATerminal() throws {
        var rows = formatter()
        let text = String(repeating: "x", count: 10_000)
        #expect(rows.row(event("user.a", ["text": .string(text)])).contains(text))
    }

    @Test func coloursDoNotChangeTheText() {
        var plain = formatter()
        var colored = formatter(isColored: true)
        for event in [
            event(), event("tool.crashed"), event("node.left"), event("user.x"), event("node.health"), event("x"),
        ] {
            let row = colored.row(event)
            #expect(row.contains("\u{1B}["))
            #expect(row.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain.row(event))
        }
    }

    @Test(arguments: [
        "\u{1B}[2J", "\r", "\n2026-11-24 11:11:11.111  tool.started  x", "\u{9B}31m", "\u{7F}", "\u{202E}abc",
        "\u{2066}",
        "\u{2028}", "\u{200B}", "\u{FEFF}", "\u{E0041}", "\u{0}", "\u{8}\u{8}", "\u{061C}", "\u{FFFE}", "\u{E000}",
    ])
    func whatCouldHarmATerminalIsShownEscaped(text: String) throws {
        var rows = formatter(isColored: false)
        let hostile = Event("user.a", node: "n" + text, timestamp: .epoch, data: ["k" + text: .string(text)])
        for row in [rows.row(hostile), rows.row(hostile, width: 500)] {
            #expect(row.unicodeScalars.allSatisfy { !$0.isHarmful }, "\(row.debugDescription)")
            #expect(row.contains("\\u") || row.contains("\\n") || row.contains("\\r"))
        }
    }

    @Test func aRowOfMegabytesIsCutAndSaysSo() throws {
        var rows = formatter()
        let text = String(repeating: "x", count: 3_000_000)
        let row = rows.row(event("user.a", ["text": .string(text)]))
        #expect(row.hasSuffix("xxx… (3000011 bytes in all; --json shows them)"))
        #expect(row.utf8.count < 17_000)
        let marks = "a" + String(repeating: "\u{301}", count: 1_000_000)
        for width in [nil, 120] {
            let row = rows.row(event("user.a", node: marks, ["text": .string(marks)]), width: width)
            #expect(row.utf8.count < 40_000)
            #expect(!row.contains(String(repeating: "\u{301}", count: 7)))
        }
        let named = rows.row(event("user.a", node: text))
        #expect(named.utf8.count < 400)
        #expect(named.contains("xxx…"))
    }

    @Test func exactlyWhatARowShows() throws {
        var rows = formatter()
        let data = try EventData(json: "{\"a\":\"\\n\u{202E}evil\u{2069}\u{200B}\",\"b\":\"\\u001b[2J\u{9B}31m\"}")
        let event = Event("user.a", node: "pi\n\u{1B}]0;x\u{7}", timestamp: .epoch, data: data)
        #expect(
            rows.row(event)
                == #"1970-01-01 00:00:00.000  user.a            "pi\u000a\u001b]0;x\u0007"  "#
                + #"{"a":"\n\u202eevil\u2069\u200b","b":"\u001b[2J\u009b31m"}"#
        )
    }

    @Test func aTypeFromAnInvalidLiteralCannotHarmEither() {
        var rows = formatter()
        let row = rows.row(Event("a\u{1B}[31m b", node: "n"))
        #expect(!row.contains("\u{1B}"))
    }

    @Test func aNodeWithSpacesCannotPassForSeveralColumns() {
        var rows = formatter()
        #expect(rows.row(event(node: "pi  {}")).contains("\"pi  {}\""))
        #expect(rows.row(event(node: "")).contains("  -  "))
    }
}

@Suite struct SafeTextTests {
    @Test func escapedJSONIsTheSameJSON() throws {
        let data = try EventData(json: "{\"a\":\"\u{202E}x\u{9B}\u{E0041}é日本\u{7F}\"}")
        let escaped = SafeText.escaped(data.json)
        #expect(escaped == #"{"a":"\u202ex\u009b\udb40\udc41é日本\u007f"}"#)
        #expect(try EventData(json: escaped) == data)
    }

    @Test func whatIsHarmlessStays() {
        for text in ["plain", "Grüße", "日本語", "👩‍👩‍👧", "क्‍ष", "e\u{301}", "שלום", "\"\\"] {
            #expect(SafeText.escaped(text) == text)
        }
    }

    @Test(arguments: [
        ("whis\u{200D}per", #"whis\u200dper"#), ("\u{200C}a", #"\u200ca"#), ("a\u{3164}", #"a\u3164"#),
        ("\u{2028}\u{2029}", #"\u2028\u2029"#), ("\u{202A}\u{2066}", #"\u202a\u2066"#), ("\u{AD}", #"\u00ad"#),
        ("e" + String(repeating: "\u{301}", count: 8), "e" + String(repeating: "\u{301}", count: 6) + #"\u0301\u0301"#),
    ])
    func whatShowsNothingIsShown(text: String, shown: String) {
        #expect(SafeText.escaped(text) == shown)
    }

    @Test func anErrorIsOfReadableLength() {
        let line = Diagnostics.oneLine(String(repeating: "y", count: 1_000_000))
        #expect(line.utf8.count < 4_200 && line.hasSuffix("…"))
    }

    @Test func aMessageIsOneLine() {
        #expect(Diagnostics.oneLine("a\nb\r\nc\u{1B}[0m") == "a b c\\u001b[0m")
    }

    @Test(arguments: [("abc", 3), ("日本", 4), ("e\u{301}", 1), ("👩‍👩‍👧", 2), ("", 0), ("é", 1), ("한글", 4)])
    func columnsAreThoseOfATerminal(text: String, columns: Int) {
        #expect(TextWidth.columns(of: text) == columns)
    }

    @Test func cutsBetweenCharacters() {
        #expect(TextWidth.cut("日本語", to: 4) == "日…")
        #expect(TextWidth.cut("日本語", to: 3) == "日…")
        #expect(TextWidth.cut("abc", to: 1) == "…")
        #expect(TextWidth.cut("abc", to: 0) == "")
    }
}
