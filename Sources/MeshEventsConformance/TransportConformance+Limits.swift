import MeshEvents

extension TransportConformance {
    /// Checks of sizes, and of input that is refused.
    static let limits: [Check] = [
        Check("a payload above the limit is refused, and the error names both sizes") { bench in
            guard let maximum = bench.fixture.emitting.maximumPayload else {
                throw ConformanceFailure("expected a connected transport to know its maximum payload")
            }
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            do {
                try bench.emitter.emit(type, ["text": .string(String(repeating: "x", count: maximum))])
                throw ConformanceFailure("expected payloadTooLarge, nothing was thrown")
            } catch let error as MeshEventsError {
                try requireEqual(error.code, .payloadTooLarge, "the error")
                let numbers = error.message.split { !$0.isNumber }.compactMap { Int($0) }
                try require(
                    numbers.contains(maximum) && numbers.contains { $0 > maximum },
                    "that the message names the payload's size and the limit \(maximum): \(error.message)"
                )
            }
            try bench.emitter.emit(type, ["after": true])
            let event = try await subscription.collect(1, "an event after the refused one")[0]
            try requireEqual(event.data["after"]?.bool, true, "the first event that arrives")
        },
        Check("large payloads arrive whole, between small ones and in order") { bench in
            let maximum = bench.fixture.emitting.maximumPayload ?? 1 << 20
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            let sizes = [10, maximum - 1000, 1, 70_000, 0, 1100, maximum / 2, 5]
            try await bench.emitter.emit(
                contentsOf: sizes.map { Event(type, data: ["text": .string(String(repeating: "é", count: $0 / 2))]) }
            )
            try await bench.emitter.flush()
            let events = try await subscription.collect(sizes.count, "all events")
            let found = events.map { event in
                let text = event.data["text"]?.string
                return text.map { $0.allSatisfy { $0 == "é" } ? $0.count : -1 } ?? -2
            }
            try requireEqual(found, sizes.map { $0 / 2 }, "the lengths of the texts")
        },
        Check("a bad type or pattern is refused and nothing is sent") { bench in
            let subscription = try await bench.receiver.subscribe(to: try bench.pattern(">"))
            let types: [EventType] = ["", "tool..x", "tool.*", "a b", "a\r\nb", ">", "tool."]
            for type in types {
                try requireCode(.invalidEventType, "emitting \(type)") { try bench.emitter.emit(type) }
            }
            let patterns: [EventPattern] = ["events.>.x", "foo.>.x", "", "events", "events..x", "events.a b"]
            for pattern in patterns {
                try await requireCode(.invalidPattern, "subscribing to \(pattern)") {
                    _ = try await bench.receiver.subscribe(to: pattern)
                }
            }
            try await requireCode(.invalidArgument, "a queue group with a space") {
                _ = try await bench.receiver.subscribe(queueGroup: "a b")
            }
            try await requireCode(.invalidArgument, "a buffer without room") {
                _ = try await bench.receiver.subscribe(buffer: EventSubscription.Buffer(maximumEvents: 0))
            }
            try requireCode(.invalidData, "emitting NaN") {
                try bench.emitter.emit(try bench.type(), ["bad": .init(Double.nan)])
            }
            try await bench.emitter.flush()
            try await subscription.drain()
            let rest = try await subscription.rest("what was sent nevertheless")
            try requireEqual(rest.count, 0, "the number of events sent")
        },
    ]
}

/// Throws unless `body` throws an error with this code.
func requireCode(_ code: MeshEventsError.Code, _ what: String, _ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as MeshEventsError {
        return try requireEqual(error.code, code, what)
    }
    throw ConformanceFailure("\(what): expected \(code), nothing was thrown")
}

/// Throws unless `body` throws an error with this code.
func requireCode(_ code: MeshEventsError.Code, _ what: String, _ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as MeshEventsError {
        return try requireEqual(error.code, code, what)
    }
    throw ConformanceFailure("\(what): expected \(code), nothing was thrown")
}
