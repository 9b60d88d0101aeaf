import MeshLogging

/// Makes text of other clients harmless on a terminal; see ``VisibleText``.
enum SafeText {
    /// The text with every unsafe scalar as `\u….`; nothing else changes, so JSON text stays the same JSON.
    static func escaped(_ text: String) -> String { VisibleText.escaped(text) }

    /// The text, escaped and cut to this number of columns; a cut text ends with `…`.
    static func escaped(_ text: String, columns: Int) -> String {
        // A column holds only a few bytes, so the rest of a long text is not examined. Cut by scalars, because a single
        // character can be of any length.
        let isLong = text.utf8.count > columns * 32
        let safe = escaped(isLong ? String(text.unicodeScalars.prefix(columns * 8 + 1)) : text)
        guard isLong || TextWidth.columns(of: safe) > columns else { return safe }
        return TextWidth.cut(safe, to: columns)
    }

    /// The longest name that is shown whole, in columns.
    static let longestName = 200

    /// A name for a column: `-` when it is empty, quoted when it has spaces, so that it cannot look like several
    /// columns, and cut when it is longer than ``longestName``.
    static func name(_ text: String) -> String {
        if text.isEmpty { return "-" }
        let safe = escaped(text, columns: longestName)
        return text.unicodeScalars.contains { $0.properties.isWhitespace } ? "\"\(safe)\"" : safe
    }
}
