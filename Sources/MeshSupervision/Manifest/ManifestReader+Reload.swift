import Yams

extension ManifestReader {
    /// Reads a signal's name; `nil` after a mistake.
    mutating func signal(_ node: Node, _ what: String) -> ToolSignal? {
        guard let text = text(node, what) else { return nil }
        if let signal = ToolSignal(text) { return signal }
        let hint = NearestName.hint(for: text.uppercased(), among: ToolSignal.names)
        report("\(what) must be the name of a signal, such as SIGHUP, not '\(text)'\(hint)", at: node)
        return nil
    }
}
