import MeshEvents

/// An acknowledgement wait long enough for a busy machine, and short enough for a test.
private let shortWait: Duration = .seconds(2)

extension StoreConformance {
    /// Durable subscriptions as sequences.
    static let durables: [Check] = [
        Check("a durable begins with the oldest event, in order, and goes on where it was", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 20)
            let first = try await bus.subscribe(durable: "orders", to: "events.user.>")
            try requireEqual(try await first.acknowledge(10, "the first ten").numbers, Array(0..<10), "the first ten")
            try await first.drain()
            let again = try await fixture.openOther().subscribe(durable: "orders", to: "events.user.>")
            let rest = try await again.acknowledge(10, "the other ten")
            try requireEqual(rest.numbers, Array(10..<20), "the other ten")
            try await bus.emit("user.common", ["seq": 20])
            let delivery = try await again.first("what is stored while it waits")
            try requireEqual([delivery].numbers, [20], "what is stored while it waits")
            try requireEqual(delivery.sequence, 21, "its sequence")
            try requireEqual(delivery.deliveries, 1, "its deliveries")
            try await delivery.ack()
            try await again.drain()
            try requireEqual(again.acknowledged, 11, "acknowledged")
        },
        Check("a report says how many messages a durable has left", needs: [.durables, .administration]) { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 30)
            let rare = try await bus.subscribe(durable: "rare", to: "events.user.rare")
            _ = try await rare.acknowledge(1, "the first rare one")
            try await rare.drain()
            let consumer = try await bus.report().consumers.first { $0.name == "rare" }
            try requireEqual(consumer?.isDurable, true, "it is durable")
            try requireEqual(consumer?.filters, ["events.user.rare"], "its filter")
            let left = consumer.map { Int($0.pending) + $0.unacknowledged }
            try requireEqual(left, 2, "what is not given yet, and given but not acknowledged")
        },
        Check("a durable delivers its pattern only, and begins at the start asked for", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 30)
            let rare = try await bus.subscribe(durable: "rare", to: "events.user.rare")
            try requireEqual(try await rare.acknowledge(3, "the rare ones").numbers, [0, 10, 20], "the rare ones")
            let late = try await bus.subscribe(durable: "late", configuration: .init(start: .sequence(25)))
            try requireEqual(try await late.acknowledge(6, "from 25 on").numbers, Array(24..<30), "from 25 on")
            let time = try await bus.history(limit: 5)[0].storedAt
            let timed = try await bus.subscribe(durable: "timed", configuration: .init(start: .time(time)))
            try requireEqual(try await timed.acknowledge(5, "since then").numbers, Array(25..<30), "since then")
            let new = try await bus.subscribe(durable: "new", configuration: .init(start: .new))
            try await bus.emit("user.common", ["seq": 30])
            try requireEqual(try await new.acknowledge(1, "what is new").numbers, [30], "what is new")
        },
        Check("an event without an answer comes again after the acknowledgement wait", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.a", ["seq": 1])
            let subscription = try await bus.subscribe(
                durable: "again",
                configuration: .init(acknowledgementWait: .seconds(1))
            )
            let start = ContinuousClock.now
            try requireEqual(try await subscription.first("the event").deliveries, 1, "deliveries")
            let second = try await subscription.first("the event once more")
            try requireEqual(second.deliveries, 2, "deliveries the second time")
            try requireEqual(second.sequence, 1, "the sequence")
            try require(
                .now - start > .milliseconds(800),
                "not before the wait was over: \(ContinuousClock.now - start)"
            )
            try await second.ack()
            try await subscription.drain()
        },
        Check("nack: the event comes again after the delay, not before, with a higher count", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.a", ["seq": 1])
            let subscription = try await bus.subscribe(durable: "nacks")
            let first = try await subscription.first("the event")
            let start = ContinuousClock.now
            try await first.nack(delay: .milliseconds(700))
            let second = try await subscription.first("the event once more")
            try require(.now - start > .milliseconds(500), "after the delay: \(ContinuousClock.now - start)")
            try requireEqual(second.deliveries, 2, "deliveries")
            try await second.nack(delay: .zero)
            let third = try await subscription.first("the event at once")
            try requireEqual(third.deliveries, 3, "deliveries")
            try await third.ack()
            try await requireCode(.closed, "a second answer") { try await third.ack() }
            try await subscription.drain()
        },
        Check("in progress: the acknowledgement wait begins anew", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.a", ["seq": 1])
            let configuration = DurableSubscription.Configuration(acknowledgementWait: shortWait)
            let busy = try await bus.subscribe(durable: "busy", configuration: configuration)
            let idle = try await fixture.openOther().subscribe(durable: "busy", configuration: configuration)
            let delivery = try await busy.first("the event")
            let recorder = Recorder()
            let watching = Task { for try await again in idle { recorder.add("delivery \(again.deliveries)") } }
            for _ in 0..<8 {
                try await Task.sleep(for: shortWait / 4)
                try await delivery.inProgress()
            }
            try requireEqual(recorder.texts, [], "deliveries to another after twice the wait")
            try await delivery.ack()
            idle.cancel()
            _ = await watching.result
        },
        Check(
            "after the maximum of deliveries an event is a dead letter, with its original content",
            needs: [.durables]
        ) { fixture in
            let bus = try await fixture.open()
            try await bus.emit(Event("user.bad", node: "origin", data: ["seq": 7, "big": 9_007_199_254_740_993]))
            let subscription = try await bus.subscribe(
                durable: "strict",
                configuration: .init(redelivery: .constant(.zero), maximumDeliveries: 3)
            )
            for number in 1...3 {
                let delivery = try await subscription.first("delivery \(number)")
                try requireEqual(delivery.deliveries, number, "deliveries")
                try await delivery.nack(reason: "no good")
            }
            let letter = try await bus.deadLetters("strict")[0].event
            try requireEqual(letter.node, "node-a", "who gave it up")
            try requireEqual(letter.data["type"]?.string, "user.bad", "the type")
            try requireEqual(letter.data["sequence"]?.int, 1, "the sequence")
            try requireEqual(letter.data["node"]?.string, "origin", "the node")
            try requireEqual(letter.data["deliveries"]?.int, 3, "the deliveries")
            try requireEqual(
                letter.data["data"]?.data,
                ["seq": 7, "big": 9_007_199_254_740_993],
                "the original data"
            )
            try require(letter.data["reason"]?.string?.contains("no good") == true, "the reason: \(letter.data)")
            // Neither the event nor its dead letter comes again.
            try await bus.emit("user.good", ["seq": 8])
            let next = try await subscription.first("the next event")
            try requireEqual(next.event.type, "user.good", "the next event")
            try await next.ack()
            try await subscription.drain()
            try requireEqual(subscription.deadLettered, 1, "deadLettered")
        },
        Check(
            "an event that is given up twice is one dead letter, unless another message has its id",
            needs: [.durables]
        ) { fixture in
            let bus = try await fixture.open()
            for number in 0..<3 { try await bus.emit("user.bad", ["seq": .init(number)]) }
            let events = try await bus.history()
            func id(_ event: StoredEvent) -> String {
                "dead-letter.twice.\(event.sequence).\(event.storedAt.nanosecondsSinceEpoch)"
            }
            // As a subscriber stores it that crashes afterwards: for the same event, with another reason.
            let time = events[0].event.timestamp
            let before =
                #"{"data":{"seq":0},"deliveries":1,"node":"node-a","reason":"crashed","#
                + #""sequence":1,"timestamp":"\#(time)","type":"user.bad"}"#
            for (event, data) in [(events[0], before), (events[1], #"{"sequence":2,"type":"user.bad"}"#)] {
                _ = try await fixture.other.append(
                    subject: "events.user.dead_letter.twice",
                    payload: Array(#"{"node":"node-b","data":\#(data)}"#.utf8),
                    messageID: id(event),
                    deadline: .seconds(10)
                )
            }
            let subscription = try await bus.subscribe(durable: "twice", to: "events.user.bad")
            for _ in 0..<3 { try await subscription.first("an event").terminate(reason: "no good") }
            let letters = try await bus.deadLetters("twice").map(\.event)
            try requireEqual(letters.map { $0.data["sequence"]?.int }, [1, 2, 2, 3], "the dead letters")
            try requireEqual(letters.map(\.node), ["node-b", "node-b", "node-a", "node-a"], "who stored them")
            try await subscription.drain()
        },
        Check("terminate: a dead letter at once; a message that is no event becomes one too", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.bad", ["seq": 1])
            try await fixture.appendRaw("no JSON", subject: "events.user.broken")
            try await bus.emit("user.good", ["seq": 3])
            let subscription = try await bus.subscribe(durable: "picky")
            try await subscription.first("the first event").terminate(reason: "not for us")
            let good = try await subscription.first("the event after what is none")
            try requireEqual(good.event.type, "user.good", "the type")
            try await good.ack()
            // That of the message that is no event is stored beside what readers get.
            try await until("both dead letters are stored") { subscription.deadLettered == 2 }
            let letters = try await bus.deadLetters("picky").map(\.event.data)
            try requireEqual(letters.count, 2, "dead letters")
            let terminated = letters.first { $0["sequence"]?.int == 1 }
            try requireEqual(terminated?["reason"]?.string, "not for us", "the reason")
            let broken = letters.first { $0["sequence"]?.int == 2 }
            try requireEqual(broken?["payload"]?.string, "no JSON", "the payload")
            try requireEqual(broken?["type"]?.string, "user.broken", "its type, from the subject")
            try requireEqual(subscription.malformed, 1, "malformed")
            try await subscription.drain()
        },
        Check("subscribers of one durable share the events: each goes to one of them", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            let other = try await fixture.openOther()
            let counts = Recorder()
            let configuration = DurableSubscription.Configuration(maximumOutstanding: 4)
            let subscriptions = [
                try await bus.subscribe(durable: "shared", to: "events.user.>", configuration: configuration),
                try await other.subscribe(durable: "shared", to: "events.user.>", configuration: configuration),
            ]
            let hasEach: @Sendable ([String]) -> Bool = { texts in
                (0..<2).allSatisfy { index in texts.contains { $0.hasPrefix("\(index) ") } }
            }
            let readers = subscriptions.enumerated().map { index, subscription in
                Task {
                    for try await delivery in subscription {
                        counts.add("\(index) \(delivery.event.data["seq"]?.int ?? -1)")
                        // The first one is held until the other has one, however late that is woken.
                        try await until("each subscriber got some") { hasEach(counts.texts) }
                        try await delivery.ack()
                    }
                }
            }
            try await fixture.fill(bus, 100)
            try await until("100 events arrived") { counts.texts.count >= 100 }
            for subscription in subscriptions { try await subscription.drain() }
            for reader in readers { try await reader.value }
            let numbers = counts.texts.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
            try requireEqual(numbers.sorted(), Array(0..<100), "each event once")
            try require(hasEach(counts.texts), "each subscriber got some")
        },
        Check("cancelling hands back unanswered events: another subscriber gets them at once", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 5)
            let first = try await bus.subscribe(durable: "handing")
            for number in 0..<3 {
                let delivery = try await first.first("event \(number)")
                if number < 2 { try await delivery.ack() }
            }
            let second = try await fixture.openOther().subscribe(durable: "handing")
            first.cancel()
            try requireEqual(
                try await second.acknowledge(3, "what was left", within: .seconds(10)).numbers.sorted(),
                [2, 3, 4],
                "what was left, without waiting 30 s"
            )
            try await second.drain()
        },
        Check("a durable that exists with other settings is refused, unless it is to be updated", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            let first = try await bus.subscribe(durable: "fixed", to: "events.user.>")
            _ = try await first.acknowledge(1, "one event")
            try await first.drain()
            let other = DurableSubscription.Configuration(acknowledgementWait: .seconds(7), maximumDeliveries: 9)
            do {
                _ = try await bus.subscribe(durable: "fixed", to: "events.user.*", configuration: other)
                throw ConformanceFailure("expected durableMismatch, nothing was thrown")
            } catch let error as MeshEventsError {
                try requireEqual(error.code, .durableMismatch, "the code of \(error)")
                for word in ["pattern", "acknowledgement wait", "maximum deliveries", "events.user.*", "9"] {
                    try require(error.message.contains(word), "the message names \(word): \(error.message)")
                }
            }
            var updating = other
            updating.reconcile = .update
            let updated = try await bus.subscribe(durable: "fixed", to: "events.user.*", configuration: updating)
            try requireEqual(try await updated.acknowledge(2, "the rest").numbers, [1, 2], "that it goes on")
            try await updated.drain()
            try await bus.subscribe(durable: "fixed", to: "events.user.*", configuration: other).drain()
        },
        Check("a deleted durable ends its subscriptions with durableNotFound", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            let subscription = try await bus.subscribe(durable: "gone")
            let reading = Task { try await subscription.first("an event", within: .seconds(30)) }
            try await Task.sleep(for: .milliseconds(200))
            try await bus.deleteDurable("gone")
            do {
                _ = try await reading.value
                throw ConformanceFailure("expected durableNotFound, an event came")
            } catch let error as MeshEventsError {
                try requireEqual(error.code, .durableNotFound, "the code of \(error)")
            }
            try await requireCode(.durableNotFound, "deleting again") { try await bus.deleteDurable("gone") }
        },
        Check("bad arguments of durables are refused; closing the bus ends them", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            for name in ["", "a.b", "a b", "*", ">", "ä", String(repeating: "x", count: 65)] {
                try await requireCode(.invalidArgument, "the name \(name)") {
                    _ = try await bus.subscribe(durable: name)
                }
            }
            let bad: [DurableSubscription.Configuration] = [
                .init(acknowledgementWait: .zero), .init(maximumDeliveries: 0), .init(concurrency: 0),
                .init(maximumOutstanding: 0), .init(redelivery: RedeliveryDelays(factor: 0.5)),
            ]
            for configuration in bad {
                try await requireCode(.invalidArgument, "\(configuration)") {
                    _ = try await bus.subscribe(durable: "bad", configuration: configuration)
                }
            }
            try await requireCode(.invalidPattern, "a bad pattern") {
                _ = try await bus.subscribe(durable: "bad", to: "events.>.x")
            }
            let subscription = try await bus.subscribe(durable: "closing")
            let reading = Task { () -> Int in
                var count = 0
                for try await _ in subscription { count += 1 }
                return count
            }
            await bus.close()
            try requireEqual(try await reading.value, 0, "events before the end")
            try await requireCode(.closed, "subscribing after closing") {
                _ = try await bus.subscribe(durable: "closing")
            }
        },
    ]
}

