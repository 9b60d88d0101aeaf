import EventWork
import MeshEvents
import MeshEventsNATS
import Synchronization

/// Emit to many handlers in one process: nanoseconds a delivery.
struct SubscriberMeasures: Sendable {
    private let emitter: EventBus
    private let subscriber: EventBus

    init(url: String) async throws {
        emitter = EventBus(transport: try await NATSTransport.connect(to: url), node: Work.node)
        subscriber = EventBus(transport: try await NATSTransport.connect(to: url), node: "node-b")
    }

    /// Every subscriber has a type of its own; each event goes to one of them, in turn.
    func patterns(_ count: Int, subscribers: Int) throws -> Measure {
        let types = try (0..<subscribers).map { try EventType("user.bench.\($0)") }
        return {
            try await deliver(to: types, each: count / subscribers) {
                try await emitter.emit(
                    contentsOf: (0..<count / subscribers * subscribers).lazy.map { number in
                        Event(types[number % subscribers], data: Work.data(number / subscribers))
                    }
                )
            }
        }
    }

    /// Every subscriber gets every event.
    func fanOut(_ count: Int, subscribers: Int) throws -> Measure {
        let types = [EventType](repeating: .nodeHealth, count: subscribers)
        return {
            let each = max(1, count / subscribers)
            return try await deliver(to: types, each: each) { try await Work.emit(0..<each, on: emitter) }
        }
    }

    private func deliver(
        to types: [EventType],
        each: Int,
        _ emit: @Sendable () async throws -> Void
    ) async throws -> [Double] {
        let done = Gate()
        let remaining = Remaining(types.count)
        let buffer = EventSubscription.Buffer(maximumEvents: .max, maximumBytes: .max)
        var subscriptions: [(Tally, HandlerSubscription)] = []
        for type in types {
            let tally = Tally()
            let subscription = try await subscriber.subscribe(to: .type(type), buffer: buffer) { event in
                if tally.add(event) == each, remaining.isLast() { done.open() }
            }
            subscriptions.append((tally, subscription))
        }
        let start = now()
        try await emit()
        await done.wait()
        let result = (now() - start) / Double(types.count * each)
        for (tally, subscription) in subscriptions {
            subscription.cancel()
            try tally.check(each, dropped: subscription.dropped)
        }
        // The server is to have forgotten them before the next run.
        try await subscriber.flush(timeout: .seconds(30))
        return [result]
    }
}

/// How many have not finished yet.
private final class Remaining: Sendable {
    private let count: Atomic<Int>

    init(_ count: Int) { self.count = Atomic(count) }

    func isLast() -> Bool { count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
