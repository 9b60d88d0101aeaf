import NIOCore

/// Fires when nothing has come or gone on a connection for so long: a slow link is no silent one. While there is no
/// connection, and over one that ends and is made anew, time passes as usual (``LinkProgress``). Used on the connection's event loop only.
final class IdleTimer {
    /// How often it looks, in parts of its limit.
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
