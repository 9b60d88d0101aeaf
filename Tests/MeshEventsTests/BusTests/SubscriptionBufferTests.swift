import Testing

@testable import MeshEvents

/// The buffer between transport and subscriber, as a pure value.
struct SubscriptionBufferTests {
    private typealias Buffer = SubscriptionBuffer

    private func chunk(_ numbers: Range<Int>, bytes: Int = 10) -> EventChunk {
        var chunk = EventChunk()
        for number in numbers { chunk.append(Event("user.n", data: ["seq": .init(number)]), bytes: bytes) }
        return chunk
    }

    private func offer(_ numbers: Range<Int>, bytes: Int = 10, to buffer: inout Buffer) {
        var chunk = chunk(numbers, bytes: bytes)
        buffer.offer(&chunk)
        #expect(chunk.isEmpty)
    }

    private func numbers(_ delivery: SubscriptionDelivery?) -> [Int]? {
        guard case .chunk(var chunk) = delivery else { return nil }
        var numbers: [Int] = []
        while let event = chunk.popFirst() { numbers.append(event.data["seq"]?.int ?? -1) }
        return numbers
    }

    private func drain(_ buffer: inout Buffer) -> [Int] {
        var all: [Int] = []
        while let next = numbers(buffer.takeAnswer()) { all += next }
        return all
    }

    private func isNothing(_ delivery: SubscriptionDelivery?) -> Bool {
        if case .none = delivery { return true }
        return false
    }

    private func isEnd(_ delivery: SubscriptionDelivery?) -> Bool {
        if case .end = delivery { return true }
        return false
    }

    private func code(_ delivery: SubscriptionDelivery?) -> MeshEventsError.Code? {
        if case .failure(let error) = delivery { return error.code }
        return nil
    }

    @Test func eventsComeOutInTheOrderTheyCameIn() {
        var buffer = Buffer(EventSubscription.Buffer())
        for start in stride(from: 0, to: 3000, by: 7) { offer(start..<(start + 7), to: &buffer) }
        #expect(buffer.count == 3003)
        #expect(drain(&buffer) == Array(0..<3003))
        #expect(buffer.count == 0)
        #expect(buffer.received == 3003)
        #expect(buffer.dropped == 0)
    }

    @Test func chunksAreBoundedHoweverSmallTheBatches() {
        var buffer = Buffer(EventSubscription.Buffer())
        for number in 0..<2000 { offer(number..<(number + 1), to: &buffer) }
        var sizes: [Int] = []
        while let next = numbers(buffer.takeAnswer()) { sizes.append(next.count) }
        #expect(sizes.reduce(0, +) == 2000)
        #expect(sizes.allSatisfy { $0 <= EventChunk.maximumEvents })
        #expect(sizes.count == 4, "small batches are joined")
    }

    @Test func dropOldestKeepsTheNewestAndCountsExactly() {
        var buffer = Buffer(EventSubscription.Buffer(maximumEvents: 100, policy: .dropOldest))
        for start in stride(from: 0, to: 1000, by: 9) { offer(start..<(start + 9), to: &buffer) }
        #expect(buffer.received == 1008)
        #expect(buffer.dropped == 908)
        #expect(drain(&buffer) == Array(908..<1008))
    }

    @Test func oneBatchLargerThanTheBufferKeepsItsNewest() {
        var buffer = Buffer(EventSubscription.Buffer(maximumEvents: 3, policy: .dropOldest))
        offer(0..<500, to: &buffer)
        #expect(buffer.dropped == 497)
        #expect(drain(&buffer) == [497, 498, 499])
    }

    @Test func dropNewestKeepsTheOldestAndCountsExactly() {
        var buffer = Buffer(EventSubscription.Buffer(maximumEvents: 100, policy: .dropNewest))
        for start in stride(from: 0, to: 1000, by: 9) { offer(start..<(start + 9), to: &buffer) }
        #expect(buffer.dropped == 908)
        #expect(drain(&buffer) == Array(0..<100))
        offer(1..<3, to: &buffer)
        #expect(drain(&buffer) == [1, 2], "there is room again")
    }

    @Test func theByteLimitCountsExactly() {
        var buffer = Buffer(EventSubscription.Buffer(maximumBytes: 100, policy: .dropOldest))
        for number in 0..<50 { offer(number..<(number + 1), bytes: 30, to: &buffer) }
        #expect(buffer.dropped == 47)
        #expect(drain(&buffer) == [47, 48, 49])
    }

