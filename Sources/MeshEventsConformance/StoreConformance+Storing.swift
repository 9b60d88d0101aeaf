import MeshEvents

extension StoreConformance {
    /// Opening and appending.
    static let storing: [Check] = [
        Check("opening creates the stream once; opening again finds it without differences", needs: [.administration]) {
            fixture in
            let first = try await fixture.open(through: fixture.store)
            try requireEqual(first, StoreOpening(created: true, differences: []), "the first opening")
            let second = try await fixture.open(through: fixture.other)
            try requireEqual(second, StoreOpening(created: false, differences: []), "the second opening")
            let state = try await fixture.other.state()
            try requireEqual(state.name, fixture.configuration.streamName, "the stream's name")
            try requireEqual(state.messages, 0, "the messages of a new stream")
            try requireEqual(state.lastSequence, 0, "the last sequence of a new stream")
        },
        Check(
            "an existing stream with another configuration is kept, and the differences are reported",
            needs: [.administration]
        ) { fixture in
            var small = fixture.configuration
            small.maximumMessages = 5
            small.maximumAge = .seconds(3600)
            try await fixture.open(through: fixture.other, small)
            let bus = try await fixture.open()
            try requireEqual(bus.opening.created, false, "created")
            let fields = bus.opening.differences.map(\.field).sorted()
            try requireEqual(fields, ["max_age", "max_msgs"], "the fields that differ")
            let messages = bus.opening.differences.first { $0.field == "max_msgs" }
            try requireEqual(messages?.found, "5", "the max_msgs found")
            for number in 0..<8 { try await bus.emit("user.kept", ["seq": .init(number)]) }
            let kept = try await bus.history()
            try requireEqual(kept.numbers, Array(3..<8), "that the old limit of 5 still holds")
            try requireEqual(kept.map(\.sequence), Array(4...8), "the sequences")
        },
        Check(
            "reading a stream that does not exist throws streamNotFound and creates nothing",
            needs: [.administration]
        ) { fixture in
            let history = EventHistory(store: fixture.other)
            try await requireCode(.streamNotFound, "newest") { _ = try await history.newest(1) }
            try await requireCode(.streamNotFound, "first") { _ = try await history.first(1, since: .now) }
            try await requireCode(.streamNotFound, "state") { _ = try await fixture.other.state() }
            let opening = try await fixture.open(through: fixture.store)
            try requireEqual(opening.created, true, "that the stream did not exist before")
        },
        Check("an acknowledged event has its position: sequences from 1, without gaps") { fixture in
            let bus = try await fixture.open()
            for expected in 1...20 {
                let position = try await bus.emit("user.numbered")
                try requireEqual(
                    position,
                    StoredPosition(
                        stream: fixture.configuration.streamName,
                        sequence: UInt64(expected),
                        isDuplicate: false
                    ),
                    "the position"
                )
            }
            let state = try await fixture.other.state()
            try requireEqual(state.messages, 20, "messages")
            try requireEqual(state.firstSequence, 1, "firstSequence")
            try requireEqual(state.lastSequence, 20, "lastSequence")
        },
        Check("header fields are kept: history, replay, durables and live subscribers see them", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            let live = try await bus.bus.subscribe(to: "events.user.headed")
            let durable = try await bus.subscribe(durable: "headed", to: "events.user.headed")
            let headers: MessageHeaders = ["traceparent": "00-0af7-b7ad-01", "X-Other": "a: b"]
            let payload = Array(#"{"node":"n","data":null}"#.utf8)
            func message(_ id: String, _ headers: MessageHeaders) -> PendingMessage {
                PendingMessage(subject: "events.user.headed", payload: payload, messageID: id, headers: headers)
            }
            _ = try await fixture.store.append(message("one", headers), deadline: .seconds(10))
            let appender = fixture.store.makeAppender(window: 8, deadline: .seconds(10)) { _, _ in }
            try await appender.append(message("two", headers))
            try await appender.append(message("three", [:]))
            try await appender.finish()
            let expected = [headers, headers, nil]
            let arrived = try await live.collect(3, "live")
            try requireEqual(arrived.map(\.origin?.headers), expected, "headers of live events")
            let stored = try await bus.history()
            try requireEqual(stored.map(\.event.origin?.headers), expected, "headers in the history")
            var replayed: [MessageHeaders?] = []
            for try await element in try await bus.replay() {
                guard let event = element.event?.event else { break }
                replayed.append(event.origin?.headers)
            }
            try requireEqual(replayed, expected, "headers in a replay")
            var delivered: [MessageHeaders?] = []
            for try await delivery in durable {
                delivered.append(delivery.event.origin?.headers)
                try await delivery.ack()
                if delivered.count == 3 { break }
            }
            try requireEqual(delivered, expected, "headers of durable deliveries")
        },
        Check("a message id is stored once, also when another client sends it again") { fixture in
            _ = try await fixture.open()
            let payload = Array(#"{"type":"user.once","node":"n","data":{"seq":1}}"#.utf8)
            for (index, store) in [fixture.store, fixture.other, fixture.store].enumerated() {
                let position = try await store.append(
                    subject: "events.user.once",
                    payload: payload,
                    messageID: "the-id",
                    mayBeStored: index > 0,
                    deadline: .seconds(10)
                )
                try requireEqual(position.sequence, 1, "the sequence")
                try requireEqual(position.isDuplicate, index > 0, "isDuplicate")
            }
            try requireEqual(try await fixture.store.state().messages, 1, "messages")
        },
        Check("a message whose id another message has is refused, unless it may be stored itself") { fixture in
            _ = try await fixture.open()
            func message(_ number: Int, mayBeStored: Bool = false) -> PendingMessage {
                PendingMessage(
                    subject: "events.user.own",
                    payload: Array(#"{"node":"n","data":{"seq":\#(number)}}"#.utf8),
                    messageID: "id-\(number)",
                    mayBeStored: mayBeStored
                )
            }
            _ = try await fixture.other.append(message(3), deadline: .seconds(10))
            try await requireCode(.duplicateMessageID, "appending one") {
                _ = try await fixture.store.append(message(3), deadline: .seconds(10))
            }
            try await requireCode(.duplicateMessageID, "appending many") {
                let appender = fixture.store.makeAppender(window: 64, deadline: .seconds(10)) { _, _ in }
                for number in 0..<6 { try await appender.append(message(number)) }
                try await appender.finish()
            }
            let appender = fixture.store.makeAppender(window: 64, deadline: .seconds(10)) { _, _ in }
            for number in 0..<6 { try await appender.append(message(number, mayBeStored: true)) }
            try await appender.finish()
            let history = EventHistory(store: fixture.other)
            try requireEqual(try await history.newest(10).numbers.sorted(), Array(0..<6), "what is stored, each once")
        },
        Check("emits at once from many tasks are all stored, each once") { fixture in
            let bus = try await fixture.open()
            let positions = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<200 {
                    group.addTask { try await bus.emit("user.parallel", ["seq": .init(number)]).sequence }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try requireEqual(positions.sorted(), Array(1...200), "the sequences")
            let stored = try await bus.history(limit: 1000)
            try requireEqual(stored.numbers.sorted(), Array(0..<200), "what is stored")
        },
        Check("subscribers get stored events; events emitted without an acknowledgement are stored") { fixture in
            let bus = try await fixture.open()
            let subscription = try await bus.bus.subscribe(to: "events.user.>")
            try await bus.emit("user.stored", ["seq": 1])
            try bus.bus.emit("user.plain", ["seq": 2])
            try await bus.bus.flush()
            let events = try await subscription.collect(2, "both events")
            try requireEqual(events.numbers, [1, 2], "what the subscriber got")
            // The position of a third event proves that the stream has stored the events before it.
            try requireEqual(try await bus.emit("user.stored", ["seq": 3]).sequence, 3, "the sequence")
            try requireEqual(try await bus.history().numbers, [1, 2, 3], "what is stored")
        },
        Check("the stored event has its type, node, time and data, and the time of storing") { fixture in
            let bus = try await fixture.open()
            let before = Timestamp.now
            try await bus.emit(Event("user.whole", data: ["text": "héllo", "big": 9_007_199_254_740_993]))
            try await bus.emit(Event("user.whole", node: "other"))
            let stored = try await bus.history()
            try requireEqual(stored.map(\.event.type), ["user.whole", "user.whole"], "types")
            try requireEqual(stored.map(\.event.node), ["node-a", "other"], "nodes")
            try requireEqual(
                stored.map(\.event.data),
                [["text": "héllo", "big": 9_007_199_254_740_993], nil],
                "data"
            )
            try require(
                stored.allSatisfy { $0.event.timestamp >= before && $0.event.timestamp <= .now },
                "timestamps of emitting: \(stored.map(\.event.timestamp))"
            )
            try requireEqual(stored.map(\.sequence), [1, 2], "sequences")
            try require(stored[0].storedAt <= stored[1].storedAt, "times of storing in order")
        },
        Check("a bad type is refused and not stored; after closing, emitting throws closed") { fixture in
            let bus = try await fixture.open()
            let types: [EventType] = ["", "tool..x", "tool.*", "a b", "a\nb"]
            for type in types {
                try await requireCode(.invalidEventType, "emitting \(type)") { try await bus.emit(type) }
            }
            try requireEqual(try await fixture.store.state().messages, 0, "messages")
            await bus.close()
            try await requireCode(.closed, "emitting after closing") { try await bus.emit("user.late") }
        },
    ]
}
