import MeshEvents

/// Writes events as rows for people: local date and time, type, node, data, in columns that line up.
struct RowFormatter {
    private static let typeColumn = 16...32
    private static let nodeColumn = 8...24

    /// Whether rows are coloured.
    let isColored: Bool
    private let time: LocalTime
    private var typeWidth = typeColumn.lowerBound
    private var nodeWidth = nodeColumn.lowerBound

    init(isColored: Bool = false, time: LocalTime = LocalTime()) {
        self.isColored = isColored
        self.time = time
    }

    /// Widens the columns for an event; rows from now on line up with its row.
    ///
    /// A column has a limit, lower on a narrow terminal: one long name must not narrow the data in all later rows. A
    /// longer name is not cut; its row does not line up.
    ///
    /// - Parameter width: how many columns there are; `nil` for any number.
    mutating func makeRoom(for event: Event, width: Int? = nil) {
        typeWidth = Self.wider(typeWidth, for: event.type.rawValue, Self.typeColumn, share: width.map { $0 / 4 })
        nodeWidth = Self.wider(nodeWidth, for: event.node, Self.nodeColumn, share: width.map { $0 / 6 })
    }

    private static func wider(_ present: Int, for name: String, _ range: ClosedRange<Int>, share: Int?) -> Int {
        let columns = TextWidth.columns(of: SafeText.name(name))
        let limit = min(max(share ?? range.upperBound, range.lowerBound), range.upperBound)
        return columns > limit ? present : max(present, columns)
    }

    /// The row of an event, without a line break.
    ///
    /// - Parameter width: how many columns there are; `nil` for any number.
    mutating func row(_ event: Event, width: Int? = nil) -> String {
        makeRoom(for: event, width: width)
        let type = SafeText.name(event.type.rawValue)
        let columns: [(text: String, style: Style)] = [
            (time.text(event.timestamp), .dim),
            (TextWidth.padded(type, to: typeWidth), Style(ofType: type)),
            (TextWidth.padded(SafeText.name(event.node), to: nodeWidth), .cyan),
        ]
        let head = columns.map(\.text).joined(separator: "  ") + "  "
        guard let width else { return styled(columns) + Self.data(event.data.json) }
        let left = width - TextWidth.columns(of: head)
        guard left > 0 else { return TextWidth.cut(head, to: width) }
        return styled(columns) + SafeText.escaped(event.data.json, columns: left)
    }

    /// The longest data that is shown whole when there is no terminal width, in columns.
    private static let longestData = 16_384

    /// The data of an event; when it is too long, cut and followed by its size.
    private static func data(_ json: String) -> String {
        let shown = SafeText.escaped(json, columns: longestData)
        guard shown.last == "…" else { return shown }
        return "\(shown) (\(json.utf8.count) bytes in all; --json shows them)"
    }

    private func styled(_ columns: [(text: String, style: Style)]) -> String {
        columns.map { (isColored ? $0.style.apply(to: $0.text) : $0.text) + "  " }.joined()
    }
}
