import MeshJSON

/// Writes the members of an event's data, one after the other, straight into the message that is sent.
///
/// A payload gets one in `write(to:)` of ``EventPayload``. Members appear on the wire in the order in which they are
/// written; of members with the same name, receivers take the last. Emitting throws when a member cannot be expressed
/// in JSON (NaN, more than 127 levels).
///
/// ```swift
/// func write(to data: inout EventDataWriter) {
///     data.write("loss", loss)
///     data.object("batch") { batch in
///         batch.write("size", size)
///         batch.write("shuffled", true)
///     }
/// }
/// ```
public struct EventDataWriter: ~Copyable {
    private var json: JSONWriter
    private var isEmpty = true

    private init(_ json: JSONWriter) { self.json = json }

    /// Writes a payload as an object.
    static func write(_ payload: some EventPayload, to json: inout JSONWriter) throws(MeshEventsError) {
        json.open(UInt8(ascii: "{"))
        var writer = EventDataWriter(json)
        try payload.write(to: &writer)
        json = writer.json
        json.close(UInt8(ascii: "}"))
    }

    /// Writes a string.
    public mutating func write(_ name: StaticString, _ value: String) {
        write(name)
        json.string(value)
    }

    /// Writes a boolean.
    public mutating func write(_ name: StaticString, _ value: Bool) {
        write(name)
        json.write(value ? "true" : "false")
    }

    /// Writes an integer.
    public mutating func write(_ name: StaticString, _ value: Int) {
        write(name)
        json.integer(Int64(value))
    }

    /// Writes an integer.
    public mutating func write(_ name: StaticString, _ value: some BinaryInteger) {
        write(name, JSONValue(value))
    }

    /// Writes a number: the shortest digits that read back as the same value.
    public mutating func write(_ name: StaticString, _ value: Double) {
        write(name)
        json.double(value)
    }

    /// Writes a time as a string: RFC 3339, in UTC.
    public mutating func write(_ name: StaticString, _ value: Timestamp) {
        write(name)
        json.write(UInt8(ascii: "\""))
        json.timestamp(value)
        json.write(UInt8(ascii: "\""))
    }

    /// Writes any value, arrays included: `["a", "b"]`.
    public mutating func write(_ name: StaticString, _ value: JSONValue) {
        write(name)
        value.write(to: &json)
    }

    /// Writes an object, or `null`, as its text stands.
    public mutating func write(_ name: StaticString, _ value: EventData) {
        write(name)
        json.write(value)
    }

    /// Writes an object.
    public mutating func object<Failure: Error>(
        _ name: StaticString,
        _ body: (inout EventDataWriter) throws(Failure) -> Void
    ) throws(Failure) {
        write(name)
        json.open(UInt8(ascii: "{"))
        isEmpty = true
        try body(&self)
        isEmpty = false
        json.close(UInt8(ascii: "}"))
    }

    /// Writes the members of an object as their text stands; nothing for `null`.
    public mutating func write(membersOf data: EventData) {
        guard data.isValid else { return json.report(.invalidMember) }
        // The text is compact: an object without members has two bytes.
        guard data.json.utf8.count > 2, !data.isNull else { return }
        writeComma()
        json.write(membersOf: data)
    }

    @inline(__always)
    private mutating func write(_ name: StaticString) {
        writeComma()
        json.name(name)
    }

    @inline(__always)
    private mutating func writeComma() {
        if isEmpty { isEmpty = false } else { json.write(UInt8(ascii: ",")) }
    }
}
