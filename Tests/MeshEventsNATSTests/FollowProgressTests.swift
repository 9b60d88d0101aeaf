import Testing

@testable import MeshEventsNATS

@Suite("How far a replay has come")
struct FollowProgressTests {
    /// A progress whose consumer stands before `next`, in a stream from 1 to 100.
    private func begun(next: UInt64?, matchesAll: Bool, pending: UInt64 = 100) -> FollowProgress {
        var progress = FollowProgress(next: next, matchesAll: matchesAll)
        _ = progress.begin(first: 1, last: 100, pending: pending)
        progress.request(10)
        return progress
    }

    @Test("the last sequence of 64 bits is delivered like any other")
    func lastSequence() {
        for matchesAll in [true, false] {
            var progress = begun(next: .max - 1, matchesAll: matchesAll)
            #expect(progress.delivered(consumer: 1, stream: .max - 1, pending: 1) == .deliver(lost: nil))
            #expect(progress.delivered(consumer: 2, stream: .max, pending: 0) == .deliver(lost: nil))
            #expect(progress.next == .max)
            _ = progress.check(first: .max)
            _ = progress.heartbeat(consumer: 2, stream: .max)
            _ = progress.begin(first: .max, last: .max, pending: .max)
        }
    }

    @Test("deliveries in order are handed over, one missing restarts, one seen before is ignored")
    func order() {
        var progress = begun(next: 1, matchesAll: true)
        #expect(progress.delivered(consumer: 1, stream: 1, pending: 99) == .deliver(lost: nil))
        #expect(progress.delivered(consumer: 2, stream: 2, pending: 98) == .deliver(lost: nil))
        guard case .restart = progress.delivered(consumer: 4, stream: 4, pending: 96) else {
            Issue.record("a delivery is missing")
            return
        }
        #expect(progress.next == 3)
        // The next consumer begins behind what was handed over, or a little before.
        #expect(progress.begin(first: 1, last: 100, pending: 99) == nil)
        progress.request(10)
        #expect(progress.delivered(consumer: 1, stream: 2, pending: 98) == .ignore)
        #expect(progress.delivered(consumer: 2, stream: 3, pending: 97) == .deliver(lost: nil))
    }

    @Test("when all matches, a jump is what was lost; with a filter it is not")
    func jumps() {
        var all = begun(next: 5, matchesAll: true)
        #expect(all.delivered(consumer: 1, stream: 8, pending: 92) == .deliver(lost: 5...7))
        var filtered = begun(next: 5, matchesAll: false)
        #expect(filtered.delivered(consumer: 1, stream: 8, pending: 92) == .deliver(lost: nil))
        var unknown = begun(next: nil, matchesAll: true)
        #expect(unknown.delivered(consumer: 1, stream: 8, pending: 92) == .deliver(lost: nil))
        #expect(unknown.delivered(consumer: 2, stream: 10, pending: 90) == .deliver(lost: 9...9))
    }

    @Test("what a stream has dropped before a consumer began is lost")
    func restartBehindTheStream() {
        var progress = begun(next: 5, matchesAll: false)
        #expect(progress.begin(first: 5, last: 100, pending: 10) == nil)
        #expect(progress.begin(first: 20, last: 100, pending: 10) == 5...19)
        #expect(progress.next == 20)
        var unknown = FollowProgress(next: nil, matchesAll: false)
        #expect(unknown.begin(first: 20, last: 100, pending: 10) == nil)
    }

    @Test("a request that is used up is followed by a look at the stream, with a filter only")
    func checks() {
        for matchesAll in [true, false] {
            var progress = begun(next: 1, matchesAll: matchesAll)
            for number in 1...10 as ClosedRange<UInt64> {
                #expect(!progress.needsCheck)
                #expect(
                    progress.delivered(consumer: number, stream: number, pending: 100 - number) == .deliver(lost: nil)
                )
            }
            #expect(progress.outstanding == 0)
            #expect(progress.needsCheck == !matchesAll)
        }
        var progress = begun(next: 1, matchesAll: false)
        for number in 1...10 as ClosedRange<UInt64> {
            _ = progress.delivered(consumer: number, stream: number * 2, pending: 100 - number)
        }
        #expect(progress.check(first: 1) == [])
        #expect(!progress.needsCheck)
        progress.request(10)
        // Sequences 21 to 24 went while the request was served, 31 and on while the consumer stood still.
        for number in 11...20 as ClosedRange<UInt64> {
            _ = progress.delivered(consumer: number, stream: number + 14, pending: 100 - number)
        }
        #expect(progress.check(first: 40) == [21...24, 35...39])
        #expect(progress.next == 40)
    }

    @Test("what a waiting consumer has passed over is not lost")
    func waiting() {
        var progress = begun(next: 101, matchesAll: false, pending: 0)
        #expect(progress.heartbeat(consumer: 0, stream: 5_000) == .ignore)
        #expect(progress.next == 5_001)
        #expect(progress.delivered(consumer: 1, stream: 9_000, pending: 0) == .deliver(lost: nil))
        progress.requestEnded(unfilled: nil, isCutShort: false)
        #expect(!progress.needsCheck)
        #expect(progress.heartbeat(consumer: 1, stream: 8_000) == .ignore)
        #expect(progress.next == 9_001)
        #expect(progress.begin(first: 9_001, last: 9_010, pending: 0) == nil)
    }

    @Test("when all matches, what a waiting consumer has passed over is lost")
    func passedOver() {
        var progress = begun(next: 101, matchesAll: true, pending: 0)
        #expect(progress.heartbeat(consumer: 0, stream: 100) == .ignore)
        #expect(progress.heartbeat(consumer: 0, stream: 110) == .deliver(lost: 101...110))
        #expect(progress.heartbeat(consumer: nil, stream: nil) == .ignore)
        guard case .restart = progress.heartbeat(consumer: 3, stream: 120) else {
            Issue.record("three deliveries are missing")
            return
        }
    }

    @Test("the seam comes once: behind what was stored, or when there is nothing")
    func caughtUp() {
        var empty = begun(next: 101, matchesAll: true, pending: 0)
        #expect(empty.takeCaughtUp() == true)
        #expect(empty.takeCaughtUp() == false)
        var progress = begun(next: 99, matchesAll: true, pending: 2)
        #expect(progress.takeCaughtUp() == false)
        // Others come meanwhile: they are live.
        _ = progress.delivered(consumer: 1, stream: 99, pending: 7)
        #expect(progress.takeCaughtUp() == false)
        _ = progress.delivered(consumer: 2, stream: 100, pending: 12)
        #expect(progress.takeCaughtUp() == true)
        var dropped = begun(next: 50, matchesAll: false, pending: 50)
        _ = dropped.delivered(consumer: 1, stream: 130, pending: 12)
        #expect(dropped.takeCaughtUp() == true)
        var gone = begun(next: 50, matchesAll: false, pending: 50)
        _ = gone.heartbeat(consumer: 0, stream: nil)
        #expect(gone.takeCaughtUp() == true)
        var over = begun(next: 50, matchesAll: false, pending: 50)
        _ = over.begin(first: 1, last: 100, pending: 50)
        #expect(over.takeCaughtUp() == false)
    }
}
