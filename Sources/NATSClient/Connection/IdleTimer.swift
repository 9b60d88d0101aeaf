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

/// Tells from look to look whether bytes have come or gone on a connection; a pure value.
///
/// Bytes on a connection that has ended since the last look do not count: a server that ends each connection again
/// makes no progress.
struct LinkProgress {
    private var moved: UInt64
    private var attempt: Int

    init(moved: UInt64 = 0, attempt: Int = 0) {
        self.moved = moved
        self.attempt = attempt
    }

    /// Whether bytes have come or gone since the last look, on the same connection.
    ///
    /// - Parameters:
    ///   - moved: how many bytes have come and gone so far.
    ///   - attempt: the number of the connection's attempt.
    mutating func look(moved: UInt64, attempt: Int) -> Bool {
        defer { (self.moved, self.attempt) = (moved, attempt) }
        return moved != self.moved && attempt == self.attempt
    }
}

/// Counts the intervals in which an established connection was silent. A pure value.
struct ServerSilence {
    private var isSilent = false
    private var intervals = 0

    /// Notes that bytes have come, or that the server has taken some: the connection is alive.
    mutating func moved() { isSilent = false }

    /// Ends an interval; returns how many in a row were silent.
    mutating func endInterval() -> Int {
        intervals = isSilent ? intervals + 1 : 0
        isSilent = true
        return intervals
    }
}
