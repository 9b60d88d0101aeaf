import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// Delivery, cancellation, draining, closing and reconnecting, all at once and against a real server: for the
/// sanitizers, which watch (`make tsan`, `make asan`), and for everybody else.
@Suite("Races of subscriptions", .timeLimit(.minutes(5)))
struct SubscriptionRaceTests {
    @Test("subscriptions come and go while events arrive and the connection is cut: each ends, none is out of order")
    func comeAndGo() async throws {
        try await withServer { server in
            let proxy = try await TCPProxy.start(before: server.port)
            let emitter = EventBus(transport: NATSTransport(try await connect(server)), node: "emitter", logger: quiet)
            let transport = NATSTransport(try await connect(at: proxy.url))
            let receiver = EventBus(transport: transport, node: "receiver", logger: quiet)
            let received = Counter()
            let ended = Counter()
            let noise = Noise(emitter: emitter, proxy: proxy)
            let workers = (0..<6).map { worker in
                Task {
                    for round in 0..<40 {
                        let way = SubscriptionEnding.allCases[(worker + round) % SubscriptionEnding.allCases.count]
                        received.add(try await subscribe(receiver, ending: way))
                        ended.add()
                    }
                }
            }
            try await withDeadline(.seconds(240), "240 subscriptions to end") {
                for worker in workers { try await worker.value }
            }
            try await noise.stop()
            #expect(ended.count == 240)
            #expect(received.count > 240)
            #expect(proxy.cuts > 0)
            await receiver.close()
            await transport.close()
            await proxy.stop()
        }
    }

    @Test("a bus and its connection are closed while events arrive, are read and are emitted: all of it ends")
    func closing() async throws {
        try await withServer { server in
            for round in 0..<30 {
                let transport = NATSTransport(try await connect(server))
                let bus = EventBus(transport: transport, node: "n", logger: quiet)
                let calls = Counter()
                try await bus.subscribe { _ in calls.add() }
                let subscription = try await bus.subscribe()
                let tasks = (0..<4).map { number in
                    Task {
                        do throws(MeshEventsError) {
                            if number < 2 {
                                for try await _ in subscription {}
                            } else {
                                while true {
                                    try bus.emit("user.race")
                                    if number == 3 { try await bus.flush() }
                                    await Task.yield()
                                }
                            }
                        } catch {
                            #expect([.closed, .bufferFull].contains(error.code), "\(error)")
                        }
                    }
                }
                try await eventually("an event to be handled") { calls.count > 0 }
                // Either may be first.
                if round.isMultiple(of: 2) { await bus.close() }
                await transport.close()
                await bus.close()
                try await withDeadline(.seconds(20), "all of it to end") {
                    for task in tasks { await task.value }
                }
            }
        }
    }
}

/// How a subscription is ended while it is read.
private enum SubscriptionEnding: CaseIterable {
    case cancel, taskCancellation, release, drain, enough
}

/// Subscribes, reads, and ends in that way; how many events were read.
private func subscribe(_ bus: EventBus, ending way: SubscriptionEnding) async throws -> Int {
    let subscription: EventSubscription
    do throws(MeshEventsError) {
        subscription = try await bus.subscribe(to: "events.user.noise")
    } catch {
        // The connection was cut at that moment.
        guard error.isRetriable else { throw error }
        return 0
    }
    let seen = Counter()
    let reader = Task {
        var last = -1
        for try await event in subscription {
            let number = event.data["n"]?.int ?? -1
            #expect(number > last, "\(number) came after \(last)")
            last = number
            if seen.add() >= 50, way == .enough { break }
        }
    }
    try await eventually("the first events") { seen.count > 3 }
    switch way {
    case .cancel: subscription.cancel()
    case .taskCancellation: reader.cancel()
    case .release, .enough: break
    case .drain:
        do throws(MeshEventsError) {
            try await subscription.drain(timeout: .seconds(20))
        } catch {
            guard error.isRetriable || error.code == .timeout else { throw error }
            subscription.cancel()
        }
    }
    if way == .release { reader.cancel() }
    try await reader.value
    return seen.count
}

/// Emits numbered events, and cuts the proxy's connections now and then.
private final class Noise: Sendable {
    private let emitting: Task<Void, any Error>
    private let cutting: Task<Void, any Error>

    init(emitter: EventBus, proxy: TCPProxy) {
        emitting = Task {
            var number = 0
            while !Task.isCancelled {
                for _ in 0..<10 {
                    try emitter.emit("user.noise", ["n": .init(number)])
                    number += 1
                }
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        cutting = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(50))
                proxy.cut()
            }
        }
    }

    func stop() async throws {
        for task in [emitting, cutting] {
            task.cancel()
            do { try await task.value } catch is CancellationError {}
        }
    }
}
