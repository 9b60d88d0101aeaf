import MeshEvents
import MeshMonitoring

/// Prints the status on standard output: as text, as JSON, or in place on a terminal.
struct StatusPrinter: Sendable {
    let json: Bool
    let node: String?
    private let output: LineOutput
    private let terminal: Terminal

    init(json: Bool, node: String?, stop: StopRequest, terminal: Terminal = .output) {
        self.json = json
        self.node = node
        self.terminal = terminal
        output = .standard(stop: stop)
    }

    /// Whether the status is drawn over the previous one.
    var isInPlace: Bool { !json && terminal.isTerminal }

    /// Prints the status.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more.
    func print(_ state: MeshState) throws {
        let state = shown(state)
        if json {
            try output.write(terminal.safe(json: state.json.json))
        } else {
            try output.write(text.lines(state, node: node).joined(separator: "\n"))
        }
    }

    /// How long changes are gathered before they are shown together.
    static let pause: Duration = .milliseconds(100)

    /// Whether a change causes a new output.
    func isShown(_ change: MeshState.Change) -> Bool {
        if let node, change.node != node { return false }
        return isInPlace || !change.kinds.subtracting(.resources).isEmpty
    }

    /// Shows the status again: in place, or after the previous output.
    func show(_ state: MeshState, heading: String, isFirst: Bool) throws {
        guard !isInPlace else { return try draw(state, heading: heading, isFirst: isFirst) }
        if !isFirst, !json { try output.write("") }
        try print(state)
    }

    /// Draws the status over the previous one, below a heading; lines that do not fit are counted. The terminal's last
    /// row is left for the cursor.
    func draw(_ state: MeshState, heading: String, isFirst: Bool) throws {
        let width = terminal.width ?? 80
        let title = SafeText.escaped(heading, columns: width)
        let lines = Self.fitting(
            [title, ""] + text.lines(shown(state), node: node),
            rows: terminal.height.map { $0 - 1 }
        )
        let picture = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        try output.write((isFirst ? "\u{1B}[2J" : "") + "\u{1B}[H" + picture + "\u{1B}[J")
    }

    /// The lines that fit; the last one says how many do not.
    static func fitting(_ lines: [String], rows: Int?) -> [String] {
        guard let rows, lines.count > rows, rows > 1 else { return lines }
        return Array(lines.prefix(rows - 1)) + ["… and \(lines.count - rows + 1) more lines"]
    }

    private var text: StatusText { StatusText(isColored: terminal.usesColor(), width: terminal.width) }

    private func shown(_ state: MeshState) -> MeshState { node.map { state.restricted(to: $0) } ?? state }
}
