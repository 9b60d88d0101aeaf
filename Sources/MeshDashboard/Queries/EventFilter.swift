import MeshEvents

/// Which events a request is about: each part that says something has to fit.
struct EventFilter: Sendable, Equatable {
    /// One of these has to match; empty for every event.
    var patterns: [EventPattern]
    /// One of these it has to be; empty for any.
    var types: [EventType]
    /// It has to be of one of these nodes; empty for any.
    var nodes: [String]
    /// Stands in its type, its node or its data, whatever the case; empty for any.
    var text: String { didSet { needle = TextNeedle(text) } }

    private var needle: TextNeedle
    /// The store is asked for so many patterns at most; beyond it, for every event.
    private static let maximumQueryPatterns = 8

    init(patterns: [EventPattern] = [], types: [EventType] = [], nodes: [String] = [], text: String = "") {
        self.patterns = patterns
        self.types = types
        self.nodes = nodes
        self.text = text
        needle = TextNeedle(text)
    }

    /// Whether the event fits.
    func matches(_ event: Event) -> Bool {
        guard matches(type: event.type), matches(node: event.node) else { return false }
        return needle.isEmpty || needle.isIn(event.type.rawValue) || needle.isIn(event.node)
            || needle.isIn(event.data.json)
    }

    /// Whether events of this type can fit.
    func matches(type: EventType) -> Bool {
        (types.isEmpty || types.contains(type)) && (patterns.isEmpty || patterns.contains { $0.matches(type) })
    }

    /// Whether events of any type can fit.
    var takesEveryType: Bool { types.isEmpty && patterns.isEmpty }

    /// Whether events of this node can fit.
    func matches(node: String) -> Bool { nodes.isEmpty || nodes.contains(node) }

    /// What the store is asked for: at least what fits; `nil` when nothing can.
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

    /// Whether what the store answers has to be looked through here.
    var needsScan: Bool {
        !needle.isEmpty || !nodes.isEmpty || max(types.count, patterns.count) > Self.maximumQueryPatterns
    }
}
