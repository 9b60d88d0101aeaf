/// Lines of labels and values, the values in a column of their own, wrapped where the line ends.
struct FactTable {
    /// The narrowest column of values.
    private static let narrowest = 12

    private var rows: [(label: String, value: String, style: Style)] = []

    /// Adds a row; none when there is no value.
    mutating func add(_ label: String, _ value: String?, _ style: Style = .plain) {
        guard let value, !value.isEmpty else { return }
        rows.append((label, SafeText.escaped(value), style))
    }

    /// Adds a row of several lines, the label before the first one.
    mutating func add(_ label: String, lines: [String], _ style: Style = .plain) {
        for (index, line) in lines.enumerated() { add(index == 0 ? label : "", line, style) }
    }

    /// The lines, each within the width when there is one.
    func lines(isColored: Bool, width: Int? = nil) -> [String] {
        let indent = (rows.map { TextWidth.columns(of: $0.label) }.max() ?? 0) + 2
        return rows.flatMap { row in
            let room = width.map { max($0 - indent, Self.narrowest) } ?? .max
            return TextWidth.wrapped(row.value, to: room).enumerated().map { index, part in
                let label = TextWidth.padded(index == 0 ? row.label : "", to: indent)
                if let width, TextWidth.columns(of: label + part) > width {
                    return TextWidth.cut(label + part, to: width)
                }
                return isColored ? Style.dim.apply(to: label) + row.style.apply(to: part) : label + part
            }
        }
    }
}

extension TextWidth {
    /// The text in lines of at most so many columns: broken at spaces, or anywhere within a word that is longer.
    static func wrapped(_ text: String, to columns: Int) -> [String] {
        guard Self.columns(of: text) > columns, columns > 0 else { return [text] }
        var (lines, line, used): ([String], String, Int) = ([], "", 0)
        func end() {
            while line.last == " " { line.removeLast() }
            lines.append(line)
            (line, used) = ("", 0)
        }
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            let width = Self.columns(of: String(word))
            if used > 0, used + width > columns { end() }
            for character in width > columns ? Array(word) : [] {
                let width = Self.columns(of: String(character))
                if used + width > columns { end() }
                line.append(character)
                used += width
            }
            if width <= columns {
                line += word
                used += width
            }
            if used < columns {
                line += " "
                used += 1
            }
        }
        if !line.isEmpty { end() }
        return lines
    }
}
