import MeshEventsTesting
import Testing

@testable import MeshEvents

/// What the records of dead letters say, in which order they count, and which do not.
struct DeadLetterLogTests {
    private static let original = DeadLetterOriginal(
        sequence: 3,
        storedAt: Timestamp(nanosecondsSinceEpoch: 1_500_000_001)
    )
    private let start = ContinuousClock.now

    /// A log with its records, each after the one before unless it says otherwise; the first one has sequence 11.
    private func log(
        keepsSettled: Bool = true,
        _ actions: [DeadLetterRecord.Action],
        letter: UInt64 = 7,
        after: UInt64? = nil
    ) -> DeadLetterLog {
        var log = DeadLetterLog(keepsSettled: keepsSettled)
        for (index, action) in actions.enumerated() {
            let isLast = index == actions.count - 1
            take(action, into: &log, letter: letter, at: 11 + UInt64(index), after: isLast ? after : nil)
        }
        return log
    }

    private func take(
        _ action: DeadLetterRecord.Action,
        into log: inout DeadLetterLog,
        letter: UInt64 = 7,
        at sequence: UInt64,
        after: UInt64? = nil,
        now: Duration = .zero
    ) {
        let record = DeadLetterRecord(letter, action, after: after ?? log.last)
        let note = DeadLetterLog.Note(sequence: sequence, storedAt: .epoch, node: "n\(sequence)")
        log.take(record, note, now: start + now)
    }

    private func delivered(_ delivery: Int = 1, _ handler: String = "a") -> DeadLetterRecord.Action {
        .delivered(delivery: delivery, handler: handler, wait: .seconds(30))
    }

    @Test(arguments: [
        DeadLetterRecord.Action.retry(DeadLetterLogTests.original), .discard(reason: "why"),
        .delivered(delivery: 2, handler: "h", wait: .milliseconds(1_500)),
        .failed(delivery: 2, handler: "h", after: .zero), .handled(delivery: 3), .givenUp(delivery: 5, letter: 9),
        .givenUp(delivery: 5, letter: nil), .undeliverable(reason: "gone"),
    ])
    func aRecordIsReadAsItWasWritten(action: DeadLetterRecord.Action) throws {
        let record = DeadLetterRecord(7, action, after: 12)
        let event = try record.event(durable: "jobs", node: "n", now: .epoch)
        #expect(event.type == "dead_letter.jobs" && event.node == "n")
        #expect(event.subject == DeadLetterRecord.subject("jobs"))
        #expect(DeadLetterRecord(event.data) == record)
    }

    @Test(arguments: [
        #"{}"#, #"{"action":"retry","letter":1}"#, #"{"action":"x","letter":1,"after":0}"#,
        #"{"action":"retry","letter":1,"after":0,"sequence":1}"#, #"{"action":"retry","letter":-1,"after":0}"#,
        #"{"action":"delivered","letter":1,"after":0,"delivery":1,"handler":"h","wait_s":-1}"#,
        #"{"action":"delivered","letter":1,"after":0,"delivery":0,"handler":"h","wait_s":1}"#,
        #"{"action":"failed","letter":1,"after":0,"delivery":1,"again_s":1}"#,
    ])
    func whatIsNoRecordIsNone(json: String) throws {
        #expect(DeadLetterRecord(try EventData(json: json)) == nil)
    }

    @Test func timesThatOthersWriteAreBounded() throws {
        let json = #"{"action":"delivered","letter":1,"after":0,"delivery":1,"handler":"h","wait_s":1e300}"#
        let record = try #require(DeadLetterRecord(try EventData(json: json)))
        #expect(record.action == .delivered(delivery: 1, handler: "h", wait: .seconds(86_400)))
    }

