import MeshEvents
import MeshLogging

/// Writes events as lines of CSV (RFC 4180), for programs and for spreadsheets.
///
/// What others wrote could be a formula in a spreadsheet. A cell that begins as one gets an apostrophe in front, as OWASP
/// advises and most exporters do; the spreadsheet shows it as text. Characters that cannot be seen, and those that control
/// something, are written as JSON escapes; in the data that changes nothing for a reader of JSON.
struct CSVFormatter {
    /// Whether lines have the column `signature`.
    let marks: Bool

    /// The line with the names of the columns.
    var head: String {
        let columns = ["sequence", "stored_at", "timestamp", "type", "node", "tool", "id", "data"]
        return Self.line(columns + (marks ? ["signature"] : []))
    }

    /// The line of an event.
    ///
    /// - Parameter created: when its stream was created; `nil` when that is not known.
    func line(_ stored: StoredEvent, created: Timestamp?) -> String {
        let event = stored.event
        return Self.line(
            [
                "\(stored.sequence)", stored.storedAt.description, event.timestamp.description, event.type.rawValue,
                event.node, event.data["tool"]?.string ?? "", StreamPosition(stored.sequence, created: created).text,
                event.data.json,
            ] + (marks ? [Self.word(event.signature)] : [])
        )
    }

    /// A line that is no event: it has only a type and data.
    func line(type: String, data: String) -> String {
        Self.line(["", "", "", type, "", "", "", data] + (marks ? [""] : []))
    }

    private static func line(_ cells: [String]) -> String { cells.map(cell).joined(separator: ",") + "\r\n" }

    /// A text as a cell.
    static func cell(_ text: String) -> String {
        var text = VisibleText.escaped(text)
        if let first = text.unicodeScalars.first, formulaBeginnings.contains(first) { text = "'" + text }
        let needsQuotes = text.utf8.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") || $0 == 0x20 }
        return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }

    /// What a formula can begin with, the full-width forms too. Tabs and ends of lines are escapes by then, and a backslash
    /// begins no formula.
    private static let formulaBeginnings: Set<Unicode.Scalar> = [
        "=", "+", "-", "@", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}",
    ]

    private static func word(_ signature: EventSignature) -> String {
        switch signature {
        case .unchecked: ""
        case .unsigned: "unsigned"
        case .signed: "signed"
        case .forged: "forged"
        }
    }
}
