import Testing

@testable import NATSClient

@Suite("The progress of a watch")
struct WatchProgressTests {
    @Test("values come first, then the marker once; a second consumer brings what is new")
    func values() {
        var progress = WatchProgress(start: .values, last: 9)
        #expect(progress.start == .lastPerSubject)
        progress.begin(pending: 2)
        #expect(progress.readsValues)
        #expect(progress.takeCompletion() == false)
        progress.requested(10)
        #expect(progress.take(delivery: 1, revision: 4, pending: 1) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(!progress.needsConsumer)
        #expect(progress.take(delivery: 2, revision: 9, pending: 0) == .deliver)
        #expect([progress.takeCompletion(), progress.takeCompletion()] == [true, false])
        #expect(progress.needsConsumer && progress.start == .sequence(10))
        // The second consumer brings this one again.
        #expect(progress.take(delivery: 3, revision: 12, pending: 0) == .ignore)
        #expect(progress.start == .sequence(10) && progress.newest == 12 && progress.outstanding == 7)
        progress.begin(pending: 2)
        #expect(!progress.needsConsumer && !progress.readsValues)
        #expect(progress.take(delivery: 1, revision: 11, pending: 1) == .deliver)
        #expect(progress.take(delivery: 2, revision: 12, pending: 0) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(progress.start == .sequence(13))
    }

    @Test("a revision that was stored after the beginning ends the values, and comes behind the marker")
    func overtaken() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 4)
        #expect(progress.take(delivery: 1, revision: 2, pending: 3) == .deliver)
        #expect(progress.take(delivery: 2, revision: 7, pending: 2) == .ignore)
        #expect(progress.takeCompletion() == true)
        #expect(progress.needsConsumer)
        #expect(progress.start == .sequence(6))
        progress.begin(pending: 3)
        #expect(progress.take(delivery: 1, revision: 6, pending: 2) == .deliver)
        #expect(progress.take(delivery: 2, revision: 7, pending: 1) == .deliver)
    }

    @Test("a count of the server that is too low loses no value")
    func miscounted() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 2)
        #expect(progress.take(delivery: 1, revision: 2, pending: 0) == .deliver)
        #expect(progress.takeCompletion() == true)
        #expect(progress.needsConsumer)
        #expect(progress.start == .sequence(3))
    }

    @Test("after a loss among the values one consumer brings the rest and what is new")
    func lossAmongValues() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 4)
        // Nothing has come: the values begin anew.
        #expect(progress.start == .lastPerSubject)
        progress.begin(pending: 4)
        #expect(progress.take(delivery: 1, revision: 2, pending: 3) == .deliver)
        #expect(progress.take(delivery: 3, revision: 4, pending: 1) == .restart)
        #expect(!progress.needsConsumer && progress.start == .sequence(3))
        progress.begin(pending: 4)
        #expect(!progress.readsValues)
        #expect(progress.takeCompletion() == false)
        #expect(progress.take(delivery: 1, revision: 3, pending: 3) == .deliver)
        #expect(progress.take(delivery: 2, revision: 5, pending: 2) == .deliver)
        #expect(progress.takeCompletion() == true)
        #expect(!progress.needsConsumer)
        #expect(progress.take(delivery: 3, revision: 6, pending: 0) == .deliver)
        #expect(progress.start == .sequence(7))
    }

    @Test("a loss between the phases begins the second one")
    func lossBetweenPhases() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 1)
        #expect(progress.take(delivery: 1, revision: 5, pending: 0) == .deliver)
        #expect(progress.takeCompletion() == true)
        for _ in 1...2 {
            #expect(progress.start == .sequence(6))
            progress.begin(pending: 1)
        }
        #expect(progress.take(delivery: 1, revision: 6, pending: 0) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(!progress.needsConsumer)
    }

    @Test("values that cannot be requested without a cut come by sequence")
    func leaving() {
        var progress = WatchProgress(start: .values, last: 5)
        progress.begin(pending: 2)
        progress.leaveValues()
        #expect(progress.start == .sequence(1) && !progress.needsConsumer)
        progress.begin(pending: 2)
        #expect(progress.take(delivery: 1, revision: 1, pending: 1) == .deliver)
        progress.leaveValues()
        #expect(progress.start == .sequence(2))
    }

    @Test("a watch without values is complete at once")
    func nothing() {
        var empty = WatchProgress(start: .values, last: 0)
        #expect(empty.start == .sequence(1))
        empty.begin(pending: 0)
        #expect(empty.takeCompletion() == true)
        #expect(!empty.needsConsumer)
        #expect(empty.take(delivery: 1, revision: 1, pending: 0) == .deliver)
        var others = WatchProgress(start: .values, last: 7)
        others.begin(pending: 0)
        #expect(others.takeCompletion() == true)
        #expect(others.needsConsumer)
        #expect(others.start == .sequence(8))
        var changes = WatchProgress(start: .changes, last: 7)
        #expect(changes.start == .sequence(8))
        changes.begin(pending: 3)
        #expect(changes.takeCompletion() == true)
        #expect(!changes.needsConsumer)
        #expect(WatchProgress(start: .history, last: 7).start == .all)
    }

    @Test("a bucket that is written all the time is complete at the revision that was the newest at the beginning")
    func busy() {
        var progress = WatchProgress(start: .history, last: 5)
        progress.begin(pending: 2)
        #expect(progress.take(delivery: 1, revision: 4, pending: 8) == .deliver)
        #expect(progress.takeCompletion() == false)
        #expect(progress.take(delivery: 2, revision: 6, pending: 9) == .deliver)
        #expect(progress.takeCompletion() == true)
        #expect(!progress.needsConsumer)
    }

    @Test("values that were deleted before they came do not hold up the marker", arguments: [true, false])
    func vanished(isHistory: Bool) {
        var progress = WatchProgress(start: isHistory ? .history : .values, last: 5)
        progress.begin(pending: 3)
        #expect(progress.heartbeat(delivery: 0) == .ask)
        #expect(progress.takeCompletion() == false)
        // Messages are on their way, or wait.
        progress.answered(pending: 0, delivered: 1)
        progress.answered(pending: 1, delivered: 0)
        #expect(progress.takeCompletion() == false)
        progress.answered(pending: 0, delivered: 0)
        #expect(progress.takeCompletion() == true)
        #expect(progress.start == (isHistory ? .all : .sequence(6)) && progress.needsConsumer != isHistory)
        #expect(progress.heartbeat(delivery: 0) == .ignore)
    }

    @Test("three heartbeats in a row complete the beginning; a message and a cut request begin the count anew")
    func heartbeats() {
        var progress = WatchProgress(start: .history, last: 9)
        progress.begin(pending: 4)
        #expect(progress.heartbeat(delivery: 0) == .ask)
        #expect(progress.heartbeat(delivery: nil) == .ignore)
        progress.requestEnded(isCut: true)
        #expect(progress.heartbeat(delivery: 0) == .ask)
        #expect(progress.heartbeat(delivery: 0) == .ignore)
        #expect(progress.take(delivery: 1, revision: 4, pending: 3) == .deliver)
        #expect(progress.heartbeat(delivery: 1) == .ask)
        #expect(progress.heartbeat(delivery: 1) == .ignore)
        progress.requestEnded()
        #expect(progress.takeCompletion() == false)
        #expect(progress.heartbeat(delivery: 1) == .ignore)
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
