import NIOCore
import Synchronization

// Deadlines of requests.
extension ConnectionLoop {
    /// From any thread: sees to it that requests past their deadline end, 50 ms late at most. One sweep serves all, so
    /// that a request costs no timer.
    func scheduleRequestSweep() {
        guard requestSweep.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return }
        eventLoop.execute { self.sweepRequests() }
    }

    private func sweepRequests() {
        if requests.expire(at: .now()) {
            eventLoop.scheduleTask(in: .milliseconds(50)) { self.sweepRequests() }
        } else {
            requestSweep.store(false, ordering: .releasing)
            // A request may have come between the two.
            if !requests.isEmpty { scheduleRequestSweep() }
        }
    }
}
