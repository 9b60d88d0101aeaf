import EventWork
import MeshEvents
import MeshEventsNATS
import NATSClient

/// The event bus, emitter and subscriber on connections of their own.
struct EventMeasures: Sendable {
    private let emitter: EventBus
    private let subscriber: EventBus
    private let buffer = EventSubscription.Buffer(maximumEvents: .max, maximumBytes: .max)

    init(
        url: String,
        tls: NATSConnection.TLSConfiguration? = nil,
        emitting: EventBus.Configuration = EventBus.Configuration(),
        receiving: EventBus.Configuration = EventBus.Configuration()
    ) async throws {
        let (out, back) = (
            try await NATSTransport.connect(to: url, tls: tls), try await NATSTransport.connect(to: url, tls: tls)
        )
        emitter = EventBus(transport: out, node: Work.node, configuration: emitting)
        subscriber = EventBus(transport: back, node: "node-b", configuration: receiving)
    }

    /// Emits, until the server has it all.
    func emit(_ count: Int) -> Measure {
        {
            let start = now()
            try await Work.emit(0..<count, on: emitter)
            try await emitter.flush(timeout: .seconds(30))
            return [rate(count, since: start)]
        }
    }

    /// The same with literals.
    func emitLiterals(_ count: Int) -> Measure {
        {
            let start = now()
            try await Work.emitLiterals(0..<count, on: emitter)
            try await emitter.flush(timeout: .seconds(30))
            return [rate(count, since: start)]
        }
    }

    /// Emits, until a handler has read two fields of every event.
    func handle(_ count: Int) -> Measure {
        {
            let tally = Tally()
            let done = Gate()
            let subscription = try await subscriber.subscribe(to: .nodeHealth, buffer: buffer) { event in
                if tally.add(event) == count { done.open() }
            }
            let start = now()
            try await Work.emit(0..<count, on: emitter)
            await done.wait()
            let result = rate(count, since: start)
            subscription.cancel()
            try tally.check(count, dropped: subscription.dropped)
            return [result]
        }
    }

    /// Emits, until a loop that belongs to no actor has read two fields of every event.
    func iterate(_ count: Int) -> Measure {
        {
            try await iterate(count) { subscription, tally in
                try await Task.detached {
                    for try await event in subscription where tally.add(event) == count { break }
                }.value
            }
        }
    }

    /// The same with the loop on the main actor.
    func iterateOnMainActor(_ count: Int) -> Measure {
        {
            try await iterate(count) { subscription, tally in
                try await Task { @MainActor in
                    for try await event in subscription where tally.add(event) == count { break }
                }.value
            }
        }
    }

    private func iterate(
        _ count: Int,
        _ consume: @Sendable (EventSubscription, Tally) async throws -> Void
    ) async throws -> [Double] {
        let tally = Tally()
        let subscription = try await subscriber.subscribe(to: .nodeHealth, buffer: buffer)
        let start = now()
        let emitting = Task.detached { [emitter] in try await Work.emit(0..<count, on: emitter) }
        try await consume(subscription, tally)
        let result = rate(count, since: start)
        try await emitting.value
        try tally.check(count, dropped: subscription.dropped)
        return [result]
    }

    /// One at a time: the time from building the event until the handler has read two fields of it; its median and
    /// 99th percentile, in microseconds.
    func oneAtATime(_ rounds: Int) -> Measure {
        {
            let tally = Tally()
            let turns = Turns<Double>()
            let subscription = try await subscriber.subscribe(to: .nodeHealth, buffer: buffer) { event in
                tally.add(event)
                turns.end(now())
            }
            let times = try await Task.detached { [emitter] in
                var times: [Double] = []
                times.reserveCapacity(rounds)
                for round in 0..<rounds {
                    var start = 0.0
                    let arrival = try await turns.next {
                        start = now()
                        try emitter.emit(HealthReading(round))
                    }
                    times.append((arrival - start) / 1000)
                }
                return times
            }.value
            subscription.cancel()
            try tally.check(rounds, dropped: subscription.dropped)
            return [times.percentile(0.5), times.percentile(0.99)]
        }
    }
}
