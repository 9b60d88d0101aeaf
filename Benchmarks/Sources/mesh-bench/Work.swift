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

    /// Emits as fast as the connection takes it, every event; waits when the buffer is full.
    @concurrent
    static func emit(_ count: Int, on bus: EventBus) async throws {
        for sequence in 0..<count {
            do throws(MeshEventsError) {
                try bus.emit(.nodeHealth, data(sequence))
            } catch {
                try await insist(sequence, on: bus, after: error)
            }
        }
    }

    private static func insist(_ sequence: Int, on bus: EventBus, after error: MeshEventsError) async throws {
        var error = error
        while true {
            guard error.code == .bufferFull else { throw error }
            try await bus.waitUntilWritable()
            do throws(MeshEventsError) {
                return try bus.emit(.nodeHealth, data(sequence))
            } catch let next {
                error = next
            }
        }
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