    @Test func aRetryGoesFromWaitingToHandled() {
        #expect(log([])[7] == nil)
        let waiting = log([.retry(Self.original)])
        #expect(waiting[7]?.phase == .waiting(from: start) && waiting[7]?.order == 11)
        #expect(waiting.due(start)?.letter == 7 && waiting[7]?.original == Self.original)
        let taken = log([.retry(Self.original), delivered()])
        #expect(taken[7]?.isHeld(by: "a") == true && taken[7]?.isHeld(by: "b") == false)
        #expect(taken.due(start + .seconds(29)) == nil && taken.nextDue == start + .seconds(30))
        // Nothing was heard of the handler.
        #expect(taken.due(start + .seconds(30))?.deliveries == 1)
        let handled = log([.retry(Self.original), delivered(), .handled(delivery: 1)])
        #expect(handled[7]?.phase == .handled && handled.isSettled(7) && handled.nextDue == nil)
        #expect(handled[7]?.asked.node == "n11" && handled[7]?.latest.node == "n13")
    }

    @Test func whatFailsWaitsAndIsDeliveredAgain() {
        var log = log([.retry(Self.original), delivered(), .failed(delivery: 1, handler: "a", after: .seconds(4))])
        #expect(log.nextDue == start + .seconds(4))
        take(delivered(2, "b"), into: &log, at: 14, now: .seconds(4))
        #expect(log[7]?.deliveries == 2 && log[7]?.isHeld(by: "b") == true)
        // Said too late, by the one that had it before.
        take(.failed(delivery: 1, handler: "a", after: .zero), into: &log, at: 15)
        #expect(log[7]?.isHeld(by: "b") == true)
        take(.givenUp(delivery: 2, letter: 16), into: &log, at: 17)
        #expect(log[7]?.phase == .givenUp(letter: 16))
    }

    @Test func moreTimeIsGivenToTheOneThatHasItOnly() {
        var log = log([.retry(Self.original), delivered()])
        take(.delivered(delivery: 1, handler: "a", wait: .seconds(60)), into: &log, at: 13, now: .seconds(10))
        #expect(log.nextDue == start + .seconds(70) && log[7]?.deliveries == 1)
        take(.delivered(delivery: 1, handler: "b", wait: .seconds(600)), into: &log, at: 14)
        take(.delivered(delivery: 3, handler: "b", wait: .seconds(600)), into: &log, at: 15)
        #expect(log.nextDue == start + .seconds(70) && log[7]?.isHeld(by: "a") == true)
    }

    @Test func aRecordCountsDirectlyAfterTheOneThatItNames() {
        // A copy of a record that was stored again: whatever it says, it names an older one.
        var log = log([.retry(Self.original), delivered(), .handled(delivery: 1)])
        take(.discard(reason: "no"), into: &log, letter: 8, at: 14, after: 12)
        #expect(log[8] == nil && log.last == 14)
        take(.discard(reason: "no"), into: &log, letter: 8, at: 15)
        #expect(log[8]?.phase == .discarded(reason: "no"))
        // The same message once more.
        take(.retry(Self.original), into: &log, letter: 9, at: 15, after: 14)
        #expect(log[9] == nil && log.last == 15)
    }

    @Test(arguments: [true, false])
    func whatIsSettledStaysSo(keepsSettled: Bool) {
        for end in [DeadLetterRecord.Action.handled(delivery: 1), .givenUp(delivery: 1, letter: 9)] {
            var log = log(keepsSettled: keepsSettled, [.retry(Self.original), delivered(), end])
            for action in [.retry(Self.original), delivered(), .discard(reason: "x"), .undeliverable(reason: "x")] {
                take(action, into: &log, at: log.last + 1)
            }
            #expect(log.isSettled(7) && log.due(start + .seconds(1_000)) == nil)
            #expect((log[7] != nil) == keepsSettled)
            // Nor by a copy of the very first record, which names none.
            take(.retry(Self.original), into: &log, at: log.last + 1, after: 0)
            #expect(log.due(start + .seconds(1_000)) == nil)
        }
    }

    @Test func discardingTakesARetryBackUnlessAHandlerHasIt() {
        var log = log([.retry(Self.original), .discard(reason: "no")])
        #expect(log[7]?.phase == .discarded(reason: "no") && log.due(start) == nil)
        take(.retry(Self.original), into: &log, at: 13)
        #expect(log.due(start)?.order == 13)
        take(delivered(), into: &log, at: 14)
        take(.discard(reason: "too late"), into: &log, at: 15)
        #expect(log[7]?.isHeld(by: "a") == true)
    }

