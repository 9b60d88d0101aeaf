import EventWork
import MeshEvents

/// Does one thing so many times, for a tool that counts instructions and allocations.
///
/// Run with N and with 2 N, the difference is what N events cost: what happens once cancels out.
@main
struct EventCosts {
    private enum Case: String, CaseIterable {
        case buildAndEncode = "build-encode"
        case decode
        case emit
        case emitPayload = "emit-payload"
        case filter
        case handle
        case iterate
    }

    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 2, let name = arguments.first.flatMap(Case.init(rawValue:)),
            let count = arguments.last.flatMap({ Int($0) }), count > 0
        else {
            let cases = Case.allCases.map(\.rawValue).joined(separator: ", ")
            throw BenchmarkError("usage: event-costs CASE COUNT; cases: \(cases)")
        }
        switch name {
        case .buildAndEncode: try buildAndEncode(count)
        case .decode: try decodeAndRead(count)
        case .emit: try emit(count)
        case .emitPayload: try emitPayload(count)
        case .filter: try compare(count)
        case .handle: try OneThread.shared.run { try await handle(count) }
        case .iterate: try OneThread.shared.run { try await iterate(count) }
        }
    }

    /// How many events are delivered at once.
    private static let batch = 100

    /// Builds an event from a literal and encodes it.
    private static func buildAndEncode(_ count: Int) throws {
        let encoder = EventEncoder()
        var bytes = 0
        for sequence in 0..<count {
            let event = Event(.nodeHealth, node: Work.node, timestamp: .now, data: Work.data(sequence))
            bytes += try encoder.encode(event).count
        }
        guard bytes > 100 * count else { throw BenchmarkError("encoded \(bytes) bytes only") }
    }

    /// Decodes a message and reads two fields.
    private static func decodeAndRead(_ count: Int) throws {
        let payload = try Work.payload()
        let tally = Tally()
        var decoder = EventDecoder()
        try Array(Work.subject.utf8).withUnsafeBytes { subject in
            try payload.withUnsafeBytes { payload in
                for _ in 0..<count {
                    tally.add(try decoder.decode(subject: subject.bytes, payload: payload.bytes, received: .now))
                }
            }
        }
        try check(tally, count)
    }

    /// Emits on a bus whose transport goes nowhere.
    private static func emit(_ count: Int) throws {
        let bus = EventBus(transport: NowhereTransport(), node: Work.node)
        for sequence in 0..<count { try bus.emit(.nodeHealth, Work.data(sequence)) }
    }

    /// The same with a payload that writes itself.
    private static func emitPayload(_ count: Int) throws {
        let bus = EventBus(transport: NowhereTransport(), node: Work.node)
        for sequence in 0..<count { try bus.emit(HealthReading(sequence)) }
    }

    /// Compares an event with a filter of three conditions, of which two lead into an object.
    private static func compare(_ count: Int) throws {
        let event = Event(.nodeHealth, node: Work.node, timestamp: .now, data: Work.data(123_456))
        let filter = try EventFilter("resources.cpu > 0.4", "status in offline, on*", "resources.seq = 123456")
        var matching = 0
        for _ in 0..<count where filter.matches(event) { matching += 1 }
        guard matching == count else { throw BenchmarkError("\(matching) of \(count) events match") }
    }

    /// Delivers to a handler that reads two fields. It has caught up before the next batch comes, so that the batches,
    /// and with them the costs, do not depend on how threads are scheduled.
    private static func handle(_ count: Int) async throws {
        let (transport, bus, payload) = try nowhere()
        let tally = Tally()
        let batches = Turns<Void>()
        try await bus.subscribe(to: .nodeHealth) { event in
            if tally.add(event).isMultiple(of: batch) { batches.end(()) }
        }
        for _ in 0..<count / batch {
            try await batches.next { try transport.deliver(payload, count: batch, batch: batch) }
        }
        await bus.close()
        try check(tally, count / batch * batch)
    }

    /// The same to a loop.
    private static func iterate(_ count: Int) async throws {
        let (transport, bus, payload) = try nowhere()
        let tally = Tally()
        let batches = Turns<Void>()
        let subscription = try await bus.subscribe(to: .nodeHealth)
        let reading = Task.detached {
            for try await event in subscription where tally.add(event).isMultiple(of: batch) { batches.end(()) }
        }
        for _ in 0..<count / batch {
            try await batches.next { try transport.deliver(payload, count: batch, batch: batch) }
        }
        await bus.close()
        try await reading.value
        try check(tally, count / batch * batch)
    }

    private static func nowhere() throws -> (NowhereTransport, EventBus, [UInt8]) {
        let transport = NowhereTransport()
        return (transport, EventBus(transport: transport, node: Work.node), try Work.payload())
    }

    private static func check(_ tally: Tally, _ count: Int) throws {
        guard tally.count == count, tally.online == count, tally.sum == 123_456 * count else {
            throw BenchmarkError("\(tally.count) of \(count) events were seen, \(tally.online) of them as sent")
        }
    }
}
