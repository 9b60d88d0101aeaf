import MeshConcurrency
import MeshEvents

extension TransportConformance {
    /// Checks with slow subscribers, and with messages that are no events.
    static let flow: [Check] = [
        Check("a subscriber that never reads does not delay other subscribers") { bench in
            let type = try bench.type()
            let idle = try await bench.receiver.subscribe(
                to: .type(type),
                buffer: EventSubscription.Buffer(maximumEvents: 10)
            )
            let gate = OneTimeSignal()
            let stuck = try await bench.receiver.subscribe(to: .type(type)) { _ in
                try await gate.wait(until: .now + .seconds(60), for: "the check to let the handler go")
            }
            let reading = try await bench.receiver.subscribe(to: .type(type))
            try await bench.emit(5000)
            let events = try await reading.collect(5000, "the reader's events")
            gate.send()
            try requireEqual(events.numbers, Array(0..<5000), "what the reader got")
            try await stuck.drain(timeout: .seconds(60))
            try requireEqual(stuck.received, 5000, "what the slow handler got in the end")
            try await idle.drain()
            try requireEqual(idle.dropped, 4990, "what the idle subscriber lost")
        },
        Check("dropping the oldest keeps the newest and counts the others") { bench in
            let subscription = try await bench.overflow(.dropOldest)
            try requireEqual(subscription.received, 1000, "received")
            try requireEqual(subscription.dropped, 900, "dropped")
            let kept = try await subscription.rest("the kept events")
            try requireEqual(kept.numbers, Array(900..<1000), "what was kept")
        },
        Check("dropping the newest keeps the oldest and counts the others") { bench in
            let subscription = try await bench.overflow(.dropNewest)
            try requireEqual(subscription.received, 1000, "received")
            try requireEqual(subscription.dropped, 900, "dropped")
            let kept = try await subscription.rest("the kept events")
            try requireEqual(kept.numbers, Array(0..<100), "what was kept")
        },
        Check("failing delivers the waiting events, then throws subscriberTooSlow") { bench in
            let subscription = try await bench.overflow(.fail)
            var numbers: [Int] = []
            do {
                for try await event in subscription { numbers.append(event.data["seq"]?.int ?? -1) }
                throw ConformanceFailure("expected subscriberTooSlow, the sequence ended without an error")
            } catch let error as MeshEventsError {
                try requireEqual(error.code, .subscriberTooSlow, "the error")
            }
            try requireEqual(numbers, Array(0..<100), "what was delivered before")
            try require(subscription.dropped >= 1, "that the lost events are counted: \(subscription.dropped)")
            let rest = try await subscription.rest("the end after the error")
            try requireEqual(rest.count, 0, "the number of events after the error")
        },
        Check("the byte limit holds as well, and counts exactly") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(
                to: .type(type),
                buffer: EventSubscription.Buffer(maximumEvents: 1000, maximumBytes: 10_000)
            )
            let filler = String(repeating: "x", count: 900)
            try await bench.emitter.emit(
                contentsOf: (0..<100).lazy.map { Event(type, data: ["seq": .init($0), "filler": .string(filler)]) }
            )
            try await bench.emitter.flush()
            try await subscription.drain()
            let kept = try await subscription.rest("the kept events").numbers
            // Each has 900 bytes and its envelope and subject: 7 to 10 of them fit into 10 000 bytes.
            try require((7...10).contains(kept.count), "7 to 10 kept events, found \(kept.count)")
            try requireEqual(kept, Array((100 - kept.count)..<100), "what was kept")
            try requireEqual(subscription.dropped, UInt64(100 - kept.count), "dropped")
        },
        Check("messages that are no events are skipped and counted; the subscription lives on") { bench in
            let seen = Recorder()
            let bus = bench.receiver(.init(onMalformed: { seen.add($0.subject) }))
            let type = try bench.type()
            let subscription = try await bus.subscribe(to: .type(type))
            let malformed = [
                "", "not json", "[]", "42", "\"text\"", "null", "{", "{\"type\":1}", "{\"node\":false}",
                "{\"data\":[]}", "{\"data\":\"text\"}", "{\"data\":{\"a\":}}",
                // An event of another type, and a server's answer to a request.
                "{\"type\":\"node.left\",\"node\":\"n\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"data\":{}}",
                "{\"type\":\"io.nats.jetstream.api.v1.pub_ack_response\",\"stream\":\"MESH_EVENTS\",\"seq\":1}",
            ]
            for text in malformed { try bench.publishRaw(Array(text.utf8)) }
            try bench.publishRaw([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D])
            let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
            try bench.publishRaw(Array("{\"data\":{\"a\":\(deep)}}".utf8))
            try bench.emitter.emit(type, ["after": true])
            let event = try await subscription.collect(1, "the event after the malformed ones")[0]
            try requireEqual(event.data["after"]?.bool, true, "the event")
            try requireEqual(subscription.malformed, UInt64(malformed.count + 2), "malformed")
            try requireEqual(seen.texts.count, malformed.count + 2, "the calls of onMalformed")
            try requireEqual(Set(seen.texts), ["events.\(type)"], "the subjects onMalformed saw")
            await bus.close()
        },
        Check("the reconnect message of a Go node is read as an event") { bench in
            let subscription = try await bench.receiver.subscribe(to: .type(try bench.type()))
            try bench.publishRaw(Array(#"{"node":"X","event":"reconnect"}"#.utf8))
            let event = try await subscription.collect(1, "the event")[0]
            try requireEqual(event.type, try bench.type(), "the type, from the subject")
            try requireEqual(event.node, "X", "the node")
            try require(event.data.isNull, "null data, found \(event.data)")
        },
    ]
}

extension Bench {
    /// Emits 1 000 events for a subscriber that does not read and may keep 100; returns when all have arrived.
    func overflow(_ policy: EventSubscription.Buffer.Policy) async throws -> EventSubscription {
        let subscription = try await receiver.subscribe(
            to: .type(try type()),
            buffer: EventSubscription.Buffer(maximumEvents: 100, policy: policy)
        )
        try await emit(1000)
        try await subscription.drain()
        return subscription
    }
}
