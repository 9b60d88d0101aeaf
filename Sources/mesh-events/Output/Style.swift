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

    /// The colour of an event type: red for a crash, otherwise by family.
    init(ofType type: String) {
        switch type {
        case "tool.crashed": self = .red
        case "node.health": self = .dim
        case _ where type.hasPrefix("tool."): self = .green
        case _ where type.hasPrefix("node."): self = .yellow
        case _ where type.hasPrefix("user."): self = .magenta
        default: self = .plain
        }
    }
}
