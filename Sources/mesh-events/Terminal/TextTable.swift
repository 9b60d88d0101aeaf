/// Lines of columns that line up, below a line of headings.
struct TextTable {
    /// A cell: text that is safe on a terminal, and its style.
    struct Cell {
        let text: String
        let style: Style

        /// - Parameter text: any text; it is made safe.
        init(_ text: String, _ style: Style = .plain) {
            self.text = SafeText.escaped(text)
            self.style = style
        }

        /// A cell with the name of a node or tool, cut when it is too long.
        static func name(_ text: String, _ style: Style = .plain) -> Cell {
            Cell(TextWidth.columns(of: text) > longestName ? TextWidth.cut(text, to: longestName) : text, style)
        }
    }

    /// The longest name, in columns; a longer one is cut, so that the other columns stay visible.
    private static let longestName = 32

    private let headings: [String]
    private var rows: [[Cell]] = []

    init(_ headings: [String]) { self.headings = headings }

    /// Adds a row, one cell for each heading.
    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// The lines, each cut to the width when there is one.
    func lines(isColored: Bool, width: Int? = nil) -> [String] {
        let all = [headings.map { Cell($0, .dim) }] + rows
        let widths = headings.indices.map { column in
            all.reduce(0) { max($0, TextWidth.columns(of: $1[column].text)) }
        }
        return all.map { Self.line($0, widths, isColored: isColored, width: width) }
    }

    private static func line(_ cells: [Cell], _ widths: [Int], isColored: Bool, width: Int?) -> String {
        var line = ""
        var left = width ?? .max
        for (index, cell) in cells.enumerated() {
            guard left > 0 else { break }
            let isLast = index == cells.count - 1
            var text = cell.text
            let columns = isLast ? TextWidth.columns(of: text) : widths[index]
            if columns > left { text = TextWidth.cut(text, to: left) }
            line += isColored ? cell.style.apply(to: text) : text
            guard !isLast else { break }
            let padding = widths[index] - TextWidth.columns(of: cell.text) + 2
            line += String(repeating: " ", count: min(padding, max(0, left - TextWidth.columns(of: text))))
            left -= columns + 2
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
