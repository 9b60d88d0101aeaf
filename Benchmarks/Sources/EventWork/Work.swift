public import MeshEvents

/// The unit of work, the same everywhere: a node's health with five values, about 180 bytes on the wire.
public enum Work {
    /// Who emits.
    public static let node = "node-a"
    /// Where the events go.
    public static let subject = "events.node.health"
    /// As long as ``subject``, and nobody of ours listens.
    public static let rawSubject = "bench1.node.health"

    /// Fresh data as a literal, built in the code that asks for it, as a user's would be.
    @inlinable
    @inline(__always)
    public static func data(_ sequence: Int) -> EventData {
        [
            "resources": ["cpu": 0.42, "gpu": true, "mem_mb": 12345, "seq": JSONValue(sequence)],
            "status": "online",
        ]
    }

    /// A message as the mesh would carry it, built beforehand: the same bytes each time.
    public static func payload(sequence: Int = 123_456) throws(MeshEventsError) -> [UInt8] {
        let time = Timestamp(nanosecondsSinceEpoch: 1_764_104_268_123_456_789)
        return try EventEncoder().encode(Event(.nodeHealth, node: node, timestamp: time, data: data(sequence)))
    }

    /// Emits payloads as fast as the connection takes them, every one; waits when the buffer is full.
    @concurrent
    public static func emit(_ numbers: Range<Int>, on bus: EventBus) async throws(MeshEventsError) {
        for sequence in numbers {
            do throws(MeshEventsError) {
                try bus.emit(HealthReading(sequence))
            } catch {
                try await waitUntilWritable(bus, after: error)
                try bus.emit(HealthReading(sequence))
            }
        }
    }

    /// The same with literals.
    @concurrent
    public static func emitLiterals(_ numbers: Range<Int>, on bus: EventBus) async throws(MeshEventsError) {
        for sequence in numbers {
            do throws(MeshEventsError) {
                try bus.emit(.nodeHealth, data(sequence))
            } catch {
                try await waitUntilWritable(bus, after: error)
                try bus.emit(.nodeHealth, data(sequence))
            }
        }
    }

    /// There is one emitter, so there is room for one more event when this returns.
    private static func waitUntilWritable(_ bus: EventBus, after error: MeshEventsError) async throws(MeshEventsError) {
        guard error.code == .bufferFull else { throw error }
        try await bus.waitUntilWritable()
    }
}
