import Testing

@testable import MeshEvents

struct RedeliveryDelaysTests {
    @Test func delaysGrowUpToTheMaximum() {
        let delays = RedeliveryDelays()
        #expect((1...6).map { delays.delay(afterDelivery: $0) } == [1, 4, 16, 64, 256, 300].map { .seconds($0) })
        #expect(delays.delay(afterDelivery: 1_000_000) == .seconds(300))
        #expect(delays.delay(afterDelivery: 0) == .seconds(1))
        #expect(RedeliveryDelays.constant(.zero).delay(afterDelivery: 9) == .zero)
    }

    @Test(arguments: [
        RedeliveryDelays(first: .seconds(-1)), RedeliveryDelays(factor: 0.5), RedeliveryDelays(factor: .infinity),
        RedeliveryDelays(factor: .nan), RedeliveryDelays(first: .seconds(10), maximum: .seconds(5)),
    ])
    func delaysThatCannotGrowAreRefused(delays: RedeliveryDelays) {
        #expect(throws: MeshEventsError.self) { try delays.validate() }
    }
}

struct HandledEventsTests {
    private func key(_ sequence: UInt64) -> HandledEvents.Key {
        let stored = StoredMessage(subject: "", payload: [], sequence: sequence, storedAt: .epoch)
        return HandledEvents.Key(DurableMessage(stored: stored, deliveries: 1, token: ""))
    }

    @Test func onlyTheNewestAreRemembered() {
        var handled = HandledEvents(capacity: 100)
        for sequence in 1...1000 { handled.insert(key(UInt64(sequence)), .acknowledge) }
        #expect((901...1000).allSatisfy { handled.answer(to: key(UInt64($0))) == .acknowledge })
        #expect((1...900).allSatisfy { handled.answer(to: key(UInt64($0))) == nil })
    }

    @Test func anEventThatIsInsertedAgainTakesNoRoom() {
        var handled = HandledEvents(capacity: 2)
        handled.insert(key(1), .acknowledge)
        for _ in 0..<10 { handled.insert(key(2), .acknowledge) }
        #expect(handled.answer(to: key(1)) == .acknowledge)
    }
}

struct PrefetchEstimateTests {
    @Test func quickWorkersGetManySlowOnesNone() {
        var estimate = PrefetchEstimate()
        #expect(estimate.count(workers: 4, maximum: 256) == 0, "nothing is known yet")
        estimate.record(.milliseconds(10))
        #expect(estimate.count(workers: 1, maximum: 256) == 25)
        #expect(estimate.count(workers: 4, maximum: 256) == 100)
        for _ in 0..<30 { estimate.record(.seconds(5)) }
        #expect(estimate.count(workers: 4, maximum: 256) == 0)
        for _ in 0..<100 { estimate.record(.zero) }
        #expect(estimate.count(workers: 1, maximum: 256) == 256)
    }
}

struct DurableFailuresTests {
    private let start = ContinuousClock.now

    @Test func whatPassesIsTriedForEverEverySoOften() {
        var failures = DurableFailures(tolerated: .seconds(5))
        let error = MeshEventsError(.connectionFailed, "down", isRetriable: true)
        let delays = (0..<10).compactMap { failures.failed(error, now: start + .seconds($0 * 100)) }
        #expect(delays.count == 10)
        #expect(delays.first == .milliseconds(50))
        #expect(delays.last == .seconds(2))
        failures.succeeded()
        #expect(failures.failed(error, now: start) == .milliseconds(50))
    }

    @Test func aMissingDurableIsToleratedForAWhileOtherErrorsAreNot() {
        var failures = DurableFailures(tolerated: .seconds(5))
        let missing = MeshEventsError(.durableNotFound, "gone")
        #expect(failures.failed(missing, now: start) != nil)
        #expect(failures.failed(missing, now: start + .seconds(4)) != nil)
        #expect(failures.failed(missing, now: start + .seconds(5)) == nil)
        failures.succeeded()
        #expect(failures.failed(missing, now: start + .seconds(6)) != nil)
        #expect(failures.failed(MeshEventsError(.permissionDenied, "no"), now: start) == nil)
    }
}

struct DeadLetterMessageTests {
    private func letter(_ event: Event?, payload: String = "", reason: String = "why") -> DeadLetterMessage {
        let stored = StoredMessage(
            subject: "events.user.a",
            payload: Array(payload.utf8),
            sequence: 12,
            storedAt: Timestamp(nanosecondsSinceEpoch: 5)
        )
        return DeadLetterMessage(
            durable: "d",
            reason: reason,
            message: DurableMessage(stored: stored, deliveries: 3, token: ""),
            event: event
        )
    }

    private func data(_ letter: DeadLetterMessage, maximumPayload: Int? = nil) throws -> EventData {
        let bytes = try letter.encoded(node: "n", now: .epoch, maximumPayload: maximumPayload)
        return try EventDecoder.decode(subject: letter.subject, payload: bytes, received: .epoch).data
    }

    @Test func itHoldsWhatTheEventWas() throws {
        let event = Event("user.a", node: "origin", timestamp: .epoch, data: ["x": 1])
        #expect(
            try data(letter(event)) == [
                "reason": "why", "type": "user.a", "sequence": 12, "node": "origin", "deliveries": 3,
                "timestamp": "1970-01-01T00:00:00Z", "data": ["x": 1],
            ]
        )
        #expect(letter(event).subject == "events.user.dead_letter.d")
        #expect(letter(event).messageID == letter(event, reason: "another").messageID)
    }

    @Test func whatIsNoEventShowsItsBeginning() throws {
        let found = try data(letter(nil, payload: "\u{1}\"" + String(repeating: "x", count: 1000)))
        #expect(found["payload"]?.string == "\u{1}\"" + String(repeating: "x", count: 254))
        #expect(found["type"]?.string == "user.a")
        #expect(found["data"] == nil)
    }

    @Test func dataThatDoesNotFitIsLeftOutAndThatIsSaid() throws {
        let large = Event("user.a", data: ["x": .string(String(repeating: "x", count: 5000))])
        #expect(try data(letter(large), maximumPayload: 10_000)["data"]?.isObject == true)
        let cut = try data(letter(large), maximumPayload: 5000)
        #expect(cut["data"] == nil)
        #expect(cut["data_omitted"]?.string?.contains("too large") == true)
        let deep = String(repeating: #"{"a":"#, count: 126) + "{}" + String(repeating: "}", count: 126)
        let nested = try data(letter(Event("user.a", data: try EventData(json: deep))))
        #expect(nested["data_omitted"]?.string?.contains("deep") == true)
    }
}
