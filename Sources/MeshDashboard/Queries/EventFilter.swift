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
    var text: String { didSet { needle = Array(text.lowercased().utf8) } }

    /// The text in lower case.
    private var needle: [UInt8] = []

    init(patterns: [EventPattern] = [], types: [EventType] = [], nodes: [String] = [], text: String = "") {
        self.patterns = patterns
        self.types = types
        self.nodes = nodes
        self.text = text
        needle = Array(text.lowercased().utf8)
    }

    /// Whether the event fits.
    func matches(_ event: Event) -> Bool {
        guard matches(type: event.type), matches(node: event.node) else { return false }
        return needle.isEmpty || contains(event.type.rawValue) || contains(event.node) || contains(event.data.json)
    }

    /// Whether events of this type can fit.
    func matches(type: EventType) -> Bool {
        (types.isEmpty || types.contains(type)) && (patterns.isEmpty || patterns.contains { $0.matches(type) })
    }

    /// Whether events of any type can fit.
    var takesEveryType: Bool { types.isEmpty && patterns.isEmpty }

    /// Whether events of this node can fit.
    func matches(node: String) -> Bool { nodes.isEmpty || nodes.contains(node) }

    /// What the store is asked for; `nil` when nothing can fit.
    var queryPatterns: [EventPattern]? {
        guard !types.isEmpty else { return patterns.isEmpty ? [.all] : patterns }
        let possible = types.filter { matches(type: $0) }
        return possible.isEmpty ? nil : possible.map { EventPattern(type: $0) }
    }

    /// Whether what the store answers has to be looked through here.
    var needsScan: Bool { !needle.isEmpty || nodes.count > 1 }

    private func contains(_ text: String) -> Bool {
        var lowered = text.lowercased()
        return lowered.withUTF8 { bytes in
            guard let first = needle.first, bytes.count >= needle.count else { return false }
            for start in 0...(bytes.count - needle.count) where bytes[start] == first {
                if (1..<needle.count).allSatisfy({ bytes[start + $0] == needle[$0] }) { return true }
            }
            return false
        }
    }
}
