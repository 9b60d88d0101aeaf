extension EventPattern {
    /// Whether every subject that `other` matches is matched by this pattern.
    package func covers(_ other: EventPattern) -> Bool {
        Self.covers(subject, other.subject)
    }

    /// Whether one subject pattern of NATS matches all that another one matches.
    package static func covers(_ pattern: String, _ other: String) -> Bool {
        let wide = pattern.split(separator: ".", omittingEmptySubsequences: false)
        let narrow = other.split(separator: ".", omittingEmptySubsequences: false)
        for (index, token) in wide.enumerated() {
            guard index < narrow.count else { return false }
            if token == ">" { return true }
            if narrow[index] == ">" { return false }
            if token != "*", token != narrow[index] { return false }
        }
        return wide.count == narrow.count
    }

    /// The patterns, each once, without those that another one covers.
    ///
    /// - Throws: `invalidPattern`; `invalidArgument` when there is none.
    static func distinct(_ patterns: [EventPattern]) throws(MeshEventsError) -> [EventPattern] {
        for pattern in patterns { try pattern.validate() }
        guard !patterns.isEmpty else {
            throw MeshEventsError(.invalidArgument, "give at least one pattern; events.> matches every event")
        }
        var distinct: [EventPattern] = []
        for pattern in patterns where !distinct.contains(where: { $0.covers(pattern) }) {
            distinct.removeAll { pattern.covers($0) }
            distinct.append(pattern)
        }
        return distinct
    }

    /// A pattern that covers all of these: their common first tokens, then `>`.
    static func covering(_ patterns: [EventPattern]) -> EventPattern {
        guard let first = patterns.first else { return .all }
        guard patterns.count > 1 else { return first }
        var common = first.subject.split(separator: ".")[...]
        for pattern in patterns.dropFirst() {
            let tokens = pattern.subject.split(separator: ".")
            let shared = zip(common, tokens).prefix { $0 == $1 && $0 != ">" }.count
            common = common.prefix(shared)
        }
        // `>` needs at least one token: the shortest pattern must be longer than the common part.
        let shortest = patterns.map { $0.subject.split(separator: ".").count }.min() ?? 1
        common = common.prefix(max(1, min(common.count, shortest - 1)))
        return (try? EventPattern((common + [">"]).joined(separator: "."))) ?? .all
    }
}
