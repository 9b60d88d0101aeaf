import MeshEvents

/// Finds the rules whose patterns match a type, in a time that does not grow with the rules that do not match.
struct PatternIndex: Sendable {
    private struct Node: Sendable {
        /// By token; `*` too.
        var children: [Substring: Int] = [:]
        /// The rules whose pattern ends here.
        var exact: [Int] = []
        /// The rules whose pattern goes on with `>`.
        var rest: [Int] = []
    }

    private var nodes = [Node()]
    /// The answers for the types that came lately: most streams have few types.
    private var known: [EventType: [Int]] = [:]
    private static let mostKnown = 1_024

    /// Adds a rule.
    mutating func insert(_ rule: Int, _ pattern: EventPattern) {
        var node = 0
        for token in pattern.subject.split(separator: ".", omittingEmptySubsequences: false) {
            if token == ">" {
                nodes[node].rest.append(rule)
                return
            }
            if let child = nodes[node].children[token] {
                node = child
            } else {
                nodes.append(Node())
                nodes[node].children[token] = nodes.count - 1
                node = nodes.count - 1
            }
        }
        nodes[node].exact.append(rule)
    }

    /// The rules that a type matches, each once, in their order.
    mutating func rules(for type: EventType) -> [Int] {
        if let rules = known[type] { return rules }
        let tokens = type.subject.split(separator: ".", omittingEmptySubsequences: false)
        var found = Set<Int>()
        collect(tokens[...], 0, &found)
        if known.count >= Self.mostKnown { known = [:] }
        let rules = found.sorted()
        known[type] = rules
        return rules
    }

    private func collect(_ tokens: ArraySlice<Substring>, _ node: Int, _ found: inout Set<Int>) {
        guard let token = tokens.first else {
            found.formUnion(nodes[node].exact)
            return
        }
        found.formUnion(nodes[node].rest)
        for key in [token, "*"] {
            if let child = nodes[node].children[key] { collect(tokens.dropFirst(), child, &found) }
        }
    }
}
