import MeshEvents

/// The unit of work, the same everywhere: a node's health with five values, about 180 bytes on the wire.
enum Work {
    static let node = "node-a"
    static let subject = "events.node.health"
    /// As long as ``subject``, and nobody of ours listens.
    static let rawSubject = "bench1.node.health"

    /// Fresh data.
    @inline(__always)
    static func data(_ sequence: Int) -> EventData {
        [
            "resources": ["cpu": 0.42, "gpu": true, "mem_mb": 12345, "seq": JSONValue(sequence)],
            "status": "online",
        ]
    }

    /// A message as the mesh would carry it, built beforehand.
    static func payload(sequence: Int = 123_456) throws -> [UInt8] {
        try EventEncoder().encode(Event(.nodeHealth, node: node, timestamp: .now, data: data(sequence)))
    }

    /// The same as a payload of its type.
    @inline(__always)
    static func health(_ sequence: Int) -> NodeHealth {
        NodeHealth(
            status: "online",
            resources: ["cpu": 0.42, "gpu": true, "mem_mb": 12345, "seq": JSONValue(sequence)]
        )
    }

    /// Emits as fast as the connection takes it, every event; waits when the buffer is full.
    @concurrent
    static func emit(_ count: Int, on bus: EventBus) async throws {
        for sequence in 0..<count {
            do throws(MeshEventsError) {
                try bus.emit(.nodeHealth, data(sequence))
            } catch {
                try await waitUntilWritable(bus, after: error)
                try bus.emit(.nodeHealth, data(sequence))
            }
        }
    }

    /// The same with payloads.
    @concurrent
    static func emitPayloads(_ count: Int, on bus: EventBus) async throws {
        for sequence in 0..<count {
            do throws(MeshEventsError) {
                try bus.emit(health(sequence))
            } catch {
                try await waitUntilWritable(bus, after: error)
                try bus.emit(health(sequence))
            }
        }
    }

    /// There is one emitter, so there is room for one more event when this returns.
    private static func waitUntilWritable(_ bus: EventBus, after error: MeshEventsError) async throws {
        guard error.code == .bufferFull else { throw error }
        try await bus.waitUntilWritable()
    }
}

/// What a subscriber has seen; reads two fields of each event.
///
/// Unchecked because a subscription has one consumer, and whoever reads the result has waited for it.
final class Tally: @unchecked Sendable {
    private(set) var count = 0
    private(set) var sum = 0
    private(set) var online = 0

    /// Adds an event; returns how many there have been.
    @inline(__always)
    @discardableResult
    func add(_ event: Event) -> Int {
        count += 1
        sum &+= event.data["resources"]?["seq"]?.int ?? 0
        if event.data["status"]?.string == "online" { online += 1 }
        return count
    }
}
