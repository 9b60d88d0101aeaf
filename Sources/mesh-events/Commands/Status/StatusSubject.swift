import MeshMonitoring

/// A node, or a tool on a node, that `status` shows in detail.
struct StatusSubject: Sendable, Equatable {
    let node: MeshState.Node
    let tool: MeshState.Tool?
}

/// The argument that names one: `pi`, or `pi/whisper`.
struct StatusArgument: Sendable, Equatable {
    /// `pi`, or `pi/whisper`; with ``tool``, the whole name of the node.
    let text: String
    /// The whole name of the tool, when it is given apart.
    let tool: String?

    /// The node or the tool that is meant. Names may have a `/` themselves: a node of exactly this name comes first,
    /// then a tool at one of the places where the text can be divided.
    ///
    /// - Throws: `CommandFailure`: unavailable when nothing is known of it, with names that are like it; usage when
    ///   several tools can be meant.
    func subject(in mesh: MeshState) throws(CommandFailure) -> StatusSubject {
        if let tool {
            guard let node = mesh.node(text) else { throw .unknownNode(text, in: mesh) }
            guard let found = node.tool(tool) else { throw Self.unknownTool(tool, on: node) }
            return StatusSubject(node: node, tool: found)
        }
        if let node = mesh.node(text) { return StatusSubject(node: node, tool: nil) }
        let places = divisions.compactMap { place in mesh.node(place.node).map { (node: $0, tool: place.tool) } }
        let found = places.compactMap { place in
            place.node.tool(place.tool).map { StatusSubject(node: place.node, tool: $0) }
        }
        // Of a tool that was removed and one that is there, the latter is meant.
        let present = found.filter { $0.tool?.state != .removed }
        let candidates = present.isEmpty ? found : present
        guard candidates.count <= 1 else {
            let ways = candidates.map { Self.options($0) }.joined(separator: ", or ")
            throw CommandFailure(.usage, "\(Self.quoted(text)) can be several tools; give \(ways)")
        }
        if let subject = candidates.first { return subject }
        if let place = places.first { throw Self.unknownTool(place.tool, on: place.node) }
        throw Self.nodesWithTool(text, in: mesh) ?? .unknownNode(text, in: mesh)
    }

    /// The ways to divide the text into the names of a node and of a tool.
    private var divisions: [(node: String, tool: String)] {
        text.indices.filter { text[$0] == "/" }
            .map { (String(text[..<$0]), String(text[text.index(after: $0)...])) }
            .filter { !$0.0.isEmpty && !$0.1.isEmpty }
            .map { (node: $0.0, tool: $0.1) }
    }

    private static func options(_ subject: StatusSubject) -> String {
        "\(quoted(subject.node.name)) --tool \(quoted(subject.tool?.name ?? ""))"
    }

    private static func unknownTool(_ tool: String, on node: MeshState.Node) -> CommandFailure {
        let names = node.tools.map(\.name)
        let question = SimilarNames.question(tool, among: names)
        let all = "`mesh-events status` shows its tools"
        let failure = "node \(quoted(node.name)) has no tool \(quoted(tool)); \(question ?? all)"
        return CommandFailure(.unavailable, failure)
    }

    /// The failure for the name of a tool without that of its node; `nil` when no node has such a tool.
    private static func nodesWithTool(_ name: String, in mesh: MeshState) -> CommandFailure? {
        let nodes = mesh.nodes.filter { node in node.tool(name).map { $0.state != .removed } ?? false }.map(\.name)
        guard let question = SimilarNames.question(of: nodes.map { "\($0)/\(name)" }) else { return nil }
        return CommandFailure(.unavailable, "nothing is known of a node \(quoted(name)), but of a tool; \(question)")
    }

    private static func quoted(_ name: String) -> String {
        SafeText.escaped(name.debugDescription, columns: SafeText.longestName)
    }
}

extension CommandFailure {
    /// The failure when nothing is known of a node, with names that are like it.
    static func unknownNode(_ name: String, in mesh: MeshState) -> CommandFailure {
        let quoted = SafeText.escaped(name.debugDescription, columns: SafeText.longestName)
        let question = SimilarNames.question(name, among: mesh.nodeNames)
        let all = "`mesh-events node list` shows all nodes"
        return CommandFailure(.unavailable, "nothing is known of a node \(quoted); \(question ?? all)")
    }
}

/// Finds the names that a mistyped one may stand for.
enum SimilarNames {
    /// How many names are listed.
    private static let listed = 5
    /// How much of a name is compared, in characters.
    private static let compared = 64

    /// `did you mean pi or pi-2?`; `nil` when no name is like it.
    static func question(_ name: String, among names: [String]) -> String? {
        question(of: of(name, among: names))
    }

    /// The question with the first of these names; `nil` for none.
    static func question(of names: [String]) -> String? {
        let found = names.prefix(listed).map(SafeText.name)
        guard let last = found.last else { return nil }
        let others = found.dropLast()
        return "did you mean \(others.isEmpty ? last : others.joined(separator: ", ") + " or " + last)?"
    }

    /// The names that are like it, the nearest first: a few letters differ, or one is a part of the other.
    static func of(_ name: String, among names: [String]) -> [String] {
        let wanted = Array(name.lowercased().prefix(compared))
        let most = wanted.count < 2 ? 0 : max(1, wanted.count / 3)
        return names.compactMap { candidate -> (distance: Int, name: String)? in
            let other = Array(candidate.lowercased().prefix(compared))
            let distance = distance(wanted, other, atMost: most)
            if distance <= most { return (distance, candidate) }
            return isPart(wanted, other) || isPart(other, wanted) ? (most + 1, candidate) : nil
        }
        .sorted { $0 < $1 }
        .prefix(listed).map(\.name)
    }

    /// Whether a name is the beginning of another one, or a part of it: then of two letters or more, so that not every
    /// name is.
    private static func isPart(_ part: [Character], _ whole: [Character]) -> Bool {
        guard !part.isEmpty, part.count < whole.count else { return false }
        return whole.starts(with: part) || part.count >= 2 && String(whole).contains(String(part))
    }

    /// How many characters differ (Levenshtein); more than `limit` when that is exceeded.
    private static func distance(_ one: [Character], _ other: [Character], atMost limit: Int) -> Int {
        guard abs(one.count - other.count) <= limit else { return limit + 1 }
        var row = Array(0...other.count)
        for (index, character) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, candidate) in other.enumerated() {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (character == candidate ? 0 : 1))
                diagonal = above
            }
        }
        return row[other.count]
    }
}
