import EventWork
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import NIOPosix

/// Where the time of one event goes: processor time of each step, in nanoseconds.
struct Steps {
    let url: String
    let count: Int
    let repetitions: Int
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(url: String, count: Int, repetitions: Int) {
        self.url = url
        self.count = count
        self.repetitions = repetitions
    }

    func report() async throws {
        var values: [(name: String, samples: [Double])] = []
        for _ in 0...repetitions {
            for (index, step) in try await measure().enumerated() {
                // The first round warms up.
                if values.count <= index {
                    values.append((step.name, []))
                } else {
                    values[index].samples.append(step.nanoseconds)
                }
            }
        }
        print("One event, step by step (processor time, ns):")
        for value in values {
            let name = value.name + String(repeating: " ", count: max(0, 46 - value.name.count))
            let (low, high) = (value.samples.spread.lowerBound.text(0), value.samples.spread.upperBound.text(0))
            print("    \(name) \(value.samples.median.text(0)) (\(low) to \(high))")
        }
    }

    private func measure() async throws -> [(name: String, nanoseconds: Double)] {
        let building = build()
        let stamping = stamp()
        let emitting = try emitPayloadsNowhere()
        let (emitter, loop) = try await emitForReal()
        let decoding = try decode()
        let (receiving, iterating) = try await receiveAndIterate()
        return [
            ("build the data from a literal", building),
            ("encode it", try emitNowhere() - building - stamping),
            ("instead of both, a payload writes itself", emitting - stamping),
            ("take the time", stamping),
            ("append to the outbound buffer", emitter - emitting),
            ("flush (event loop, system calls included)", loop),
            ("read and parse (event loop, system calls incl.)", try await parse()),
            ("decode", decoding),
            ("hand over", receiving - decoding),
            ("iterate, and let go of the event", iterating),
            ("look up two fields", lookUp()),
        ]
    }

    private func perEvent(_ body: () throws -> Void) rethrows -> Double {
        let start = threadTime()
        try body()
        return (threadTime() - start) / Double(count)
    }

    private func build() -> Double {
        var bytes = 0
        let time = perEvent { for sequence in 0..<count { bytes += Work.data(sequence).json.utf8.count } }
        precondition(bytes > count)
        return time
    }

    private func stamp() -> Double {
        var last = Timestamp.epoch
        let time = perEvent { for _ in 0..<count { last = max(last, .now) } }
        precondition(last > .epoch)
        return time
    }

    /// Everything but the transport.
    private func emitNowhere() throws -> Double {
        let bus = EventBus(transport: NowhereTransport(), node: Work.node)
        return try perEvent { for sequence in 0..<count { try bus.emit(.nodeHealth, Work.data(sequence)) } }
    }

    private func emitPayloadsNowhere() throws -> Double {
        let bus = EventBus(transport: NowhereTransport(), node: Work.node)
        return try perEvent { for sequence in 0..<count { try bus.emit(HealthReading(sequence)) } }
    }

    /// What emitting and flushing cost while both go on at once: the emitter's thread, and the event loop's.
    private func emitForReal() async throws -> (emitter: Double, loop: Double) {
        try await withEventLoop { connection, loop in
            let bus = EventBus(transport: NATSTransport(connection), node: Work.node)
            let loopStart = try await loop.submit { threadTime() }.get()
            let start = processTime()
            try await Work.emit(0..<count, on: bus)
            try await bus.flush(timeout: .seconds(30))
            let loopTime = try await loop.submit { threadTime() }.get() - loopStart
            let total = processTime() - start
            return ((total - loopTime) / Double(count), loopTime / Double(count))
        }
    }

    private func parse() async throws -> Double {
        let payload = try Work.payload()
        let publisher = try RawConnection(url)
        return try await withEventLoop { connection, _ in
            let receiver = CountingReceiver(target: count)
            let subscription = try await connection.subscribe(to: Work.rawSubject, receiver: receiver)
            try await onThread { [count] in
                try publisher.publish(payload, count: count)
                try publisher.flush()
            }
            await receiver.done.wait()
            subscription.cancel()
            return receiver.processorTime / Double(count)
        }
    }

    private func decode() throws -> Double {
        let payload = try Work.payload()
        var decoder = EventDecoder()
        var isNull = false
        let time = try Array(Work.subject.utf8).withUnsafeBytes { subject in
            try payload.withUnsafeBytes { payload in
                try perEvent {
                    for _ in 0..<count {
                        let event = try decoder.decode(subject: subject.bytes, payload: payload.bytes, received: .now)
                        isNull = isNull || event.data.isNull
                    }
                }
            }
        }
        precondition(!isNull)
        return time
    }

    /// Decoding and handing over as the event loop does it, then reading what waits.
    private func receiveAndIterate() async throws -> (receiving: Double, iterating: Double) {
        let transport = NowhereTransport()
        let bus = EventBus(transport: transport, node: Work.node)
        let subscription = try await bus.subscribe(
            buffer: EventSubscription.Buffer(maximumEvents: .max, maximumBytes: .max)
        )
        let payload = try Work.payload()
        let receiving = try perEvent { try transport.deliver(payload, count: count, batch: 300) }
        let start = threadTime()
        var seen = 0
        for try await event in subscription {
            if event.data.isNull { break }
            seen += 1
            if seen == count { break }
        }
        return (receiving, (threadTime() - start) / Double(seen))
    }

    private func lookUp() -> Double {
        let event = Event(.nodeHealth, node: Work.node, data: Work.data(123_456))
        let tally = Tally()
        let time = perEvent { for _ in 0..<count { tally.add(event) } }
        precondition(tally.online == count)
        return time
    }

    /// A connection on an event loop of its own.
    private func withEventLoop<Value>(
        _ body: (NATSConnection, any EventLoop) async throws -> Value
    ) async throws -> Value {
        var configuration = NATSConnection.Configuration(servers: try ServerAddress.list(url))
        configuration.eventLoopGroup = group
        let connection = try await NATSConnection.connect(configuration)
        let value = try await body(connection, group.next())
        await connection.close()
        return value
    }
}
