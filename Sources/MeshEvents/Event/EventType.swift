import MeshJSON

/// What kind of event this is, e.g. `tool.crashed` or `user.training.complete`; it is sent on subject `events.<type>`.
///
/// A type is made of non-empty tokens joined by dots, without white space, control characters, `*` or `>`, and has at
/// most 200 bytes of UTF-8. A literal that breaks these rules does not trap: it is kept as it is, and emitting it
/// throws.
public struct EventType: Sendable {
    /// The whole subject, so that emitting builds no string; `?` and the literal when that is invalid.
    private let storage: String

    /// A type that is known to be valid, as its whole subject.
    init(uncheckedSubject subject: String) { storage = subject }

    /// Creates a type.
    ///
    /// - Throws: `invalidEventType`; the message names the rule that is broken.
    public init(_ string: String) throws(MeshEventsError) {
        if let problem = string.withBytes({ SubjectRules.problem(ofType: $0) }) {
            throw Self.error(string, problem)
        }
        storage = SubjectRules.prefix + string
    }

    /// Creates a type from bytes that are valid UTF-8; `nil` when they break the rules.
    init?(bytes: UnsafeBufferPointer<UInt8>) {
        guard SubjectRules.problem(ofType: bytes) == nil else { return nil }
        storage = SubjectRules.prefix + String(decoding: bytes, as: UTF8.self)
    }

    /// A user event's type, `user.<topic>`.
    ///
    /// - Throws: `invalidEventType`.
    public static func user(_ topic: String) throws(MeshEventsError) -> EventType {
        try EventType("user." + topic)
    }

    /// The type alone, e.g. `tool.crashed`.
    public var rawValue: String {
        String(storage.utf8.dropFirst(isValid ? SubjectRules.prefix.utf8.count : 1)) ?? ""
    }

    /// The subject the event travels on, e.g. `events.tool.crashed`.
    public var subject: String { isValid ? storage : SubjectRules.prefix + rawValue }

    /// Checks the rules; costs nothing for a valid type.
    ///
    /// - Throws: `invalidEventType` for a literal that breaks them; the message names the rule.
    public func validate() throws(MeshEventsError) {
        guard !isValid else { return }
        let string = rawValue
        throw Self.error(string, string.withBytes { SubjectRules.problem(ofType: $0) } ?? "")
    }

    @inline(__always)
    var isValid: Bool { storage.withBytes { $0.first == UInt8(ascii: "e") } }

    /// The bytes of the type without `events.`; for a valid type only.
    @inline(__always)
    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        storage.withBytes { body(UnsafeBufferPointer(rebasing: $0.dropFirst(SubjectRules.prefix.utf8.count))) }
    }

    private static func error(_ string: String, _ problem: String) -> MeshEventsError {
        MeshEventsError(.invalidEventType, "\(SubjectRules.quoted(string)) is not an event type: \(problem)")
    }
}

extension EventType: ExpressibleByStringLiteral {
    /// Creates a type; an invalid literal is kept and reported by ``validate()`` and when it is emitted.
    public init(stringLiteral value: String) {
        let isValid = value.withBytes { SubjectRules.problem(ofType: $0) == nil }
        storage = (isValid ? SubjectRules.prefix : "?") + value
    }
}

extension EventType: Hashable, Comparable, CustomStringConvertible {
    /// Whether both have the same bytes.
    public static func == (left: EventType, right: EventType) -> Bool {
        left.storage.hasSameBytes(as: right.storage)
    }

    /// Byte order.
    public static func < (left: EventType, right: EventType) -> Bool {
        left.rawValue.precedesInByteOrder(right.rawValue)
    }

    /// Hashes the type.
    public func hash(into hasher: inout Hasher) { hasher.combine(storage) }

    /// The type alone, e.g. `tool.crashed`.
    public var description: String { rawValue }
}

extension EventType: Codable {
    /// Reads a type from a string.
    ///
    /// - Throws: `DecodingError` when it breaks the rules.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try EventType(container.decode(String.self))
        } catch let error as MeshEventsError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    /// Writes ``rawValue``.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

extension EventType {
    /// A tool was installed on a node.
    public static var toolInstalled: EventType { EventType(uncheckedSubject: "events.tool.installed") }
    /// A tool's configuration was changed.
    public static var toolConfigured: EventType { EventType(uncheckedSubject: "events.tool.configured") }
    /// A tool was started.
    public static var toolStarted: EventType { EventType(uncheckedSubject: "events.tool.started") }
    /// A tool was stopped on purpose.
    public static var toolStopped: EventType { EventType(uncheckedSubject: "events.tool.stopped") }
    /// A tool ended by itself.
    public static var toolCrashed: EventType { EventType(uncheckedSubject: "events.tool.crashed") }
    /// A tool that was started is ready.
    public static var toolReady: EventType { EventType(uncheckedSubject: "events.tool.ready") }
    /// A tool runs and does not work.
    public static var toolUnhealthy: EventType { EventType(uncheckedSubject: "events.tool.unhealthy") }
    /// A tool that was unhealthy works again.
    public static var toolHealthy: EventType { EventType(uncheckedSubject: "events.tool.healthy") }
    /// A tool was removed from a node.
    public static var toolRemoved: EventType { EventType(uncheckedSubject: "events.tool.removed") }
    /// A run of a tool with a schedule has ended by itself.
    public static var toolFinished: EventType { EventType(uncheckedSubject: "events.tool.finished") }
    /// A tool with a schedule was not started when it was due.
    public static var toolSkipped: EventType { EventType(uncheckedSubject: "events.tool.skipped") }
    /// A node was asked to do something with a tool.
    public static var toolControlled: EventType { EventType(uncheckedSubject: "events.tool.controlled") }
    /// A node joined the mesh, or came back.
    public static var nodeJoined: EventType { EventType(uncheckedSubject: "events.node.joined") }
    /// A node left the mesh.
    public static var nodeLeft: EventType { EventType(uncheckedSubject: "events.node.left") }
    /// A node reports its health.
    public static var nodeHealth: EventType { EventType(uncheckedSubject: "events.node.health") }
    /// No event has arrived from a node for several of its health intervals.
    public static var nodeUnreachable: EventType { EventType(uncheckedSubject: "events.node.unreachable") }
    /// Events arrive again from a node that was announced as unreachable.
    public static var nodeRecovered: EventType { EventType(uncheckedSubject: "events.node.recovered") }
    /// A node does not belong to the mesh any more.
    public static var nodeForgotten: EventType { EventType(uncheckedSubject: "events.node.forgotten") }
    /// A node is in maintenance for some time, or no longer.
    public static var nodeMaintenance: EventType { EventType(uncheckedSubject: "events.node.maintenance") }
    /// An alert fires, or still does.
    public static var alertFired: EventType { EventType(uncheckedSubject: "events.alert.fired") }
    /// An alert is over.
    public static var alertResolved: EventType { EventType(uncheckedSubject: "events.alert.resolved") }
    /// The targets of alerts are not told for some time, or again.
    public static var alertSilenced: EventType { EventType(uncheckedSubject: "events.alert.silenced") }
    /// A target of alerts does not take what it is sent.
    public static var alertUndelivered: EventType { EventType(uncheckedSubject: "events.alert.undelivered") }
}
