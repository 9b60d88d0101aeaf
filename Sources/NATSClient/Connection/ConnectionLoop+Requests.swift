import NIOCore
import Synchronization

/// Decides, at a request's deadline, whether its answer can still come; confined to the connection's event loop.
struct RequestProbes {
    /// Whether there is a connection.
    var isConnected = false
    /// When bytes have come or gone last, as far as the sweeps have seen.
    var lastMoved = NIODeadline.now()
    /// The highest number of a ping that was answered.
    var answered: UInt64 = 0
    private var progress = LinkProgress()
    private var sent: UInt64 = 0
    private var wanted: UInt64?

    /// Looks at how many bytes have come and gone; see ``LinkProgress``.
    mutating func look(_ moved: UInt64, at now: NIODeadline, isConnected: Bool, attempt: Int, isFirst: Bool) {
        self.isConnected = isConnected
        let hasMoved = progress.look(moved: moved, attempt: attempt)
        if isFirst || hasMoved { lastMoved = now }
    }

    /// The number of the ping that is to be sent next.
    mutating func next() -> UInt64 {
        wanted = sent + 1
        return sent + 1
    }

    /// The number of the ping that is to be sent now; `nil` when there is none.
    mutating func takeWanted() -> UInt64? {
        defer { wanted = nil }
        if let wanted { sent = wanted }
        return wanted
    }
}

// Deadlines of requests.
extension ConnectionLoop {
    /// From any thread: ends requests past their deadline, 50 ms late at most. One sweep serves all requests, so that
    /// none needs a timer.
    func scheduleRequestSweep() {
        guard requestSweep.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return }
        eventLoop.execute { self.sweepRequests(isFirst: true) }
    }

    private func sweepRequests(isFirst: Bool = false) {
        let now = NIODeadline.now()
        requestProbes.look(
            counts.moved,
            at: now,
            isConnected: machine.isConnected,
            attempt: machine.attempt,
            isFirst: isFirst
        )
        let left = requests.expire(at: now, &requestProbes)
        if let probe = requestProbes.takeWanted() {
            ping { result in
                guard case .success = result else { return }
                self.requestProbes.answered = max(self.requestProbes.answered, probe)
            }
        }
        if left {
            eventLoop.scheduleTask(in: .milliseconds(50)) { self.sweepRequests() }
        } else {
            requestSweep.store(false, ordering: .releasing)
            // A request may have been added between the two.
            if !requests.isEmpty { scheduleRequestSweep() }
        }
    }
}
