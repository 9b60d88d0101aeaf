import MeshJSON

/// Writes events in their wire form: one line of compact JSON with the members `type`, `node`, `timestamp`, `data`.
///
/// Strings are UTF-8 with only `"`, `\` and control characters escaped; the timestamp is RFC 3339 in UTC; data is
/// written as its text stands.
public struct EventEncoder: Sendable {
    /// Creates an encoder.
    public init() {}

    /// Encodes an event.
    ///
    /// - Throws: `invalidEventType`, `invalidData`: see ``Event/validate()``.
    public func encode(_ event: Event) throws(MeshEventsError) -> [UInt8] {
        try event.validate()
        var capacity = 1024
        while true {
            var needed = 0
            let bytes = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer -> [UInt8]? in
                needed = Self.write(event.type, event.node, event.timestamp, event.data, into: buffer)
                return needed <= buffer.count ? Array(UnsafeRawBufferPointer(rebasing: buffer[..<needed])) : nil
            }
            if let bytes { return bytes }
            capacity = needed
        }
    }

    /// Encodes an event into a buffer, without allocating.
    ///
    /// - Returns: the number of bytes written; `nil` when they do not fit.
    /// - Throws: `invalidEventType`, `invalidData`: see ``Event/validate()``.
    package func encode(
        _ event: Event,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(MeshEventsError) -> Int? {
        try encode(event.type, node: event.node, timestamp: event.timestamp, data: event.data, into: buffer)
    }

    /// Encodes an event, given in parts, into a buffer; see ``encode(_:into:)``.
    func encode(
        _ type: EventType,
        node: String,
        timestamp: Timestamp,
        data: EventData,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(MeshEventsError) -> Int? {
        try type.validate()
        try data.validate()
        let count = Self.write(type, node, timestamp, data, into: buffer)
        return count <= buffer.count ? count : nil
    }

    /// Encodes an event with a payload, which writes its own members into the buffer as `data`; see
    /// ``encode(_:into:)``.
    func encode(
        _ payload: some EventPayload,
        node: String,
        timestamp: Timestamp,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(MeshEventsError) -> Int? {
        let type = Swift.type(of: payload).eventType
        try type.validate()
        var writer = JSONWriter(buffer)
        Self.open(type, node, timestamp, in: &writer)
        try EventDataWriter.write(payload, to: &writer)
        writer.write(UInt8(ascii: "}"))
        if let problem = writer.problem { throw MeshEventsError(.invalidData, problem.message) }
        return writer.fits ? writer.count : nil
    }

    /// - Returns: how many bytes the event has, also when they do not fit.
    private static func write(
        _ type: EventType,
        _ node: String,
        _ timestamp: Timestamp,
        _ data: EventData,
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        var writer = JSONWriter(buffer)
        open(type, node, timestamp, in: &writer)
        data.withBytes { writer.write($0) }
        writer.write(UInt8(ascii: "}"))
        return writer.count
    }

    /// Writes everything before the data.
    @inline(__always)
    private static func open(
        _ type: EventType,
        _ node: String,
        _ timestamp: Timestamp,
        in writer: inout JSONWriter
    ) {
        writer.write("{\"type\":\"")
        type.withBytes { writer.contents($0) }
        writer.write("\",\"node\":\"")
        node.withBytes { writer.contents($0) }
        writer.write("\",\"timestamp\":\"")
        writer.timestamp(timestamp)
        writer.write("\",\"data\":")
    }
}

extension EventEncoder {
    /// The wire form with the members `sequence` (the place in the stream) and `stored` (when the stream took it, RFC 3339)
    /// behind the others.
    ///
    /// - Throws: as ``encode(_:)-(Event)``.
    package func encode(_ stored: StoredEvent) throws(MeshEventsError) -> [UInt8] {
        var bytes = try encode(stored.event)
        bytes.removeLast()
        bytes += #","sequence":\#(stored.sequence),"stored":"\#(stored.storedAt)"}"#.utf8
        return bytes
    }
}
