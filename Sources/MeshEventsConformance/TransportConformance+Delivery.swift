import MeshEvents

extension TransportConformance {
    /// Checks of which events arrive, and at which subscriptions.
    static let delivery: [Check] = [
        Check("an event emitted right after subscribing, from another connection, arrives: 100 times") { bench in
            let type = try bench.type()
            for round in 0..<100 {
                let subscription = try await bench.receiver.subscribe(to: .type(type))
                try bench.emitter.emit(type, ["round": .init(round)])
                let event = try await subscription.collect(1, "round \(round)")[0]
                try requireEqual(event.data["round"]?.int, round, "the round of the event that arrived")
                subscription.cancel()
            }
        },
        Check("an event arrives with its type, node, time and data") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            let before = Timestamp.now
            try bench.emitter.emit(Event(type, data: ["text": "héllo 🚀", "big": 9_007_199_254_740_993]))
            try bench.emitter.emit(Event(type, node: "other", data: nil))
            let events = try await subscription.collect(2, "both events")
            try requireEqual(events.map(\.type), [type, type], "types")
            try requireEqual(events.map(\.node), ["emitter", "other"], "nodes (an empty one is filled)")
            try requireEqual(
                events.map(\.data),
                [["text": "héllo 🚀", "big": 9_007_199_254_740_993], nil],
                "data"
            )
            try require(
                events.allSatisfy { $0.timestamp >= before && $0.timestamp <= .now },
                "timestamps of the time of emitting, found \(events.map(\.timestamp))"
            )
        },
        Check("header fields arrive beside the event, in their order, and not with the next one") { bench in
            let subscription = try await bench.receiver.subscribe(to: .type(try bench.type()))
            let headers: MessageHeaders = [
                "traceparent": "00-0af7-b7ad-01", "X-Empty": "", "X-Twice": "1", "X-Twice": "2: é",
            ]
            try bench.publishRaw(Array(#"{"node":"n","data":null}"#.utf8), headers: headers)
            try bench.publishRaw(Array(#"{"node":"n","data":null}"#.utf8))
            let events = try await subscription.collect(2, "both events")
            try requireEqual(events[0].origin?.headers, headers, "the header fields")
            try require(events[1].origin == nil, "that an event without header fields has no origin")
        },
        Check("events without data and with empty data arrive as such") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            try bench.emitter.emit(type)
            try bench.emitter.emit(type, .empty)
            let events = try await subscription.collect(2, "both events")
            try requireEqual(events.map(\.data.isNull), [true, false], "whether the data is null")
            try requireEqual(events[1].data, .empty, "the empty data")
        },
        Check("what one task emits arrives in that order") { bench in
            let subscription = try await bench.receiver.subscribe(to: try bench.pattern(">"))
            try await bench.emit(5000)
            let events = try await subscription.collect(5000, "all events")
            try requireEqual(events.numbers, Array(0..<5000), "the order")
        },
        Check("8 tasks emit at once: everything arrives, each task's events in order") { bench in
            let subscription = try await bench.receiver.subscribe(to: try bench.pattern("*"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for emitter in 0..<8 {
                    group.addTask { try await bench.emit(1000, suffix: "event", node: "emitter-\(emitter)") }
                }
                try await group.waitForAll()
            }
            let events = try await subscription.collect(8000, "all events")
            let byEmitter = Dictionary(grouping: events, by: \.node)
            try requireEqual(byEmitter.count, 8, "the number of emitters heard")
            for (node, events) in byEmitter {
                try requireEqual(events.numbers, Array(0..<1000), "the order of \(node)")
            }
        },
        Check("patterns match tokens: exact, * one, > at least one") { bench in
            let suffixes = ["a", "a.b", "a.b.c", "ab", "b.a"]
            let expected: [(pattern: String, suffixes: [String])] = [
                ("a", ["a"]),
                ("a.b", ["a.b"]),
                ("*", ["a", "ab"]),
                ("*.*", ["a.b", "b.a"]),
                ("a.*", ["a.b"]),
                ("*.a", ["b.a"]),
                ("a.>", ["a.b", "a.b.c"]),
                ("*.b.>", ["a.b.c"]),
                (">", suffixes),
            ]
            var subscriptions: [EventSubscription] = []
            for (pattern, _) in expected {
                subscriptions.append(try await bench.receiver.subscribe(to: try bench.pattern(pattern)))
            }
            for suffix in suffixes { try bench.emitter.emit(try bench.type(suffix)) }
            try await bench.emitter.flush()
            for (subscription, (pattern, suffixes)) in zip(subscriptions, expected) {
                try await subscription.drain()
                let found = try await subscription.rest(pattern).map {
                    $0.type.rawValue.dropFirst(bench.prefix.count + 1)
                }
                try requireEqual(found.map(String.init), suffixes, "what \(pattern) matched")
            }
        },
        Check("the members of a queue group share the events: none lost, none twice") { bench in
            let type = try bench.type()
            let local = EventBus(transport: bench.fixture.emitting, node: "member")
            let first = try await bench.receiver.subscribe(to: .type(type), queueGroup: "workers")
            let second = try await local.subscribe(to: .type(type), queueGroup: "workers")
            let otherGroup = try await bench.receiver.subscribe(to: .type(type), queueGroup: "auditors")
            let alone = try await bench.receiver.subscribe(to: .type(type))
            try await bench.emit(400)
            var counts: [[Int]] = []
            for subscription in [first, second, otherGroup, alone] {
                try await subscription.drain()
                counts.append(try await subscription.rest("a member's events").numbers)
            }
            try requireEqual((counts[0] + counts[1]).sorted(), Array(0..<400), "what the group got together")
            try require(
                !counts[0].isEmpty && !counts[1].isEmpty,
                "that both members got some: \(counts[0].count) of 400"
            )
            try requireEqual(counts[2], Array(0..<400), "what a group of one got")
            try requireEqual(counts[3], Array(0..<400), "what a subscriber without a group got")
        },
        Check("a payload type's events arrive with the payload read") { bench in
            // Other clients may emit system events on the same subject: the tool's name identifies ours.
            let subscription = try await bench.receiver.subscribe(to: ToolCrashed.self)
            let tool = bench.prefix
            try bench.emitter.emit(ToolCrashed(tool: tool, error: "OOM killed", restartCount: 2))
            let crash = try await within("the crash") {
                for try await crash in subscription where crash.tool == tool { return crash }
                throw ConformanceFailure("the sequence ended before the crash arrived")
            }
            try requireEqual(crash.error, "OOM killed", "the error")
            try requireEqual(crash.restartCount, 2, "the restart count")
            try requireEqual(crash.node, "emitter", "the node")
        },
    ]
}
