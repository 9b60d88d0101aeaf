public import MeshEvents

/// An event as CloudEvents 1.0 defines it, for systems that use that format.
///
/// In structured mode (``json()``, ``init(json:)-(String)``) `data` is the event's data. In binary mode
/// (``CloudEventAttributes``) the message's payload stays the event as the mesh reads it, so `data` is
/// the whole event. ``dataContentType`` says which of the two it is.
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

    /// The id, unique among the events of its ``source``; not empty.
    public var id: String
    /// Where it comes from, a URI reference; not empty.
    public var source: String
    /// What happened; not empty.
    public var type: String
    /// The subject that it is about; `nil` for none.
    public var subject: String?
    /// When it happened.
    public var time: Timestamp?
    /// The media type of the data; `nil` says `application/json`.
    public var dataContentType: String?
    /// The extension attributes: strings, booleans and integers.
    public var extensions: JSONObject
    /// The event's data: an object, or null.
    public var data: EventData

    /// Creates a CloudEvent.
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
    /// Creates a CloudEvent from an event. The id is the one that the emitter gave it
    /// (``CloudEventAttributes``), else a hash of the event. Every receiver computes the same hash; two
    /// events share it only when type, node, data and timestamp (to the nanosecond) are equal.
    ///
    /// - Throws: as ``/MeshEvents/Event/validate()``.
    public init(_ event: Event) throws(MeshEventsError) {
        let bytes = try EventEncoder().encode(event)
        var hash = StableHash()
        hash.add(bytes)
        self.init(event, id: Self.givenID(event) ?? hash.text)
    }

    /// Creates a CloudEvent from a stored event. The id is the one that the emitter gave it, else made of the sequence
    /// and the time of storing. No other event gets that id, even after the stream was deleted and created again.
    ///
    /// - Throws: as ``/MeshEvents/Event/validate()``.
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

    /// Creates a CloudEvent from a valid event, with this id.
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

    /// The `subject` attribute: the tool's name for events `tool.…`, else `nil`.
    private static func subject(of event: Event) -> String? {
        guard event.type.rawValue.utf8.starts(with: "tool.".utf8), let tool = event.data["tool"]?.string else {
            return nil
        }
        return isText(tool) ? tool : nil
    }

    /// The id in the header fields of a received event; `nil` when there is no usable one.
    private static func givenID(_ event: Event) -> String? { attribute("id", of: event) }

    /// The source in the header fields of a received event; `nil` when it names another node than the event, so that a
    /// sender cannot use the source of another node.
    private static func givenSource(_ event: Event) -> String? {
        guard let source = attribute("source", of: event), node(ofSource: source).utf8.elementsEqual(event.node.utf8)
        else {
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

    /// The node that a source names; a source without ``sourcePrefix`` is itself taken as the node's name.
    static func node(ofSource source: String) -> String {
        guard source.utf8.starts(with: sourcePrefix.utf8) else { return source }
        return PercentCoding.decoded(String(source.dropFirst(sourcePrefix.count))) ?? source
    }
}
