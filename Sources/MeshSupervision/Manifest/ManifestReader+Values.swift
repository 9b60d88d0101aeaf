import MeshEvents
package import Yams

extension ManifestReader {
    /// The members of an object. With `known`, members with other names are mistakes.
    package mutating func members(of node: Node, _ what: String, known: [String]?) -> [(String, Node)] {
        guard let mapping = node.mapping else {
            report("\(what) must be an object (key: value), not \(kind(of: node))", at: node)
            return []
        }
        var members: [(String, Node)] = []
        let own = Set(mapping.compactMap { $0.key.scalar?.string })
        for (keyNode, value) in mapping {
            guard let key = keyNode.scalar?.string else {
                report("a key of \(what) must be text, not \(kind(of: keyNode))", at: keyNode)
                continue
            }
            // The style is checked, not the tag: Yams changes the tags of keys when it compares them.
            if key == "<<", keyNode.scalar?.style == .plain {
                let merged = merge(value, what, known: known)
                // The object's own members win over merged ones, whatever their order.
                members += merged.filter { member in !own.contains(member.0) }
                continue
            }
            if let known, !known.contains(key) {
                report("unknown key '\(key)' in \(what)\(NearestName.hint(for: key, among: known))", at: keyNode)
                continue
            }
            members.append((key, value))
        }
        return members
    }

    private mutating func merge(_ node: Node, _ what: String, known: [String]?) -> [(String, Node)] {
        guard hasRoom(at: node) else { return [] }
        guard node.mapping?.contains(where: { $0.key.scalar?.string == "<<" }) != true else {
            report("an object that '<<' names must not have '<<' itself", at: node)
            return []
        }
        return members(of: node, what, known: known)
    }

    /// Text; numbers and booleans are taken as text with their spelling.
    package mutating func text(_ node: Node, _ what: String) -> String? {
        guard let scalar = node.scalar, !isNull(node) else {
            report("\(what) must be text, not \(kind(of: node))", at: node)
            return nil
        }
        return scalar.string
    }

    /// Text that is not empty.
    package mutating func nonEmpty(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        guard !text.isEmpty else {
            report("\(what) must not be empty", at: node)
            return nil
        }
        return text
    }

    /// Text with its variables replaced.
    package mutating func expanded(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        return expand(text, what, at: node)
    }

    private mutating func expand(_ text: String, _ what: String, at node: Node) -> String? {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        let expansion: VariableExpansion
        do {
            expansion = try VariableExpansion(text, variables: variables, limit: expansionLeft)
        } catch {
            report("\(what): \(error.message)", at: node)
            return nil
        }
        guard !expansion.values.isEmpty else { return expansion.text }
        expansionLeft -= expansion.text.utf8.count
        confidential.formUnion(expansion.values)
        confidential.insert(expansion.text)
        return expansion.text
    }

    /// A list of texts.
    package mutating func strings(_ node: Node, _ what: String) -> [String] {
        guard let nodes = node.sequence else {
            report("\(what) must be a list, such as [a, b], not \(kind(of: node))", at: node)
            return []
        }
        return nodes.compactMap { text($0, "each of \(what)") }
    }

    /// `true` or `false`.
    package mutating func boolean(_ node: Node, _ what: String) -> Bool? {
        if let scalar = node.scalar, !isQuoted(node), case .bool(let value) = ManifestScalar.value(plain: scalar.string)
        {
            return value
        }
        report("\(what) must be true or false, not \(kind(of: node))", at: node)
        return nil
    }

    /// A duration such as `10s`.
    package mutating func duration(_ node: Node, _ what: String, in range: ClosedRange<Duration>) -> Duration? {
        guard let text = text(node, what) else { return nil }
        guard let duration = ManifestDuration.parse(text) else {
            report("\(what) must be a duration such as 10s, 500ms or 1m30s, not '\(text)'", at: node)
            return nil
        }
        guard range.contains(duration) else {
            report("\(what) must be from \(range.lowerBound) to \(range.upperBound), not \(text)", at: node)
            return nil
        }
        return duration
    }

    /// Counts a value that aliases may repeat; reports once when there are too many.
    private mutating func hasRoom(at node: Node) -> Bool {
        nodesLeft -= 1
        if nodesLeft == 0 { report("the aliases expand to too many values; write the values out", at: node) }
        return nodesLeft > 0
    }

    /// Any value, for the configuration.
    mutating func value(_ node: Node, _ what: String, depth: Int) -> JSONValue {
        guard hasRoom(at: node) else { return .null }
        guard depth < 100 else {
            report("\(what) is nested deeper than 100 levels", at: node)
            return .null
        }
        if node.mapping != nil {
            var object: [(String, JSONValue)] = []
            for (key, child) in members(of: node, what, known: nil) {
                object.append((key, value(child, "\(what).\(key)", depth: depth + 1)))
            }
            return .object(JSONObject(object))
        }
        if let nodes = node.sequence { return .array(nodes.map { value($0, what, depth: depth + 1) }) }
        guard let scalar = node.scalar else { return .null }
        let scalarValue = isQuoted(node) ? .string(scalar.string) : ManifestScalar.value(plain: scalar.string)
        switch scalarValue {
        case .string(let text):
            return .string(expand(text, what, at: node) ?? "")
        case .number(let number) where !number.double.isFinite:
            report("\(what) is no number that JSON has; quote it to have it as text", at: node)
            return .null
        default:
            return scalarValue
        }
    }

    /// Whether a node is `null`, `~` or empty.
    package func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, !isQuoted(node) else { return false }
        return ManifestScalar.value(plain: scalar.string).isNull
    }

    /// Whether a scalar is always text: in quotes, in a block, or marked as `!!str`.
    package func isQuoted(_ node: Node) -> Bool {
        guard let scalar = node.scalar else { return false }
        return scalar.style != .plain && scalar.style != .any || scalar.tag.description.hasSuffix(":str")
    }

    /// The kind of a node, for messages.
    package func kind(of node: Node) -> String {
        if node.mapping != nil { return "an object" }
        if node.sequence != nil { return "a list" }
        if isNull(node) { return "nothing" }
        return "'\((node.scalar?.string ?? "").prefix(40))'"
    }
}

/// Parses durations in a manifest and on the command line: `90s`, `10m`, `1h30m`, `2d`, `1.5h`, `500ms`.
package enum ManifestDuration {
    private static let units: [String: Double] = ["ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
    /// The duration in the notation of a manifest: `1h30m`, `500ms`.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        var rest = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
        var text = ""
        for (unit, size) in [("d", 86_400_000 as Int64), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
        where rest >= size {
            text += "\(rest / size)\(unit)"
            rest %= size
        }
        return text.isEmpty ? "0s" : text
    }

    /// The longest duration in seconds, a hundred years: a longer one is a mistake.
    private static let maximum: Double = 86_400 * 36_525

    /// The duration; `nil` when the text is none, or the duration is too long.
    package static func parse(_ text: String) -> Duration? {
        var rest = text[...]
        var seconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard number.first?.isNumber == true, number.last?.isNumber == true, let value = Double(number),
                let factor = units[String(unit)]
            else { return nil }
            seconds += value * factor
        }
        guard seconds <= maximum else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }
}
