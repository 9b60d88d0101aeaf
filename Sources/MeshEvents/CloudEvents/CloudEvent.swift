/// An event in the words of CloudEvents 1.0, for systems that speak those.
///
/// In structured mode (``json()``, ``init(json:)-(String)``) `data` is the event's data. In binary mode
/// (``EventBus/Configuration/cloudEvents``) the message stays the one that the mesh expects, so that there `data` is the
/// whole message; ``dataContentType`` tells one from the other.
///
/// | attribute | what |
/// | --- | --- |
/// | `source` | `/mesh/nodes/` and the node's name, percent-encoded |
/// | `type` | the event's type, `tool.crashed` |
/// | `time` | the event's timestamp |
/// | `subject` | of events `tool.…`, the tool's name |
/// | `sequence` | in a stream, the place: 20 digits, so that it sorts as text does |
/// | `stored` | in a stream, when it was stored |
public struct CloudEvent: Sendable, Hashable {
    /// The version of the specification that is written and read.
    public static let specVersion = "1.0"
    /// ``dataContentType`` when `data` is the event's data.
    public static let plainContentType = "application/json"
    /// ``dataContentType`` when `data` is the whole event, as it travels.
    public static let wholeEventContentType = "application/json;profile=mesh-event"

    /// Tells it from all others of its ``source``; not empty.
    public var id: String
    /// Where it comes from, a URI reference; not empty.
    public var source: String
    /// What happened; not empty.
    public var type: String
    /// What it is about; `nil` for nothing in particular.
    public var subject: String?
    /// When it happened.
    public var time: Timestamp?
    /// The media type of the data; `nil` says `application/json`.
    public var dataContentType: String?
    /// The extension attributes: strings, booleans and integers.
    public var extensions: JSONObject
    /// What goes with it: an object, or null.
    public var data: EventData

    /// Creates one.
    public init(
        id: String,
        source: String,
        type: String,
        subject: String? = nil,
        time: Timestamp? = nil,
        dataContentType: String? = CloudEvent.plainContentType,
        extensions: JSONObject = [:],
        data: EventData = nil
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.time = time
        self.dataContentType = dataContentType
        self.extensions = extensions
        self.data = data
    }
}

// MARK: From the mesh

extension CloudEvent {
    /// An event as a CloudEvent. The id is the one that the emitter gave it (``EventBus/Configuration/cloudEvents``), else
    /// made of all that the event says: the same for everybody who receives it, and for two events only when they agree
    /// in type, node, data and, to the nanosecond, in time.
    ///
    /// - Throws: as ``Event/validate()``.
    public init(_ event: Event) throws(MeshEventsError) {
        let bytes = try EventEncoder().encode(event)
        var hash = StableHash()
        hash.add(bytes)
        self.init(event, id: Self.givenID(event) ?? hash.text)
    }

    /// An event of a stream as a CloudEvent. The id is the one that the emitter gave it, else made of the sequence and of
    /// the time of storing: no other event has it, even in a stream of that name that was created anew.
    ///
    /// - Throws: as ``Event/validate()``.
    public init(_ stored: StoredEvent) throws(MeshEventsError) {
        try stored.event.validate()
        let time = String(stored.storedAt.nanosecondsSinceEpoch, radix: 36)
        self.init(stored.event, id: Self.givenID(stored.event) ?? "\(stored.sequence)-\(time)")
        let digits = String(stored.sequence)
        extensions = [
            "sequence": .string(String(repeating: "0", count: 20 - digits.utf8.count) + digits),
            "stored": .string(stored.storedAt.description),
        ]
    }

    /// A valid event with an id.
    init(_ event: Event, id: String) {
        self.init(
            id: id,
            source: Self.givenSource(event) ?? Self.source(ofNode: event.node),
            type: event.type.rawValue,
            subject: Self.subject(of: event),
            time: event.timestamp,
            data: event.data
        )
    }

    /// What an event is about: of those of tools, the tool.
    private static func subject(of event: Event) -> String? {
        guard event.type.rawValue.utf8.starts(with: "tool.".utf8), let tool = event.data["tool"]?.string else {
            return nil
        }
        return isText(tool) ? tool : nil
    }

    /// The id that came beside an event; `nil` when there is none that could be one.
    private static func givenID(_ event: Event) -> String? { attribute("id", of: event) }

    /// The source that came beside an event, when it names the event's node: nobody speaks for another node so.
    private static func givenSource(_ event: Event) -> String? {
        guard let source = attribute("source", of: event), node(ofSource: source).hasSameBytes(as: event.node) else {
            return nil
        }
        return source
    }

    private static func attribute(_ name: String, of event: Event) -> String? {
        guard let fields = event.origin?.headers.fields else { return nil }
        let wanted = "ce-" + name
        guard let field = fields.first(where: { $0.name.lowercased() == wanted }) else { return nil }
        guard field.value.utf8.count <= 1_024, let value = PercentCoding.decoded(field.value) else { return nil }
        return isText(value) ? value : nil
    }

    /// Whether an attribute may have this value: not empty, no control characters.
    static func isText(_ value: String) -> Bool {
        !value.isEmpty
            && value.unicodeScalars.allSatisfy { scalar in
                scalar.properties.generalCategory != .control && !scalar.properties.isNoncharacterCodePoint
            }
    }
}

// MARK: Sources

extension CloudEvent {
    /// What the sources of the mesh's nodes begin with.
    static let sourcePrefix = "/mesh/nodes/"

    /// The source of a node's events.
    static func source(ofNode node: String) -> String { sourcePrefix + PercentCoding.pathSegment(node) }

    /// The node that a source names; a source that is none of the mesh's is a node's name as it is.
    static func node(ofSource source: String) -> String {
        guard source.utf8.starts(with: sourcePrefix.utf8) else { return source }
        return PercentCoding.decoded(String(source.dropFirst(sourcePrefix.count))) ?? source
    }
}
