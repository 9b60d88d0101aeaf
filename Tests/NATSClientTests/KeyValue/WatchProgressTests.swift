import Testing

@testable import NATSClient

@Suite("The progress of a watch")
struct WatchProgressTests {
    @Test("what is stored comes first, then the marker once, then what is new")
    func values() {
        var progress = WatchProgress(start: .values, last: 9)
        #expect(progress.next == nil)
        progress.begin(pending: 2)
        #expect(progress.takeCompletion() == false)
        progress.requested(10)
        #expect(progress.take(delivery: 1, revision: 4, pending: 1) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(progress.take(delivery: 2, revision: 9, pending: 0) == .deliver)
        #expect([progress.takeCompletion(), progress.takeCompletion()] == [true, false])
        #expect(progress.take(delivery: 3, revision: 12, pending: 0) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(progress.next == 13 && progress.newest == 12 && progress.outstanding == 7)
    }

    @Test("an empty bucket is complete at once, and so is a watch of changes")
    func nothing() {
        var empty = WatchProgress(start: .values, last: 0)
        empty.begin(pending: 0)
        #expect(empty.takeCompletion() == true)
        var changes = WatchProgress(start: .changes, last: 7)
        #expect(changes.next == 8)
        changes.begin(pending: 3)
        #expect(changes.takeCompletion() == true)
    }

    @Test("a bucket that is written all the time is complete at the revision that was the newest at the beginning")
    func busy() {
        var progress = WatchProgress(start: .history, last: 5)
        progress.begin(pending: 2)
        #expect(progress.take(delivery: 1, revision: 4, pending: 8) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(progress.take(delivery: 2, revision: 6, pending: 9) == .deliver)
        #expect(progress.takeCompletion() == true)
    }

    @Test("values that were deleted before they came do not hold up the marker")
    func vanished() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 3)
        #expect(progress.heartbeat(delivery: 0) == .ignore)
        #expect(progress.takeCompletion() == true)
    }

    @Test("a missing delivery asks for another consumer, which begins behind the last revision")
    func losses() {
        var progress = WatchProgress(start: .revision(3), last: 9)
        progress.begin(pending: 5)
        #expect(progress.take(delivery: 1, revision: 3, pending: 4) == .deliver)
        #expect(progress.take(delivery: 3, revision: 5, pending: 2) == .restart)
        #expect(progress.next == 4)
        progress.begin(pending: 4)
        #expect(progress.take(delivery: 1, revision: 3, pending: 4) == .ignore)
        #expect(progress.take(delivery: 2, revision: 4, pending: 3) == .deliver)
        #expect(progress.heartbeat(delivery: 3) == .restart)
        #expect(progress.takeCompletion() == false)
        #expect(progress.newest == 9)
        #expect(WatchProgress(start: .revision(0), last: 9).next == 1)
        #expect(WatchProgress(start: .revision(12), last: 9).newest == 9)
    }

    @Test("absurd numbers do not trap")
    func absurd() {
        var progress = WatchProgress(start: .changes, last: .max)
        progress.begin(pending: .max)
        #expect(progress.take(delivery: 1, revision: .max, pending: .max) == .deliver)
        #expect(progress.next == .max)
        progress.requested(1)
        progress.requestEnded()
        #expect(progress.outstanding == 0)
    }
}
