import EventWork
import LocalNATSServer
import MeshEvents
import MeshEventsNATS

/// The event store on a server of its own, whose stream keeps whatever is stored.
final class StoreMeasures: Sendable {
    let server: LocalNATSServer
    private let transport: NATSTransport
    private let persistent: PersistentEventBus
    private let reading: NATSTransport
    private let reader: PersistentEventBus

    /// The server's own defaults: it writes every message at once and syncs now and then. With a sync for each message
    /// both sides would wait for the disk.
    init() async throws {
        server = try await LocalNATSServer.start(LocalNATSServer.Configuration(syncsEachWrite: false))
        let configuration = PersistentEventBus.Configuration(maximumMessages: nil)
        transport = try await NATSTransport.connect(to: server.url)
        persistent = try await PersistentEventBus.open(
            transport: transport,
            node: Work.node,
            configuration: configuration
        )
        reading = try await NATSTransport.connect(to: server.url)
        reader = try await PersistentEventBus.open(
            transport: reading,
            node: "node-b",
            configuration: configuration
        )
    }

    /// Stores events, each built fresh, until all are acknowledged; the stream is emptied before.
    func emit(_ count: Int) -> Measure {
        {
            try await self.empty()
            let start = now()
            let positions = try await self.persistent.emit(
                contentsOf: (0..<count).lazy.map { Event(.nodeHealth, data: Work.data($0)) }
            )
            let result = rate(count, since: start)
            try BenchmarkError.check(stored: positions.count, of: count)
            try await self.checkStored(count)
            return [result]
        }
    }

    /// The same without acknowledgements and ids, until all are stored.
    func emitUnacknowledged(_ count: Int) -> Measure {
        {
            try await self.empty()
            let start = now()
            // As many at a time as may wait for the stream: what is more, a server drops without a word.
            for start in stride(from: 0, to: count, by: 10_000) {
                let end = min(start + 10_000, count)
                try await Work.emitLiterals(start..<end, on: self.persistent.bus)
                try await self.persistent.bus.flush(timeout: .seconds(60))
                try await self.waitUntilStored(end)
            }
            return [rate(count, since: start)]
        }
    }

    /// The yardstick of ``emit(_:)``, on the same stream.
    func raw(_ count: Int) throws -> Measure {
        let raw = try RawStream(server.url)
        let payload = try Work.payload()
        return {
            try await self.empty()
            let result = try await onThread {
                let start = now()
                try raw.publish(payload, count: count)
                return rate(count, since: start)
            }
            try await self.checkStored(count)
            return [result]
        }
    }

    /// Fills the stream: one event in `interval` is a user's, the others are nodes' health.
    func fill(_ count: Int, userEventEvery interval: Int) async throws {
        try await empty()
        try await extend(0..<count, userEventEvery: interval)
    }

    /// Adds events with these numbers to a stream that has all before them.
    func extend(_ numbers: Range<Int>, userEventEvery interval: Int) async throws {
        // In parts, since the positions of all are returned.
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 1_000_000) {
            try await persistent.emit(
                contentsOf: (start..<min(start + 1_000_000, numbers.upperBound)).lazy.map { number in
                    number.isMultiple(of: interval)
                        ? Event("user.bench", data: Work.data(number)) : Event(.nodeHealth, data: Work.data(number))
                }
            )
        }
        try await checkStored(numbers.upperBound)
    }

    /// Reads the newest events that match, and two fields of each: milliseconds, the median of `repetitions`.
    func history(_ pattern: EventPattern, limit: Int, expecting count: Int, repetitions: Int = 1) -> Measure {
        {
            var times: [Double] = []
            for _ in 0..<repetitions {
                let tally = Tally()
                let start = now()
                for stored in try await self.reader.history(matching: pattern, limit: limit) { tally.add(stored.event) }
                times.append((now() - start) / 1e6)
                guard tally.count == count, tally.online == count else {
                    throw BenchmarkError("the history had \(tally.count) events instead of \(count)")
                }
            }
            return [times.median]
        }
    }

    /// The yardstick of reading everything: milliseconds.
    func pull(_ count: Int) throws -> Measure {
        let raw = try RawStream(server.url)
        return {
            try await onThread {
                let start = now()
                let bytes = try raw.pull(count)
                let time = (now() - start) / 1e6
                guard bytes > 100 * count else { throw BenchmarkError("libnats pulled \(bytes) bytes only") }
                return [time]
            }
        }
    }

    func close() async {
        await transport.close()
        await reading.close()
        await server.stop()
    }

    private func empty() async throws { _ = try await persistent.purge(matching: .all) }

    private func waitUntilStored(_ count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while Int(try await persistent.report().state.messages) < count, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(1))
        }
        try await checkStored(count)
    }

    private func checkStored(_ count: Int) async throws {
        try BenchmarkError.check(stored: Int(try await persistent.report().state.messages), of: count)
    }
}

extension BenchmarkError {
    fileprivate static func check(stored: Int, of count: Int) throws {
        guard stored == count else { throw BenchmarkError("\(stored) of \(count) events are stored") }
    }
}