extension StoreConformance.Fixture {
    /// A bus on the other connection.
    func openOther() async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: transport,
            store: other,
            node: "node-b",
            configuration: configuration
        )
    }
}

extension DurableSubscription {
    /// The next event.
    func first(_ what: String, within limit: Duration = .seconds(60)) async throws -> DurableDelivery {
        let delivery = try await MeshEventsConformance.within(what, limit: limit) { [self] () -> DurableDelivery? in
            var iterator = makeAsyncIterator()
            return try await iterator.next()
        }
        guard let delivery else { throw ConformanceFailure("the subscription ended instead of \(what)") }
        return delivery
    }

    /// Acknowledges the next events.
    func acknowledge(
        _ count: Int,
        _ what: String,
        within limit: Duration = .seconds(60)
    ) async throws -> [DurableDelivery] {
        var deliveries: [DurableDelivery] = []
        for _ in 0..<count {
            let delivery = try await first(what, within: limit)
            try await delivery.ack()
            deliveries.append(delivery)
        }
        return deliveries
    }
}

extension [DurableDelivery] {
    var numbers: [Int] { map(\.event).numbers }
}

extension PersistentEventBus {
    /// The dead letters of a durable.
    func deadLetters(_ name: String) async throws -> [StoredEvent] {
        try await history(matching: EventPattern("events.user.dead_letter.\(name)"))
    }
}
