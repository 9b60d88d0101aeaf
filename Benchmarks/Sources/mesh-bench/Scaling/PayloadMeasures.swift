import EventWork
import MeshEvents
import MeshEventsNATS

/// Emit to handler with payloads of any size: nanoseconds an event.
struct PayloadMeasures: Sendable {
    /// An event with the two fields that are read, and next to nothing else, in bytes.
    static let smallest = 150

    private let url: String
    private let emitter: EventBus
    private let subscriber: EventBus

    init(url: String) async throws {
        self.url = url
        emitter = EventBus(transport: try await NATSTransport.connect(to: url), node: Work.node)
        subscriber = EventBus(transport: try await NATSTransport.connect(to: url), node: "node-b")
    }

    /// Until a handler has read two fields of every event.
    func handle(_ count: Int, size: Int) throws -> Measure {
        let text = try Self.text(for: size)
        return {
            let tally = Tally()
            let done = Gate()
            let buffer = EventSubscription.Buffer(maximumEvents: .max, maximumBytes: .max)
            let subscription = try await subscriber.subscribe(to: .nodeHealth, buffer: buffer) { event in
                if tally.add(event) == count { done.open() }
            }
            let start = now()
            try await emitter.emit(
                contentsOf: (0..<count).lazy.map { Event(.nodeHealth, data: Self.data($0, text)) }
            )
            await done.wait()
            let result = (now() - start) / Double(count)
            subscription.cancel()
            try tally.check(count, dropped: subscription.dropped)
            return [result]
        }
    }

    /// The yardstick: one payload of that size, built beforehand.
    func raw(_ count: Int, size: Int) throws -> Measure {
        let payload = try Self.payload(Self.text(for: size))
        let receive = try RawMeasures(url: url, payload: payload).receive(count)
        return { try await receive().map { 1e9 / $0 } }
    }

    @inline(__always)
    private static func data(_ sequence: Int, _ text: String) -> EventData {
        ["resources": ["seq": JSONValue(sequence)], "status": "online", "text": JSONValue(text)]
    }

    private static func payload(_ text: String) throws -> [UInt8] {
        try EventEncoder().encode(Event(.nodeHealth, node: Work.node, timestamp: .now, data: data(123_456, text)))
    }

    /// What fills an event up to so many bytes on the wire; some bytes more or less, as its time and number need.
    private static func text(for size: Int) throws -> String {
        String(repeating: "x", count: max(0, size - (try payload("").count)))
    }
}