    @Test func theFirstThatWasAskedForIsDueFirst() {
        var log = log([.retry(Self.original)], letter: 9)
        take(.retry(Self.original), into: &log, letter: 8, at: 12)
        #expect(log.due(start)?.letter == 9)
    }

    @Test func theStatusSaysWhatBecameOfIt() {
        func status(_ log: DeadLetterLog, first: UInt64 = 1) -> DeadLetter.Status {
            DeadLetter.Status(log[7], first: first)
        }
        #expect(status(log([])) == .open(problem: nil))
        let waiting = log([.retry(Self.original)])
        #expect(status(waiting) == .retrying(since: .epoch, by: "n11", deliveries: 0))
        // The stream has dropped the record, so no handler that starts will see it.
        #expect(status(waiting, first: 12) == .open(problem: "no handler took the retry while the stream had it"))
        let gone = log([.retry(Self.original), .undeliverable(reason: "gone")])
        #expect(status(gone) == .open(problem: "gone") && status(gone).isOpen)
        let handled = log([.retry(Self.original), delivered(), .handled(delivery: 1)])
        #expect(status(handled, first: 100) == .handled(at: .epoch, by: "n13") && !status(handled).isOpen)
        let again = log([.retry(Self.original), delivered(), .givenUp(delivery: 1, letter: 40)])
        #expect(status(again) == .failedAgain(at: .epoch, letter: 40))
        let discarded = log([.discard(reason: "no")])
        #expect(status(discarded) == .discarded(at: .epoch, by: "n11", reason: "no"))
    }

    @Test func aRetryThatTheStreamForgotCanBeAskedForAgain() {
        var log = log([.retry(Self.original)])
        take(.retry(Self.original), into: &log, at: 40, after: 0)
        #expect(log[7]?.order == 40)
        #expect(DeadLetter.Status(log[7], first: 20) == .retrying(since: .epoch, by: "n40", deliveries: 0))
    }
}

/// Retries on a stream that forgets, or that others write to.
@Suite(.timeLimit(.minutes(1)))
struct DeadLetterRetryTests {
    private let mesh = InMemoryMesh()

