import MeshConcurrency
import MeshEvents

extension StoreConformance {
    /// Durable subscriptions with a handler.
    static let durableHandlers: [Check] = [
        Check("a durable's handler: one event at a time, in order, each acknowledged", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 60)
            let recorder = Recorder()
            let running = Locked((now: 0, most: 0))
            let subscription = try await bus.subscribe(durable: "ordered", to: "events.user.>") { delivery in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                recorder.add("\(delivery.event.data["seq"]?.int ?? -1)")
                await Task.yield()
                running.withLock { $0.now -= 1 }
            }
            try await until("60 events") { subscription.acknowledged == 60 }
            try requireEqual(recorder.texts, (0..<60).map(String.init), "the order")
            try requireEqual(running.withLock { $0.most }, 1, "handlers at once")
            try await subscription.drain()
            try await requireNothingLeft(bus, "ordered")
        },
        Check("a durable's handlers: as many at once as allowed, no more", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 40)
            let running = Locked((now: 0, most: 0))
            let subscription = try await bus.subscribe(
                durable: "parallel",
                to: "events.user.>",
                configuration: .init(concurrency: 4)
            ) { _ in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                try await Task.sleep(for: .milliseconds(30))
                running.withLock { $0.now -= 1 }
            }
            try await until("40 events") { subscription.acknowledged == 40 }
            try requireEqual(running.withLock { $0.most }, 4, "handlers at once")
            try await subscription.drain()
        },
        Check(
            "a handler that throws gets the event again after growing delays, then it is a dead letter",
            needs: [.durables]
        ) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.flaky", ["seq": 1])
            try await bus.emit("user.hopeless", ["seq": 2])
            let recorder = Recorder()
            let start = ContinuousClock.now
            let subscription = try await bus.subscribe(
                durable: "flaky",
                to: "events.user.*",
                configuration: .init(
                    redelivery: RedeliveryDelays(first: .milliseconds(200), factor: 2, maximum: .seconds(1)),
                    maximumDeliveries: 3
                )
            ) { delivery in
                recorder.add("\(delivery.event.type) \(delivery.deliveries)")
                if delivery.event.type == "user.hopeless" || delivery.deliveries < 3 {
                    throw ConformanceFailure("not now")
                }
            }
            try await until("one acknowledged, one dead") {
                subscription.acknowledged == 1 && subscription.deadLettered == 1
            }
            try require(.now - start > .milliseconds(450), "the delays were kept: \(ContinuousClock.now - start)")
            let expected = ["user.flaky", "user.hopeless"].flatMap { type in (1...3).map { "\(type) \($0)" } }
            try requireEqual(recorder.texts.sorted(), expected, "the deliveries")
            let letters = try await bus.deadLetters("flaky")
            try requireEqual(letters.compactMap { $0.event.data["sequence"]?.int }, [2], "the dead letters")
            let reason = letters[0].event.data["reason"]?.string ?? ""
            try require(reason.contains("not now"), "the reason: \(reason)")
            try await subscription.drain()
        },
        Check("a handler may refuse an event: for ever, or with its own delay", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.never", ["seq": 1])
            try await bus.emit("user.later", ["seq": 2])
            let recorder = Recorder()
            let subscription = try await bus.subscribe(
                durable: "refusing",
                to: "events.user.*",
                configuration: .init(redelivery: .constant(.seconds(60)))
            ) { delivery in
                recorder.add("\(delivery.event.type) \(delivery.deliveries)")
                if delivery.event.type == "user.never" { throw DeliveryRefusal.terminate("never") }
                if delivery.deliveries == 1 { throw DeliveryRefusal.retry(after: .milliseconds(50)) }
            }
            try await until("one acknowledged, one dead") {
                subscription.acknowledged == 1 && subscription.deadLettered == 1
            }
            try requireEqual(recorder.texts, ["user.never 1", "user.later 1", "user.later 2"], "the deliveries")
            let reasons = try await bus.deadLetters("refusing").map { $0.event.data["reason"]?.string }
            try requireEqual(reasons, ["never"], "the reasons")
            try await subscription.drain()
        },
        Check(
            "a handler may take longer than the acknowledgement wait: its event does not come again",
            needs: [.durables]
        ) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.long", ["seq": 1])
            let recorder = Recorder()
            let configuration = DurableSubscription.Configuration(acknowledgementWait: .seconds(1))
            let other = try await fixture.openOther()
            let slow = try await bus.subscribe(durable: "slow", configuration: configuration) { delivery in
                recorder.add("delivery \(delivery.deliveries)")
                try await Task.sleep(for: .milliseconds(2_500))
            }
            let idle = try await other.subscribe(durable: "slow", configuration: configuration) { delivery in
                recorder.add("delivery \(delivery.deliveries)")
                try await Task.sleep(for: .milliseconds(2_500))
            }
            try await until("the event to be acknowledged") { slow.acknowledged + idle.acknowledged == 1 }
            try requireEqual(recorder.texts, ["delivery 1"], "the deliveries")
            try await slow.drain()
            try await idle.drain()
        },
        Check("draining lets handlers finish; at its deadline it hands back the other events", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await fixture.fill(bus, 3)
            let recorder = Recorder()
            let first = try await bus.subscribe(durable: "ending") { _ in
                recorder.add("began")
                try await Task.sleep(for: .milliseconds(300))
            }
            try await until("a handler to begin") { !recorder.texts.isEmpty }
            try await first.drain()
            try requireEqual(first.acknowledged, 1, "acknowledged after the drain")
            try requireEqual(recorder.texts.count, 1, "handlers that began")
            let stuck = try await bus.subscribe(durable: "ending") { _ in
                recorder.add("stuck")
                try await Task.sleep(for: .seconds(600))
            }
            try await until("the handler to be stuck") { recorder.texts.count == 2 }
            try await requireCode(.timeout, "draining a stuck handler") {
                try await stuck.drain(timeout: .milliseconds(200))
            }
            let third = try await fixture.openOther().subscribe(durable: "ending") { recorder.add("\($0.sequence)") }
            try await until("the other two at once", within: .seconds(10)) { third.acknowledged == 2 }
            try requireEqual(recorder.texts.suffix(2).sorted(), ["2", "3"], "the other two")
            try await third.drain()
        },
    ]

    /// Throws when a durable still delivers an event, although all were acknowledged.
    private static func requireNothingLeft(_ bus: PersistentEventBus, _ name: String) async throws {
        let subscription = try await bus.subscribe(durable: name, to: "events.user.>")
        try await bus.emit("user.marker", ["seq": 1_000_000])
        let next = try await subscription.first("the marker")
        try requireEqual([next].numbers, [1_000_000], "the next event")
        try await next.ack()
        try await subscription.drain()
    }
}

/// Waits until a condition holds; checks it every 10 ms.
func until(
    _ what: String,
    within limit: Duration = .seconds(60),
    _ condition: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard .now < deadline else { throw ConformanceFailure("not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