    @Test func anEventThatCanNeverFitCostsNoOther() {
        var buffer = Buffer(EventSubscription.Buffer(maximumBytes: 100, policy: .dropOldest))
        offer(0..<5, bytes: 20, to: &buffer)
        offer(5..<6, bytes: 101, to: &buffer)
        #expect(buffer.dropped == 1)
        #expect(drain(&buffer) == [0, 1, 2, 3, 4])
    }

    @Test func failDeliversWhatWaitsThenThrowsOnceThenEnds() {
        var buffer = Buffer(EventSubscription.Buffer(maximumEvents: 10, policy: .fail))
        offer(0..<8, to: &buffer)
        offer(8..<16, to: &buffer)
        #expect(buffer.isFinished)
        #expect(buffer.dropped == 6)
        offer(16..<20, to: &buffer)
        #expect(buffer.received == 16, "after the end nothing is taken or counted")
        var all: [Int] = []
        var last: SubscriptionDelivery?
        while true {
            last = buffer.takeAnswer()
            guard let more = numbers(last) else { break }
            all += more
        }
        #expect(all == Array(0..<10))
        #expect(code(last) == .subscriberTooSlow)
        #expect(isEnd(buffer.takeAnswer()))
        #expect(isEnd(buffer.takeAnswer()))
    }

    @Test func anEmptyBufferHasNothing() {
        var buffer = Buffer(EventSubscription.Buffer())
        #expect(isNothing(buffer.takeAnswer()))
        offer(0..<3, to: &buffer)
        #expect(numbers(buffer.takeAnswer()) == [0, 1, 2])
        #expect(isNothing(buffer.takeAnswer()))
    }

    @Test func theErrorGoesToOneReaderAndTheOthersGetTheEnd() {
        var buffer = Buffer(EventSubscription.Buffer())
        buffer.finish(MeshEventsError(.closed, "over"))
        buffer.finish(MeshEventsError(.timeout, "too late"))
        #expect(code(buffer.takeAnswer()) == .closed)
        #expect(isEnd(buffer.takeAnswer()))
        #expect(isEnd(buffer.takeAnswer()))
    }

    @Test func finishingKeepsWhatWaitsAndCancellingThrowsItAway() {
        var finished = Buffer(EventSubscription.Buffer())
        offer(0..<5, to: &finished)
        finished.finish(nil)
        #expect(drain(&finished) == [0, 1, 2, 3, 4])
        #expect(isEnd(finished.takeAnswer()))

        var cancelled = Buffer(EventSubscription.Buffer())
        offer(0..<5, to: &cancelled)
        cancelled.finish(MeshEventsError(.closed, "over"))
        cancelled.cancel()
        #expect(isEnd(cancelled.takeAnswer()), "no event and no error after a cancel")
        #expect(cancelled.count == 0)
    }

    @Test func whatIsPutBackComesFirst() {
        var buffer = Buffer(EventSubscription.Buffer())
        offer(0..<5, to: &buffer)
        guard case .chunk(var chunk) = buffer.takeAnswer() else {
            Issue.record("expected a chunk")
            return
        }
        _ = chunk.popFirst()
        offer(5..<7, to: &buffer)
        buffer.putBack(chunk, isCancelled: false)
        #expect(buffer.count == 6)
        #expect(drain(&buffer) == [1, 2, 3, 4, 5, 6])
    }

    @Test func theBufferNeverExceedsItsLimitsAndLosesNothingUncounted() {
        var random = SystemRandomNumberGenerator()
        for policy in [EventSubscription.Buffer.Policy.dropOldest, .dropNewest] {
            var buffer = Buffer(EventSubscription.Buffer(maximumEvents: 200, maximumBytes: 5000, policy: policy))
            var sent = 0
            var got: [Int] = []
            var used = EventChunk()
            for _ in 0..<500 {
                if Bool.random(using: &random) {
                    let count = Int.random(in: 1...90, using: &random)
                    offer(sent..<(sent + count), bytes: Int.random(in: 1...80, using: &random), to: &buffer)
                    sent += count
                } else if case .chunk(var chunk)? = buffer.take(recycling: &used) {
                    while let event = chunk.popFirst() { got.append(event.data["seq"]?.int ?? -1) }
                    used = chunk
                }
                #expect(buffer.count <= 200)
            }
            got += drain(&buffer)
            #expect(got == got.sorted() && Set(got).count == got.count)
            #expect(UInt64(got.count) + buffer.dropped == UInt64(sent))
            #expect(buffer.received == UInt64(sent))
        }
    }
}
