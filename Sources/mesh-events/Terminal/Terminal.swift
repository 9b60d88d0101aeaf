import Foundation

/// The terminal behind a file descriptor, if there is one.
struct Terminal: Sendable {
    let descriptor: Int32

    static let output = Terminal(descriptor: STDOUT_FILENO)
    static let error = Terminal(descriptor: STDERR_FILENO)

    /// Whether the descriptor is a terminal.
    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Its present width in columns; `nil` when it is no terminal or reports none.
    var width: Int? { size.flatMap { $0.ws_col > 0 ? Int($0.ws_col) : nil } }

    /// Its present height in rows; `nil` when it is no terminal or reports none.
    var height: Int? { size.flatMap { $0.ws_row > 0 ? Int($0.ws_row) : nil } }

    private var size: winsize? {
        guard isTerminal else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 ? size : nil
    }

    /// The JSON for this output: on a terminal, unsafe scalars are escaped; the values stay the same.
    func safe(json: String) -> String { isTerminal ? SafeText.escaped(json) : json }

    /// Whether to use colours: on a terminal that has them, unless `NO_COLOR` is set (no-color.org).
    func usesColor(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> Bool {
        isTerminal && Self.allowsColor(environment)
    }

    static func allowsColor(_ environment: [String: String]) -> Bool {
        (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }
}

/// The colours of rows, as ANSI escape sequences.
enum Style: String {
    case plain = ""
    case dim = "2"
    case red = "1;31"
    case green = "32"
    case yellow = "33"
    case magenta = "35"
    case cyan = "36"

    func apply(to text: String) -> String {
        self == .plain || text.isEmpty ? text : "\u{1B}[\(rawValue)m\(text)\u{1B}[0m"
    }

    /// The colour of an event type: red for a crash and a lost node, otherwise by family.
    init(ofType type: String) {
        switch type {
        case "tool.crashed", "node.unreachable": self = .red
        case "tool.unhealthy": self = .yellow
        case "node.health": self = .dim
        case _ where type.hasPrefix("tool."): self = .green
        case _ where type.hasPrefix("node."): self = .yellow
        case _ where type.hasPrefix("user."): self = .magenta
        default: self = .plain
        }
    }
}
