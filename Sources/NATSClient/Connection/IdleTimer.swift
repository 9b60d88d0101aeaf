import NIOCore

/// Fires when no byte has come or gone on a connection for the limit: a slow link is not a silent one. While there is
/// no connection, or when a connection ends and a new one is made, time passes as usual (``LinkProgress``). Used on the
/// connection's event loop only.
final class IdleTimer {
    /// How many looks there are within the limit.
    private static let looks: Int64 = 8

    private let loop: ConnectionLoop
    private let limit: TimeAmount
    private let action: () -> Void
    private var progress: LinkProgress
    private var idleSince: NIODeadline
    private var next: Scheduled<Void>?

    init(_ loop: ConnectionLoop, _ limit: Duration, _ action: @escaping () -> Void) {
        self.loop = loop
        self.limit = TimeAmount(limit)
        self.action = action
        progress = LinkProgress(moved: loop.counts.moved, attempt: loop.machine.attempt)
        idleSince = .now()
        look()
    }

    func cancel() {
        next?.cancel()
        next = nil
    }

    private func look() {
        let step = max(limit.nanoseconds / Self.looks, 1_000_000)
        let due = min(idleSince + limit, .now() + .nanoseconds(step))
        next = loop.eventLoop.assumeIsolated().scheduleTask(deadline: due) {
            if self.progress.look(moved: self.loop.counts.moved, attempt: self.loop.machine.attempt) {
                self.idleSince = .now()
            }
            guard .now() >= self.idleSince + self.limit else { return self.look() }
            self.next = nil
            self.action()
        }
    }
}
