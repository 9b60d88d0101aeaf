import MeshJSON

/// Which events a subscription or a query gets: a pattern of event types, e.g. `tool.*` or `user.>`.
///
/// `*` stands for one token, `>` for one or more and only at the end (NATS's subject rules). The prefix `events.` is
/// optional: `tool.*` and `events.tool.*` are the same pattern. So types that begin with `events.` themselves need it
/// twice. A literal that breaks these rules does not trap: it is kept as it is, and subscribing to it throws.
///
/// ```swift
/// let patterns: [EventPattern] = [.all, .allTools, .toolCrashed, "user.job.>", .type(event.type)]
/// ```
public struct EventPattern: Sendable {
    /// The pattern with `events.` in front; `?` and the literal when that is invalid.
    private let storage: String

    /// Creates a pattern; `events.` in front is optional.
    ///
    /// - Throws: `invalidPattern`; the message names the rule that is broken.
    public init(_ pattern: String) throws(MeshEventsError) {
        let full = Self.full(pattern)
        if let problem = SubjectRules.problem(ofPattern: full) { throw Self.error(pattern, problem) }
        storage = full
    }

    /// The pattern that is this subject, `events.` included.
    ///
    /// - Throws: `invalidPattern`, also for a subject that does not begin with `events.`.
    package init(subject: String) throws(MeshEventsError) {
        if let problem = SubjectRules.problem(ofPattern: subject) { throw Self.error(subject, problem) }
        storage = subject
    }

    /// The pattern that matches this type only; invalid when the type is.
    public init(type: EventType) { storage = type.isValid ? type.subject : "?" + type.subject }

    private init(unchecked pattern: String) { storage = pattern }

    /// The pattern with `events.` in front.
    private static func full(_ pattern: String) -> String {
        pattern.utf8.starts(with: SubjectRules.prefix.utf8) || pattern == "events"
            ? pattern : SubjectRules.prefix + pattern
    }

    /// The pattern as a NATS subject, e.g. `events.tool.*`.
    public var subject: String { isValid ? storage : String(storage.dropFirst()) }

    /// Checks the rules; costs nothing for a valid pattern.
    ///
    /// - Throws: `invalidPattern` for a literal that breaks them; the message names the rule.
    public func validate() throws(MeshEventsError) {
        guard !isValid else { return }
        throw Self.error(subject, SubjectRules.problem(ofPattern: Self.full(subject)) ?? "")
    }

    private var isValid: Bool { storage.utf8.first == UInt8(ascii: "e") }

    private static func error(_ pattern: String, _ problem: String) -> MeshEventsError {
        MeshEventsError(
            .invalidPattern,
            "\(SubjectRules.quoted(pattern)) is not a pattern of events: \(problem); write it like 'tool.*'"
        )
    }
}

// MARK: - Patterns by name

extension EventPattern {
    /// Every event.
    public static var all: EventPattern { EventPattern(unchecked: "events.>") }
    /// Every event of tools: `tool.>`.
    public static var allTools: EventPattern { EventPattern(unchecked: "events.tool.>") }
    /// Every event of nodes: `node.>`.
    public static var allNodes: EventPattern { EventPattern(unchecked: "events.node.>") }
    /// Every event about alerts: `alert.>`.
    public static var allAlerts: EventPattern { EventPattern(unchecked: "events.alert.>") }
    /// Every event of users' own types: `user.>`.
    public static var allUser: EventPattern { EventPattern(unchecked: "events.user.>") }

    /// The events of one type, e.g. `subscribe(to: .type(event.type))`; invalid when the type is.
    public static func type(_ type: EventType) -> EventPattern { EventPattern(type: type) }

