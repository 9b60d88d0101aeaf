import MeshAlerts
import MeshEvents
import MeshMonitoring

/// Prints the status on standard output: as text, as JSON, or in place on a terminal.
struct StatusPrinter: Sendable {
    let json: Bool
    let view: StatusView
    private let output: LineOutput
    private let terminal: Terminal

    init(json: Bool, view: StatusView, stop: StopRequest, terminal: Terminal = .output) {
        self.json = json
        self.view = view
        self.terminal = terminal
        output = .standard(stop: stop)
    }

    /// Whether the status is drawn over the previous one.
    var isInPlace: Bool { !json && terminal.isTerminal }

    /// Prints the status.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more; for a node or tool of which nothing is known,
    ///   that failure.
    func print(_ content: StatusContent) throws {
        if case .unknown(let failure) = content { throw failure }
        if json {
            try output.write(terminal.safe(json: try line(content)))
        } else {
            try output.write(text(content).joined(separator: "\n"))
        }
    }

    /// Prints a line before the status; none in JSON.
    ///
    /// - Throws: as ``print(_:)``.
    func print(heading: String) throws {
        if !json { try output.write(heading) }
    }

    /// How long changes are gathered before they are shown together.
    static let pause: Duration = .milliseconds(100)

    /// Whether a change causes a new output.
    func isShown(_ change: MeshState.Change) -> Bool {
        guard view.concerns(node: change.node) else { return false }
        return isInPlace || !change.kinds.subtracting(.resources).isEmpty
    }

    /// Shows the status again: in place, or after the previous output.
    func show(_ content: StatusContent, heading: String, isFirst: Bool) throws {
        guard !isInPlace else { return try draw(content, heading: heading, isFirst: isFirst) }
        if !isFirst, !json { try output.write("") }
        guard case .unknown(let failure) = content else { return try print(content) }
        // It may come.
        if !json { try output.write(Diagnostics.oneLine(failure.message)) }
    }

    /// Draws the status over the previous one, below a heading; lines that do not fit are counted. The terminal's last
    /// row is left for the cursor.
    private func draw(_ content: StatusContent, heading: String, isFirst: Bool) throws {
        let width = terminal.width ?? 80
        let title = SafeText.escaped(heading, columns: width)
        let lines = Self.fitting([title, ""] + text(content), rows: terminal.height.map { $0 - 1 })
        let picture = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n")
        try output.write((isFirst ? "\u{1B}[2J" : "") + "\u{1B}[H" + picture + "\u{1B}[J")
    }

    /// The lines that fit; the last one says how many do not.
    static func fitting(_ lines: [String], rows: Int?) -> [String] {
        guard let rows, lines.count > rows, rows > 1 else { return lines }
        return Array(lines.prefix(rows - 1)) + ["… and \(lines.count - rows + 1) more lines"]
    }

    private func line(_ content: StatusContent) throws -> String {
        switch content {
        case .mesh(let mesh, let node, let alerts): Self.json(Self.shown(mesh, node), alerts)
        case .detail(let detail): try detail.json()
        case .unknown(let failure): throw failure
        }
    }

    private func text(_ content: StatusContent) -> [String] {
        let (isColored, width) = (terminal.usesColor(), terminal.width)
        switch content {
        case .mesh(let mesh, let node, let alerts):
            let formatter = StatusFormatter(isColored: isColored, width: width)
            return formatter.lines(Self.shown(mesh, node), alerts: alerts, node: node)
        case .detail(let detail): return StatusDetailFormatter(isColored: isColored, width: width).lines(detail)
        case .unknown(let failure):
            let message = Diagnostics.oneLine(failure.message)
            return width.map { TextWidth.wrapped(message, to: $0) } ?? [message]
        }
    }

    /// The mesh with the alerts behind its other members, and who watches for them: `null` when that is not known.
    private static func json(_ mesh: MeshState, _ alerts: AlertsAtMoment?) -> String {
        let list = alerts.map { "[\($0.firing.map { AlertReading.json($0) }.joined(separator: ","))]" } ?? "null"
        let watcher = AlertReading.json(alerts?.watcher, isLost: alerts?.isLost ?? false)
        return "\(mesh.json.json.dropLast()),\"alerts\":\(list),\"alert_watcher\":\(watcher)}"
    }

    private static func shown(_ mesh: MeshState, _ node: String?) -> MeshState {
        node.map { mesh.restricted(to: $0) } ?? mesh
    }
}
