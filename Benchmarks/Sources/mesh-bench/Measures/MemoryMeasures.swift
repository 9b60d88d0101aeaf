import EventWork
import MeshEvents
import MeshEventsNATS
import NATSClient

/// P9: a subscriber that never reads, and an emitter as fast as it can be.
struct MemoryMeasures {
    private let emitter: EventBus
    private let subscriber: EventBus
    /// Counted in bytes only, as events arrive: what they take up in memory is to stay close to that.
    private let buffer = EventSubscription.Buffer(maximumEvents: .max, maximumBytes: 64 << 20)
    private let outboundBytes: Int

    init(url: String) async throws {
        let transport = try await NATSTransport.connect(to: url)
        outboundBytes = NATSConnection.Configuration(servers: try ServerAddress.list(url)).maximumPendingBytes
        emitter = EventBus(transport: transport, node: Work.node)
        subscriber = EventBus(transport: try await NATSTransport.connect(to: url), node: "node-b")
    }

    /// Emits for so long, then reads what is left: it has to be the newest events, and what was dropped all the others.
    ///
    /// - Returns: Whether the memory stayed within 2.5 times what may wait, in the subscription and to be sent (an event that
    ///   waits is more than its bytes on the wire), and grew by at most a fifth of that in the second half.
    func report(seconds: Int) async throws -> Bool {
        let subscription = try await subscriber.subscribe(to: .nodeHealth, buffer: buffer)
        let memory = ResidentMemory()
        defer { memory.stop() }
        let start = now()
        let early = try await emit(from: 0, until: start + Double(seconds) * 0.5e9)
        let growthHalfway = Double(memory.growth())
        let sent = try await emit(from: early, until: start + Double(seconds) * 1e9)
        try await emitter.flush(timeout: .seconds(60))
        // What the server still has for the subscriber.
        try await subscription.drain(timeout: .seconds(60))
        let growth = Double(memory.growth())
        let read = try await read(subscription, upTo: sent)
        let dropped = Int(subscription.dropped)
        guard read + dropped == sent, Int(subscription.received) == sent else {
            throw BenchmarkError(
                "\(sent) events were sent, but \(subscription.received) arrived, \(read) were read and \(dropped) dropped"
            )
        }
        guard dropped > 0, growth > 0 else {
            throw BenchmarkError("\(sent) events filled no buffer, or memory cannot be read here; emit for longer")
        }
        let allowed = Double(buffer.maximumBytes + outboundBytes)
        let later = growth - growthHalfway
        let holds = growth <= 2.5 * allowed && later <= 0.2 * allowed
        print(
            "P9 memory, never read for \(seconds) s: \((growth / allowed).text(2)) x the buffers' limits "
                + "(goal at most 2.50) \(holds ? "ok" : "MISSED"); grew by \(Unit.bytes.text(growth)), of that "
                + "\(Unit.bytes.text(later)) in the second half, limits \(Unit.bytes.text(allowed)); "
                + "\(sent) sent = \(read) read + \(dropped) dropped"
        )
        return holds
    }

    private func emit(from first: Int, until end: Double) async throws -> Int {
        var sent = first
        while now() < end {
            try await Work.emit(sent..<sent + 1_000, on: emitter)
            sent += 1_000
        }
        return sent
    }

    /// Reads to the end; the events must be the last ones, without a gap.
    private func read(_ subscription: EventSubscription, upTo sent: Int) async throws -> Int {
        var read = 0
        var expected: Int?
        for try await event in subscription {
            let number = event.data["resources"]?["seq"]?.int
            guard let number, expected == nil || number == expected else {
                throw BenchmarkError("read \(number ?? -1) instead of \(expected ?? -1)")
            }
            expected = number + 1
            read += 1
        }
        guard expected == sent else {
            throw BenchmarkError("the last event read was \((expected ?? 0) - 1) of \(sent)")
        }
        return read
    }
}
