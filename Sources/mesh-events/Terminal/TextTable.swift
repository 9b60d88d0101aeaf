import MeshLogging

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

    /// The columns that the last one gets on a narrow terminal, when it needs them: others are narrowed for it.
    private static let lastColumn = 16
    /// The least width of a column that is narrowed.
    private static let narrowest = 9

    private let headings: [String]
    private let shrinking: [Int]
    private var rows: [[Cell]] = []

    /// - Parameter shrinking: the columns whose texts may be cut on a narrow terminal, so that the last one is seen.
    init(_ headings: [String], shrinking: [Int] = []) {
        self.headings = headings
        self.shrinking = shrinking
    }

    /// Adds a row, one cell for each heading.
    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// The lines, each cut to the width when there is one.
    func lines(isColored: Bool, width: Int? = nil) -> [String] {
        let all = [headings.map { Cell($0, .dim) }] + rows
        var widths = headings.indices.map { column in
            all.reduce(0) { max($0, TextWidth.columns(of: $1[column].text)) }
        }
        if let width { narrow(&widths, to: width) }
        return all.map { Self.line($0, widths, isColored: isColored, width: width) }
    }

    /// Narrows the columns that may shrink, the widest first, until the last one has room.
    private func narrow(_ widths: inout [Int], to width: Int) {
        guard let last = widths.last else { return }
        var missing = widths.dropLast().reduce(0) { $0 + $1 + 2 } + min(last, Self.lastColumn) - width
        while missing > 0, let widest = shrinking.max(by: { widths[$0] < widths[$1] }), widths[widest] > Self.narrowest
        {
            widths[widest] -= 1
            missing -= 1
        }
    }

    private static func line(_ cells: [Cell], _ widths: [Int], isColored: Bool, width: Int?) -> String {
        var line = ""
        var left = width ?? .max
        for (index, cell) in cells.enumerated() {
            guard left > 0 else { break }
            let isLast = index == cells.count - 1
            var text = cell.text
            if !isLast, TextWidth.columns(of: text) > widths[index] { text = TextWidth.cut(text, to: widths[index]) }
            let columns = isLast ? TextWidth.columns(of: text) : widths[index]
            let padding = widths[index] - TextWidth.columns(of: text) + 2
            if columns > left { text = TextWidth.cut(text, to: left) }
            line += isColored ? cell.style.apply(to: text) : text
            guard !isLast else { break }
            line += String(repeating: " ", count: min(padding, max(0, left - TextWidth.columns(of: text))))
            left -= columns + 2
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

/// Measures how many columns text takes on a terminal, and cuts and pads text to columns.
enum TextWidth {
    /// The columns of a text without control characters.
    static func columns(of text: String) -> Int {
        if text.utf8.allSatisfy(VisibleText.isPlain) { return text.utf8.count }
        return text.reduce(0) { $0 + columns(of: $1) }
    }

    /// The beginning of a text that fits, with `…` at its end.
    static func cut(_ text: String, to columns: Int) -> String {
        guard columns > 0 else { return "" }
        var result = ""
        var used = 0
        for character in text {
            let width = Self.columns(of: character)
            if used + width > columns - 1 { break }
            result.append(character)
            used += width
        }
        return result + "…"
    }

    /// The text, padded with spaces at its end to a width.
    static func padded(_ text: String, to columns: Int) -> String {
        text + String(repeating: " ", count: max(0, columns - Self.columns(of: text)))
    }

    private static func columns(of character: Character) -> Int {
        character.unicodeScalars.reduce(0) { max($0, columns(of: $1)) }
    }

    private static func columns(of scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        return wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }

    /// The blocks of Unicode's East Asian Width W and F.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x231A...0x231B, 0x2329...0x232A, 0x23E9...0x23EC, 0x25FD...0x25FE, 0x2614...0x2615,
        0x2648...0x2653, 0x26A1...0x26A1, 0x26BD...0x26BE, 0x2705...0x2705, 0x274C...0x274C, 0x2753...0x2755,
        0x2795...0x2797, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
        0x1F004...0x1F004, 0x1F0CF...0x1F0CF, 0x1F18E...0x1F19A, 0x1F1E6...0x1F202, 0x1F300...0x1F64F,
        0x1F680...0x1F6FF, 0x1F7E0...0x1F7EB, 0x1F90C...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD,
    ]
}