    /// A tool was installed on a node: `tool.installed`.
    public static var toolInstalled: EventPattern { EventPattern(unchecked: "events.tool.installed") }
    /// A tool's configuration was changed: `tool.configured`.
    public static var toolConfigured: EventPattern { EventPattern(unchecked: "events.tool.configured") }
    /// A tool was started: `tool.started`.
    public static var toolStarted: EventPattern { EventPattern(unchecked: "events.tool.started") }
    /// A tool was stopped on purpose: `tool.stopped`.
    public static var toolStopped: EventPattern { EventPattern(unchecked: "events.tool.stopped") }
    /// A tool ended by itself: `tool.crashed`.
    public static var toolCrashed: EventPattern { EventPattern(unchecked: "events.tool.crashed") }
    /// A tool was removed from a node: `tool.removed`.
    public static var toolRemoved: EventPattern { EventPattern(unchecked: "events.tool.removed") }
    /// A run of a tool with a schedule has ended by itself: `tool.finished`.
    public static var toolFinished: EventPattern { EventPattern(unchecked: "events.tool.finished") }
    /// A tool with a schedule was not started when it was due: `tool.skipped`.
    public static var toolSkipped: EventPattern { EventPattern(unchecked: "events.tool.skipped") }
    /// A node was asked to do something with a tool: `tool.controlled`.
    public static var toolControlled: EventPattern { EventPattern(unchecked: "events.tool.controlled") }
    /// A node joined the mesh, or came back: `node.joined`.
    public static var nodeJoined: EventPattern { EventPattern(unchecked: "events.node.joined") }
    /// A node left the mesh: `node.left`.
    public static var nodeLeft: EventPattern { EventPattern(unchecked: "events.node.left") }
    /// A node reports its health: `node.health`.
    public static var nodeHealth: EventPattern { EventPattern(unchecked: "events.node.health") }
    /// No event has arrived from a node for several of its health intervals: `node.unreachable`.
    public static var nodeUnreachable: EventPattern { EventPattern(unchecked: "events.node.unreachable") }
    /// Events arrive again from a node that was announced as unreachable: `node.recovered`.
    public static var nodeRecovered: EventPattern { EventPattern(unchecked: "events.node.recovered") }
    /// A node does not belong to the mesh any more: `node.forgotten`.
    public static var nodeForgotten: EventPattern { EventPattern(unchecked: "events.node.forgotten") }
    /// A node is in maintenance for some time, or no longer: `node.maintenance`.
    public static var nodeMaintenance: EventPattern { EventPattern(unchecked: "events.node.maintenance") }
    /// An alert fires, or still does.
    public static var alertFired: EventPattern { EventPattern(unchecked: "events.alert.fired") }
    /// An alert is over.
    public static var alertResolved: EventPattern { EventPattern(unchecked: "events.alert.resolved") }
    /// The targets of alerts are not told for some time, or again.
    public static var alertSilenced: EventPattern { EventPattern(unchecked: "events.alert.silenced") }
    /// A target of alerts does not take what it is sent.
    public static var alertUndelivered: EventPattern { EventPattern(unchecked: "events.alert.undelivered") }
}

extension EventPattern {
    /// Whether events of this type match.
    public func matches(_ type: EventType) -> Bool { matches(subject: type.subject) }

    /// Whether a message on this full subject matches.
    public func matches(subject: String) -> Bool {
        subject.withBytes { matches(subject: UnsafeRawBufferPointer($0)) }
    }

    /// Whether a message on this full subject matches. Subjects with empty tokens match nothing.
    package func matches(subject: UnsafeRawBufferPointer) -> Bool {
        guard isValid, !subject.isEmpty else { return false }
        return storage.withBytes { pattern in
            let dot = UInt8(ascii: ".")
            var at = 0
            var position = 0
            while true {
                // Both stand at the beginning of a token.
                guard at < pattern.count, position < subject.count, subject[position] != dot else { return false }
                if pattern[at] == UInt8(ascii: ">") { return Self.hasTokensOnly(subject, from: position) }
                if pattern[at] == UInt8(ascii: "*") {
                    at += 1
                    while position < subject.count, subject[position] != dot { position += 1 }
                } else {
                    while at < pattern.count, pattern[at] != dot {
                        guard position < subject.count, subject[position] == pattern[at] else { return false }
                        at += 1
                        position += 1
                    }
                }
                let patternEnds = at == pattern.count
                let subjectEnds = position == subject.count
                if patternEnds || subjectEnds { return patternEnds && subjectEnds }
                guard subject[position] == dot else { return false }
                at += 1
                position += 1
            }
        }
    }

    private static func hasTokensOnly(_ subject: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var previous = UInt8(ascii: ".")
        for byte in subject[start...] {
            if byte == UInt8(ascii: "."), previous == UInt8(ascii: ".") { return false }
            previous = byte
        }
        return previous != UInt8(ascii: ".")
    }
}

extension EventPattern: Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// Creates a pattern; `events.` in front is optional. An invalid literal is kept and reported by ``validate()`` and
    /// when it is used.
    public init(stringLiteral value: String) {
        let full = Self.full(value)
        storage = SubjectRules.problem(ofPattern: full) == nil ? full : "?" + value
    }

    /// Whether both have the same bytes.
    public static func == (left: EventPattern, right: EventPattern) -> Bool {
        left.storage.hasSameBytes(as: right.storage)
    }

    /// Hashes the pattern.
    public func hash(into hasher: inout Hasher) { hasher.combine(storage) }

    /// The pattern, e.g. `events.tool.*`.
    public var description: String { subject }
}

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
