import MeshConcurrency
import MeshEvents

extension StoreConformance {
    /// Retries of dead letters.
    static let deadLetters: [Check] = [
        Check("a retry reaches the handlers of its durable alone, with the original's place, once", needs: [.durables])
        {
            fixture in
            let bus = try await fixture.open()
            let headers: MessageHeaders = ["X-Test": "kept"]
            let place = try await fixture.store.append(
                PendingMessage(
                    subject: "events.user.job",
                    payload: Array(#"{"type":"user.job","node":"n","data":{"seq":7}}"#.utf8),
                    messageID: "job-7",
                    headers: headers
                ),
                deadline: .seconds(10)
            )
            let stored = try await bus.history()[0]
            let letter = try await fixture.giveUp("jobs", bus, "no disk")
            try requireEqual(letter.original.sequence, place.sequence, "the original's sequence")
            try requireEqual(letter.original.type, "user.job", "its type")
            try requireEqual(letter.reason, "no disk", "the reason")
            try requireEqual(letter.status, .open(problem: nil), "the status before")
            let others = try await bus.subscribe(durable: "others", to: "user.job")
            try requireEqual(try await others.acknowledge(1, "the original").numbers, [7], "the other durable's event")
            let live = try await bus.bus.subscribe(to: "user.job")
            let jobs = try await bus.subscribe(durable: "jobs", to: "user.job")
            // Two operators at once, and each again.
            let second = try await fixture.openOther()
            let changes = try await withThrowingTaskGroup(of: DeadLetter.Change.self) { group in
                for bus in [bus, second, bus, second] { group.addTask { try await bus.retry(letter) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try requireEqual(changes.count { $0.isNew }, 1, "calls that changed something")
            let delivery = try await jobs.first("the retry")
            try requireEqual(delivery.sequence, place.sequence, "the sequence")
            try requireEqual(delivery.storedAt, stored.storedAt, "the time of storing")
            try requireEqual(delivery.event, stored.event, "the event")
            try requireEqual(delivery.event.origin?.headers["X-Test"], "kept", "a header field")
            try requireEqual(delivery.deliveries, 1, "deliveries")
            try requireEqual(delivery.deadLetter, letter.sequence, "the dead letter")
            try await delivery.ack()
            try requireEqual(try await bus.retry(letter).isNew, false, "a retry afterwards")
            try await bus.emit("user.job", ["seq": 8])
            for subscription in [jobs, others] {
                let next = try await subscription.acknowledge(1, "the next event")
                try requireEqual(next.numbers, [8], "the next event of \(subscription.name)")
                try requireEqual(next[0].deadLetter, nil, "its dead letter")
            }
            try requireEqual(try await live.collect(1, "the live event").numbers, [8], "what a subscriber got")
            try requireEqual(try await bus.deadLetters(of: "jobs"), [], "what is open")
            let settled = try await bus.deadLetters(of: "jobs", includesSettled: true)
            guard case .handled(_, "node-a")? = settled.first?.status else {
                throw ConformanceFailure("the status afterwards: \(settled)")
            }
        },
        Check("a retry waits for a handler", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let letter = try await fixture.giveUp("jobs", bus, "later")
            let change = try await bus.retry(letter)
            guard change.isNew, case .retrying(_, "node-a", 0) = change.letter.status else {
                throw ConformanceFailure("the change: \(change)")
            }
            let jobs = try await fixture.openOther().subscribe(durable: "jobs", to: "user.job")
            let delivery = try await jobs.first("the retry")
            try requireEqual(delivery.deadLetter, letter.sequence, "the dead letter")
            guard case .retrying(_, _, 1) = try await bus.deadLetter(letter.sequence, of: "jobs").status else {
                throw ConformanceFailure("the status while a handler has it")
            }
            try await requireCode(.conflict, "discarding it meanwhile") { try await bus.discard(letter, reason: "no") }
            try await delivery.ack()
        },
        Check("a retry that fails too often is another dead letter, which can be retried", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let letter = try await fixture.giveUp("jobs", bus, "first")
            let recorder = Recorder()
            let succeeds = Locked(false)
            let jobs = try await bus.subscribe(
                durable: "jobs",
                to: "user.job",
                configuration: .init(redelivery: .constant(.milliseconds(50)))
            ) { delivery in
                recorder.add("\(delivery.deadLetter ?? 0) \(delivery.deliveries)")
                if !succeeds.withLock({ $0 }) { throw ConformanceFailure("not yet") }
            }
            try await bus.retry(letter)
            try await until("another dead letter") { jobs.deadLettered == 1 }
            try requireEqual(recorder.texts, (1...5).map { "\(letter.sequence) \($0)" }, "the deliveries")
            let open = try await bus.deadLetters(of: "jobs")
            try requireEqual(open.map(\.retryOf), [letter.sequence], "what the open ones come from")
            try requireEqual(open.map(\.original.sequence), [letter.original.sequence], "what they are about")
            try await untilAsync("the first to be settled") {
                try await bus.deadLetter(letter.sequence, of: "jobs").status.isFailedAgain(as: open[0].sequence)
            }
            try requireEqual(try await bus.retry(letter).isNew, false, "another retry of the first one")
            succeeds.withLock { $0 = true }
            try await bus.retry(open[0])
            try await until("the second retry") { jobs.acknowledged == 1 }
            try requireEqual(recorder.texts.last, "\(open[0].sequence) 1", "the last delivery")
            try requireEqual(try await bus.deadLetters(of: "jobs"), [], "what is open at the end")
            try await jobs.drain()
        },
        Check("subscribers of one durable share retries: each is handled once", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            for number in 0..<10 { try await bus.emit("user.job", ["seq": .init(number)]) }
            try await fixture.giveUpAll("jobs", bus, 10)
            let letters = try await bus.deadLetters(of: "jobs")
            try requireEqual(letters.count, 10, "dead letters")
            let recorder = Recorder()
            let handler: @Sendable (DurableDelivery) async throws -> Void = { recorder.add("\($0.sequence)") }
            let one = try await bus.subscribe(durable: "jobs", to: "user.job", handler: handler)
            let two = try await fixture.openOther().subscribe(durable: "jobs", to: "user.job", handler: handler)
            for letter in letters { try await bus.retry(letter) }
            try await until("ten retries") { one.acknowledged + two.acknowledged == 10 }
            try requireEqual(
                recorder.texts.sorted(),
                letters.map { "\($0.original.sequence)" }.sorted(),
                "what was handled"
            )
            try await one.drain()
            try await two.drain()
        },
        Check("a retry without an answer comes again after the acknowledgement wait", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let configuration = DurableSubscription.Configuration(acknowledgementWait: .seconds(1))
            let letter = try await fixture.giveUp("jobs", bus, "why", configuration)
            let jobs = try await bus.subscribe(durable: "jobs", to: "user.job", configuration: configuration)
            try await bus.retry(letter)
            let lost = try await jobs.first("the retry")
            try requireEqual(lost.deliveries, 1, "deliveries")
            let again = try await jobs.first("the retry again")
            try requireEqual(again.deliveries, 2, "deliveries of the second")
            try requireEqual(again.deadLetter, letter.sequence, "its dead letter")
            try await again.ack()
            try requireEqual(try await bus.deadLetters(of: "jobs"), [], "what is open")
        },
        Check("a handler of a retry may take longer than the acknowledgement wait", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let configuration = DurableSubscription.Configuration(acknowledgementWait: .seconds(2))
            let letter = try await fixture.giveUp("jobs", bus, "why", configuration)
            let recorder = Recorder()
            let handler: @Sendable (DurableDelivery) async throws -> Void = { delivery in
                recorder.add("\(delivery.deliveries)")
                try await Task.sleep(for: .seconds(5))
            }
            let slow = try await bus.subscribe(
                durable: "jobs",
                to: "user.job",
                configuration: configuration,
                handler: handler
            )
            let idle = try await fixture.openOther().subscribe(
                durable: "jobs",
                to: "user.job",
                configuration: configuration,
                handler: handler
            )
            try await bus.retry(letter)
            try await until("the retry to be acknowledged") { slow.acknowledged + idle.acknowledged == 1 }
            try requireEqual(recorder.texts, ["1"], "the deliveries")
            try await slow.drain()
            try await idle.drain()
        },
        Check("an original that is gone is said, and nothing changes", needs: [.durables, .administration]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let letter = try await fixture.giveUp("jobs", bus, "why")
            try requireEqual(try await bus.original(of: letter)?.sequence, 1, "the original")
            _ = try await bus.purge(matching: "user.job")
            try requireEqual(try await bus.original(of: letter), nil, "the original afterwards")
            try await requireCode(.eventNotFound, "the retry") { try await bus.retry(letter) }
            try requireEqual(try await bus.deadLetters(of: "jobs"), [letter], "what is open")
            try requireEqual(try await bus.history(matching: "dead_letter.jobs"), [], "records")
            try await requireCode(.eventNotFound, "another sequence") { _ = try await bus.deadLetter(1, of: "jobs") }
        },
        Check(
            "an original that is gone before it is delivered leaves its dead letter open",
            needs: [.durables, .administration]
        ) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let letter = try await fixture.giveUp("jobs", bus, "why")
            try await bus.retry(letter)
            _ = try await bus.purge(matching: "user.job")
            let jobs = try await bus.subscribe(durable: "jobs", to: "user.job")
            let reading = Task { try await jobs.first("an event") }
            try await untilAsync("a problem to be noted") {
                if case .open(.some) = try await bus.deadLetter(letter.sequence, of: "jobs").status {
                    true
                } else {
                    false
                }
            }
            try await bus.emit("user.job", ["seq": 2])
            try requireEqual([try await reading.value].numbers, [2], "what is delivered")
        },
        Check("a discarded dead letter is not listed, says why, and can be retried", needs: [.durables]) { fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let letter = try await fixture.giveUp("jobs", bus, "why")
            try await requireCode(.invalidArgument, "no reason") { try await bus.discard(letter, reason: "") }
            let other = try await fixture.openOther()
            try requireEqual(try await other.discard(letter, reason: "too old").isNew, true, "the first")
            try requireEqual(try await bus.discard(letter, reason: "again").isNew, false, "the second")
            try requireEqual(try await bus.deadLetters(of: "jobs"), [], "what is open")
            let found = try await bus.deadLetter(letter.sequence, of: "jobs").status
            guard case .discarded(_, "node-b", "too old") = found else {
                throw ConformanceFailure("the status: \(found)")
            }
            try requireEqual(try await bus.retry(letter).isNew, true, "a retry")
            let jobs = try await bus.subscribe(durable: "jobs", to: "user.job")
            try requireEqual(try await jobs.acknowledge(1, "the retry").numbers, [1], "the retry")
        },
        Check("a drain hands a retry back, and a durable on everything gets no records", needs: [.durables]) {
            fixture in
            let bus = try await fixture.open()
            try await bus.emit("user.job", ["seq": 1])
            let all = try await bus.subscribe(durable: "all")
            let first = try await all.first("the event")
            try await first.terminate(reason: "why")
            let letter = try await bus.deadLetters(of: "all")[0]
            try await bus.retry(letter)
            try requireEqual(try await all.first("the retry").deadLetter, letter.sequence, "the dead letter")
            all.cancel()
            let again = try await fixture.openOther().subscribe(durable: "all")
            let retry = try await again.first("the retry again", within: .seconds(20))
            try requireEqual(retry.deliveries, 2, "its deliveries")
            try await retry.ack()
            try await bus.emit("user.job", ["seq": 2])
            try requireEqual(try await again.acknowledge(1, "the next").numbers, [2], "the next")
        },
    ]
}

extension StoreConformance.Fixture {
    /// Has a durable give up the first event that waits for it.
    func giveUp(
        _ durable: String,
        _ bus: PersistentEventBus,
        _ reason: String,
        _ configuration: DurableSubscription.Configuration = .init()
    ) async throws -> DeadLetter {
        let subscription = try await bus.subscribe(durable: durable, to: "user.job", configuration: configuration)
        try await subscription.first("the event").terminate(reason: reason)
        try await subscription.drain()
        guard let letter = try await bus.deadLetters(of: durable).last else {
            throw ConformanceFailure("no dead letter of \(durable)")
        }
        return letter
    }

    /// Has a durable give up this many events.
    func giveUpAll(_ durable: String, _ bus: PersistentEventBus, _ count: Int) async throws {
        let subscription = try await bus.subscribe(durable: durable, to: "user.job")
        for _ in 0..<count { try await subscription.first("an event").terminate(reason: "why") }
        try await subscription.drain()
    }
}

extension DeadLetter.Status {
    fileprivate func isFailedAgain(as letter: UInt64) -> Bool {
        if case .failedAgain(_, letter) = self { true } else { false }
    }
}

/// Waits until a condition holds; checks it every 20 ms.
private func untilAsync(
    _ what: String,
    within limit: Duration = .seconds(60),
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard .now < deadline else { throw ConformanceFailure("not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
