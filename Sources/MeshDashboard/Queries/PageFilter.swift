import MeshEvents

/// Selects events: each part that is not empty has to match.
struct PageFilter: Sendable, Equatable {
    /// Patterns of which one has to match; empty for every event.
    var patterns: [EventPattern]
    /// The types to select; empty for all.
    var types: [EventType]
    /// The nodes that the selected events are about; empty for all.
    var nodes: [String]
    /// A text that the type, the node or the data contains, ignoring case; empty for any.
    var text: String { didSet { needle = TextNeedle(text) } }
    /// Conditions on the data.
    var conditions: EventFilter

    private var needle: TextNeedle
    /// The most patterns in a request to the store; for more, it is asked for all events.
    private static let maximumQueryPatterns = 8

    init(
        patterns: [EventPattern] = [],
        types: [EventType] = [],
        nodes: [String] = [],
        text: String = "",
        conditions: EventFilter = EventFilter()
    ) {
        self.patterns = patterns
        self.types = types
        self.nodes = nodes
        self.text = text
        self.conditions = conditions
        needle = TextNeedle(text)
    }

    /// Whether the event matches.
    func matches(_ event: Event) -> Bool {
        guard matches(type: event.type), matches(node: event.affectedNode), conditions.matches(event) else {
            return false
        }
        return needle.isEmpty || needle.isIn(event.type.rawValue) || needle.isIn(event.node)
            || needle.isIn(event.data.json)
    }

    /// Whether events of this type can match.
    func matches(type: EventType) -> Bool {
        (types.isEmpty || types.contains(type)) && (patterns.isEmpty || patterns.contains { $0.matches(type) })
    }

    /// Whether events of any type can match.
    var takesEveryType: Bool { types.isEmpty && patterns.isEmpty }

    /// Whether events about this node can match.
    func matches(node: String) -> Bool { nodes.isEmpty || nodes.contains(node) }

    /// The patterns for a request to the store. They select at least the matching events; `nil` when none can match.
    var queryPatterns: [EventPattern]? {
        let wanted: [EventPattern]
        if types.isEmpty {
            wanted = patterns.isEmpty ? [.all] : patterns
        } else {
            wanted = types.filter { matches(type: $0) }.map { EventPattern(type: $0) }
        }
        guard !wanted.isEmpty else { return nil }
        return wanted.count > Self.maximumQueryPatterns ? [.all] : wanted
    }

    /// Whether the store's answer may contain events that do not match, so that it has to be filtered.
    var needsScan: Bool {
        !needle.isEmpty || !nodes.isEmpty || !conditions.isEmpty
            || max(types.count, patterns.count) > Self.maximumQueryPatterns
    }
}

/// A text to search for in other texts, ignoring case. The cost grows with the searched text, not with this one (Knuth,
/// Morris and Pratt): both come from other clients, which could make a search slow otherwise.
struct TextNeedle: Sendable, Equatable {
    /// In lower case.
    private let bytes: [UInt8]
    /// For each byte, the length of the longest proper prefix that ends there too.
    private let borders: [Int]

    init(_ text: String) {
        bytes = Array(text.lowercased().utf8)
        var borders = Array(repeating: 0, count: bytes.count)
        var matched = 0
        for index in bytes.indices.dropFirst() {
            while matched > 0, bytes[index] != bytes[matched] { matched = borders[matched - 1] }
            if bytes[index] == bytes[matched] { matched += 1 }
            borders[index] = matched
        }
        self.borders = borders
    }

    /// Whether the text to search for is empty.
    var isEmpty: Bool { bytes.isEmpty }

    /// Whether a text contains it; `false` when it is empty.
    func isIn(_ text: String) -> Bool {
        guard !bytes.isEmpty, !text.isEmpty else { return false }
        var matched = 0
        for byte in text.lowercased().utf8 {
            while matched > 0, byte != bytes[matched] { matched = borders[matched - 1] }
            if byte == bytes[matched] { matched += 1 }
            if matched == bytes.count { return true }
        }
        return false
    }
}
