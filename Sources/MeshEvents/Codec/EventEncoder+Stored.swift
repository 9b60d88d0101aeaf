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