    private func open(_ node: String, maximumMessages: Int? = nil) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: InMemoryStore(mesh),
            node: node,
            configuration: PersistentEventBus.Configuration(maximumMessages: maximumMessages)
        )
    }

    private func next(_ subscription: DurableSubscription) async throws -> DurableDelivery {
        var iterator = subscription.makeAsyncIterator()
        return try #require(try await iterator.next())
    }

    /// A dead letter of the durable `d`, whose original is the event `user.a`.
    private func letter(_ bus: PersistentEventBus) async throws -> DeadLetter {
        try await bus.emit("user.a", ["n": 1])
        let subscription = try await bus.subscribe(durable: "d", to: "user.a")
        try await next(subscription).terminate(reason: "why")
        try await subscription.drain()
        return try #require(try await bus.deadLetters(of: "d").first)
    }

    @Test func anOrderAboutAnotherEventDeliversNothing() async throws {
        let bus = try await open("n")
        let letter = try await letter(bus)
        let secret = try await bus.emit("user.secret")
        let stored = try #require(try await bus.history(matching: "user.secret").first)
        // As another program could write it: the durable is not about that event.
        let record = DeadLetterRecord(
            letter.sequence,
            .retry(DeadLetterOriginal(sequence: secret.sequence, storedAt: stored.storedAt)),
            after: 0
        )
        try await bus.emit(try record.event(durable: "d", node: "x", now: .now))
        let subscription = try await bus.subscribe(durable: "d", to: "user.a")
        async let reading = next(subscription)
        var status = letter.status
        while status == .open(problem: nil) || !status.isUntouched {
            try await Task.sleep(for: .milliseconds(5))
            status = try await bus.deadLetter(letter.sequence, of: "d").status
        }
        #expect(status == .open(problem: "event \(secret.sequence) is not one of this durable"))
        try await bus.emit("user.a", ["n": 2])
        #expect(try await reading.event.data == ["n": 2])
    }

    @Test func aDeadLetterThatNamesAnotherEventIsNotRetried() async throws {
        let bus = try await open("n")
        let other = try await bus.emit("user.a", ["n": 1])
        // From another program; it names an event that is not the one at that sequence.
        try await bus.emit(
            "user.dead_letter.d",
            [
                "type": "user.a", "sequence": .init(other.sequence), "node": "elsewhere",
                "timestamp": "2026-01-01T00:00:00Z", "reason": "x",
            ]
        )
        let letter = try #require(try await bus.deadLetters(of: "d").first)
        let error = await #expect(throws: MeshEventsError.self) { try await bus.retry(letter) }
        #expect(error?.code == .eventNotFound)
        #expect(try await bus.history(matching: "dead_letter.d").isEmpty)
    }

    @Test func aRetryThatNobodyTookWhileTheStreamHadItCanBeAskedForAgain() async throws {
        let bus = try await open("n", maximumMessages: 10)
        let letter = try await letter(bus)
        #expect(try await bus.retry(letter).isNew)
        // The stream drops the original and the dead letter before the record; a store with an archive has them still.
        #expect(try await bus.retry(letter).isNew == false)
        for _ in 0..<9 { try await bus.emit("user.b") }
        #expect(try await bus.deadLetters(of: "d").isEmpty)
        let error = await #expect(throws: MeshEventsError.self) { try await bus.deadLetter(letter.sequence, of: "d") }
        #expect(error?.code == .eventNotFound)
        #expect(error?.message.contains("\(letter.sequence) is no dead letter of the durable d") == true)
    }

    @Test func namesAndLimitsAreChecked() async throws {
        let bus = try await open("n")
        for name in ["", "a.b", "*", ">", "a b"] {
            let error = await #expect(throws: MeshEventsError.self) { try await bus.deadLetters(of: name) }
            #expect(error?.code == .invalidArgument, "\(name)")
        }
        let limit = await #expect(throws: MeshEventsError.self) { try await bus.deadLetters(of: "d", limit: 0) }
        #expect(limit?.code == .invalidArgument)
        let letter = try await letter(bus)
        let long = String(repeating: "x", count: 2_001)
        let reason = await #expect(throws: MeshEventsError.self) { try await bus.discard(letter, reason: long) }
        #expect(reason?.code == .invalidArgument)
        await bus.close()
        let closed = await #expect(throws: MeshEventsError.self) { try await bus.retry(letter) }
        #expect(closed?.code == .closed)
    }

    @Test func manyAtOnceAreEachDeliveredOnce() async throws {
        let bus = try await open("n")
        try await bus.emit(contentsOf: (0..<60).map { Event("user.a", data: ["n": .init($0)]) })
        let failing = try await bus.subscribe(durable: "d", to: "user.a")
        for _ in 0..<60 { try await next(failing).terminate(reason: "why") }
        try await failing.drain()
        let letters = try await bus.deadLetters(of: "d", limit: 100)
        #expect(letters.count == 60)
        let counts = Counts()
        let handlers = try await withThrowingTaskGroup(of: DurableHandlerSubscription.self) { group in
            for number in 0..<4 {
                group.addTask {
                    try await open("h\(number)").subscribe(
                        durable: "d",
                        to: "user.a",
                        configuration: .init(concurrency: 3)
                    ) { await counts.add($0.sequence) }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        // Three operators at once.
        try await withThrowingTaskGroup { group in
            for number in 0..<3 {
                group.addTask {
                    let bus = try await open("op\(number)")
                    for letter in number == 1 ? letters.reversed() : letters { try await bus.retry(letter) }
                }
            }
            try await group.waitForAll()
        }
        while handlers.reduce(0, { $0 + $1.acknowledged }) < 60 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await counts.values == Dictionary(uniqueKeysWithValues: (1...60).map { ($0, 1) }))
        #expect(try await bus.deadLetters(of: "d").isEmpty)
        for handler in handlers { try await handler.drain() }
    }
}

private actor Counts {
    private(set) var values: [UInt64: Int] = [:]

    func add(_ sequence: UInt64) { values[sequence, default: 0] += 1 }
}

extension DeadLetter.Status {
    fileprivate var isUntouched: Bool { if case .open = self { true } else { false } }
}
