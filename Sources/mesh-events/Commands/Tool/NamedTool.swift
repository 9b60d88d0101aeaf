/// A tool that a command is about, as `whisper`, or with its node as `pi/whisper`.
struct NamedTool: Sendable, Equatable {
    /// The node; `nil` when none is given.
    let node: String?
    /// The tool's name.
    let tool: String

    /// Reads the argument. The last `/` divides it: names of nodes may have one, those of tools have none.
    ///
    /// - Parameters:
    ///   - text: the argument.
    ///   - node: the option `--node`.
    /// - Throws: `CommandFailure`, usage.
    init(_ text: String, node: String?) throws(CommandFailure) {
        guard let slash = text.lastIndex(of: "/") else {
            (self.node, tool) = (node, text)
            return
        }
        let place = (node: String(text[..<slash]), tool: String(text[text.index(after: slash)...]))
        guard !place.node.isEmpty, !place.tool.isEmpty else {
            let quoted = SafeText.escaped(text.debugDescription, columns: SafeText.longestName)
            throw CommandFailure(.usage, "\(quoted) names no tool; give NAME, or NODE/NAME")
        }
        guard node == nil || node == place.node else {
            throw CommandFailure(.usage, "give the node as NODE/NAME or with --node, not both")
        }
        (self.node, tool) = (place.node, place.tool)
    }
}
