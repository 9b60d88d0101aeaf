import Testing

@testable import MeshEvents

/// What a durable subscription does, without a store and without time passing.
struct DurableStateTests {
    private let start = ContinuousClock.now
    private let wait: Duration = .seconds(30)

    private func state(outstanding: Int = 4, workers: Int = 1, keepsAlive: Bool = false) -> DurableState {
        DurableState(
            maximumOutstanding: outstanding,
            acknowledgementWait: wait,
            workers: workers,
            keepsAlive: keepsAlive
        )
    }

    private func message(_ sequence: UInt64, deliveries: Int = 1, storedAt: Int64 = 0) -> DurableMessage {
        DurableMessage(
            stored: StoredMessage(
                subject: "events.user.a",
                payload: [],
                sequence: sequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: storedAt)
            ),
            deliveries: deliveries,
            token: "\(sequence)/\(deliveries)"
        )
    }

    private func entry(_ taken: DurableTaken?) -> DurableEntry? {
        if case .entry(let entry) = taken { entry } else { nil }
    }

    @Test func nothingIsFetchedBeforeSomebodyWaits() {
        var state = state()
        #expect(state.demand(start, readers: 0) == .idle)
        #expect(state.take(start) == nil)
        #expect(state.demand(start, readers: 1) == .fetch(1))
        #expect(state.arrive(message(1), Event("user.a"), start) == .accepted)
        #expect(state.demand(start, readers: 1) == .idle)
        #expect(entry(state.take(start))?.message.stored.sequence == 1)
        #expect(state.demand(start, readers: 0) == .idle)
    }

    @Test func noMoreIsInHandThanAllowedUntilAnAnswerOrTheEndOfTheWait() {
        var state = state(outstanding: 2)
        for sequence in 1...2 {
            #expect(state.arrive(message(UInt64(sequence)), Event("user.a"), start) == .accepted)
        }
        let first = entry(state.take(start))
        #expect(entry(state.take(start)) != nil)
        #expect(state.demand(start, readers: 1) == .full(until: start + wait))
        // What was not answered in time is not in hand any more.
        #expect(state.demand(start + wait, readers: 1) == .fetch(1))
        state.settle(first?.id ?? 0, .acknowledge, start)
        guard case .fetch = state.demand(start, readers: 1) else {
            Issue.record("room after an answer: \(state.demand(start, readers: 1))")
            return
        }
    }

    @Test("requests grow while no event passes the filter, within what may be held; one that passes shrinks them")
    func requestsGrowWhileNothingPasses() {
        var state = state(outstanding: 40)
        var asked: [Int] = []
        for _ in 0..<8 {
            guard case .fetch(let count) = state.demand(start, readers: 1) else { break }
            asked.append(count)
            state.beginBatch()
            state.endBatch(count, unwanted: count)
        }
        #expect(asked == [1, 2, 4, 8, 16, 32, 40, 40])
        // An empty request says nothing.
        state.endBatch(0, unwanted: 0)
        #expect(state.demand(start, readers: 1) == .fetch(40))
        state.endBatch(40, unwanted: 30)
        #expect(state.demand(start, readers: 1) == .fetch(4))
        #expect(state.demand(start, readers: 3) == .fetch(12))
        state.endBatch(4, unwanted: 0)
        #expect(state.demand(start, readers: 1) == .fetch(1))
        var large = self.state(outstanding: .max)
        for _ in 0..<100 { large.endBatch(1, unwanted: 1) }
        #expect(large.demand(start, readers: 2) == .fetch(512))
    }

    @Test func anEventThatWasHandledIsAnsweredAgainAndNotHandedOut() {
        var state = state()
        #expect(state.arrive(message(1), Event("user.a"), start) == .accepted)
        let first = entry(state.take(start))
        #expect(state.claim(first?.id ?? 0, .acknowledge) != nil)
        #expect(state.claim(first?.id ?? 0, .acknowledge) == nil, "answered once")
        state.settle(first?.id ?? 0, nil, start)
        #expect(state.arrive(message(1, deliveries: 2), Event("user.a"), start) == .answered(.acknowledge))
        // A stream that was made anew gives the same sequences to other events.
        #expect(state.arrive(message(1, storedAt: 1), Event("user.a"), start) == .accepted)
    }

    @Test func anAcknowledgementIsConfirmedOnceWhicheverDeliveryItBelongsTo() throws {
        var state = state()
        _ = state.arrive(message(1), Event("user.a"), start)
        let taken = entry(state.take(start))
        let first = try #require(taken)
        _ = state.claim(first.id, .acknowledge)
        #expect(!state.isConfirmed(first.message), "it is under way")
        // The store has lost the first delivery, and makes another one.
        let again = message(1, deliveries: 2)
        let arrival = state.arrive(again, Event("user.a"), start)
        #expect(arrival == .answered(.acknowledge))
        let isFirst = state.confirm(again)
        #expect(isFirst)
        #expect(state.isConfirmed(first.message), "for the handler, too")
        let isFirstAgain = state.confirm(first.message)
        #expect(!isFirstAgain, "counted already")
    }

    @Test func whatIsGivenUpCountsAsNoAcknowledgement() throws {
        var state = state()
        _ = state.arrive(message(1), Event("user.a"), start)
        let taken = entry(state.take(start))
        let first = try #require(taken)
        _ = state.claim(first.id)
        state.settle(first.id, .acknowledge, start)
        let again = message(1, deliveries: 2)
        let arrival = state.arrive(again, Event("user.a"), start)
        #expect(arrival == .answered(.acknowledge))
        let isFirst = state.confirm(again)
        #expect(!isFirst)
    }

    @Test func anEventThatAHandlerHasIsNotHandedOutTwiceAndItsNewestDeliveryIsAnswered() {
        var state = state(keepsAlive: true)
        #expect(state.arrive(message(1), Event("user.a"), start) == .accepted)
        let first = entry(state.take(start))
        #expect(state.arrive(message(1, deliveries: 2), Event("user.a"), start) == .ignored)
        #expect(state.take(start) == nil)
        #expect(state.claim(first?.id ?? 0)?.message.token == "1/2")
    }

    @Test func anEventThatAReaderLetGoOfIsHandedOutAgain() {
        var state = state()
        #expect(state.arrive(message(1), Event("user.a"), start) == .accepted)
        let first = entry(state.take(start))
        #expect(state.arrive(message(1, deliveries: 2), Event("user.a"), start + wait) == .accepted)
        #expect(state.claim(first?.id ?? 0) == nil, "the first delivery is nobody's any more")
        let second = entry(state.take(start + wait))
        #expect(second?.message.deliveries == 2)
        #expect(state.claim(second?.id ?? 0, .acknowledge) != nil)
    }

    @Test func whatHasWaitedHereTooLongIsNotHandedOut() {
        var state = state()
        #expect(state.arrive(message(1), Event("user.a"), start) == .accepted)
        #expect(state.take(start + wait * 0.9) == nil)
        #expect(state.arrive(message(1, deliveries: 2), Event("user.a"), start + wait) == .accepted)
        #expect(entry(state.take(start + wait))?.message.deliveries == 2)
    }

    @Test func beyondTheMaximumOfDeliveriesAMessageIsExhaustedUnlessItWasHandled() {
        var state = state()
        #expect(state.arrive(message(1, deliveries: 6), Event("user.a"), start, limit: 5) == .exhausted)
        #expect(state.arrive(message(2, deliveries: 5), Event("user.a"), start, limit: 5) == .accepted)
        let taken = entry(state.take(start))
        #expect(state.claim(taken?.id ?? 0, .acknowledge) != nil)
        state.settle(taken?.id ?? 0, nil, start)
        #expect(state.arrive(message(2, deliveries: 6), Event("user.a"), start, limit: 5) == .answered(.acknowledge))
    }

    @Test func drainingHandsBackWhatWaitsInOrderAndIsSettledByAnswers() {
        var state = state(outstanding: 10)
        for sequence in 1...4 { _ = state.arrive(message(UInt64(sequence)), Event("user.a"), start) }
        let first = entry(state.take(start))
        #expect(state.drain().map(\.stored.sequence) == [2, 3, 4])
        #expect(state.demand(start, readers: 1) == .stop)
        #expect(!state.isSettled)
        if case .end = state.take(start) {} else { Issue.record("readers get the end") }
        // What the last request brings goes back with the others, as long as those have not.
        #expect(state.arrive(message(9), Event("user.a"), start) == .refused)
        let isKept = state.keepRefused(message(9))
        let kept = state.takeRefused()
        #expect(isKept && kept.map(\.stored.sequence) == [9])
        let isStillKept = state.keepRefused(message(10))
        let more = state.takeRefused()
        #expect(!isStillKept && more.isEmpty)
        state.settle(first?.id ?? 0, .acknowledge, start)
        #expect(state.isSettled)
    }

    @Test func endingHandsBackEverythingWhoseAnswerIsNotOnItsWay() {
        var state = state(outstanding: 10)
        for sequence in 1...3 { _ = state.arrive(message(UInt64(sequence)), Event("user.a"), start) }
        let first = entry(state.take(start))
        _ = state.take(start)
        _ = state.claim(first?.id ?? 0, .acknowledge)
        #expect(state.end(nil).map(\.stored.sequence) == [2, 3])
        #expect(state.end(nil).isEmpty)
        #expect(!state.isSettled)
        state.settle(first?.id ?? 0, nil, start)
        #expect(state.isSettled)
    }

    @Test func aFailureReachesReadersThatComeLater() {
        var state = state()
        _ = state.end(MeshEventsError(.durableNotFound, "gone"))
        guard case .failure(let error)? = state.take(start) else {
            Issue.record("the reader that waits gets the failure")
            return
        }
        #expect(error.code == .durableNotFound)
        if case .failure = state.take(start) {} else { Issue.record("and the next one") }
    }

    @Test func keepingAliveBeginsTheWaitOfEverythingAnew() {
        var state = state(outstanding: 1, keepsAlive: true)
        _ = state.arrive(message(1), Event("user.a"), start)
        _ = state.take(start)
        #expect(state.extendAll(start + wait * 0.5).map(\.token) == ["1/1"])
        #expect(state.demand(start + wait, readers: 1) == .full(until: start + wait * 1.5))
    }

    @Test func whatCameWithADeliveryThatTheStoreDoesNotKnowIsForgottenAndTakenAgain() throws {
        var state = state(outstanding: 10, keepsAlive: true)
        state.beginBatch()
        for sequence in 1...3 { _ = state.arrive(message(UInt64(sequence)), Event("user.a"), start) }
        let taken = entry(state.take(start))
        let first = try #require(taken)
        let answering = state.claim(first.id, .acknowledge)
        let claimed = try #require(answering)
        state.beginBatch()
        _ = state.arrive(message(4), Event("user.a"), start)
        #expect(!state.isDoubtful(claimed))
        state.unconfirmed(claimed)
        #expect(state.isDoubtful(claimed), "of what came with it")
        state.settle(first.id, nil, start)
        #expect(entry(state.take(start))?.message.stored.sequence == 4, "what a later request brought stays")
        #expect(state.take(start) == nil)
        #expect(state.arrive(message(1), Event("user.a"), start) == .answered(.acknowledge))
        #expect(state.arrive(message(2), Event("user.a"), start) == .accepted)
        #expect(entry(state.take(start))?.message.stored.sequence == 2)
    }
}
