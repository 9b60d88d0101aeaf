import MeshEvents

/// Prints the events of a subscription as they arrive: in a burst many with one write, else each at once.
struct LiveEvents {
    /// How many events may wait to be printed. A burst of half a million events is printed whole, as by the command
    /// line of the Go mesh, whose subscriptions hold 524 288 messages or 64 MiB.
    static let buffer = BufferConfiguration(maximumEvents: 1 << 20, maximumBytes: 128 << 20)

    private let subscription: EventSubscription
    private var drops = DropReport()

    init(_ subscription: EventSubscription) {
        self.subscription = subscription
    }

    /// Prints until the subscription ends or `limit` events have been printed.
    ///
    /// - Parameter isShown: whether an event is printed.
    /// - Throws: `OutputClosed` when standard output has no reader any more, and what the subscription throws.
    mutating func print(
        with printer: inout EventPrinter,
        limit: Int? = nil,
        where isShown: (Event) -> Bool = { _ in true }
    ) async throws {
        defer { drops.finish(subscription.dropped) }
        var events = subscription.makeAsyncIterator()
        var count = 0
        while let event = try await events.next() {
            let moreFollow = events.hasNext
            if isShown(event) {
                count += 1
                try printer.print(event, moreFollow: moreFollow && count != limit)
                if count == limit { return }
            } else if !moreFollow {
                try printer.flush()
            }
            if !moreFollow { drops.look(subscription.dropped) }
        }
        try printer.flush()
    }
}

/// Reports dropped events on standard error: at most one line per second while it happens, and the total at the end.
struct DropReport {
    private var said: UInt64 = 0
    private var limit = RepeatLimit(1, each: .seconds(1))
    private let say: (String) -> Void

    init(say: @escaping (String) -> Void = { Diagnostics.say($0) }) {
        self.say = say
    }

    /// Reports dropped events, unless the last report was less than a second ago.
    ///
    /// - Parameter dropped: how many events were dropped in all.
    mutating func look(_ dropped: UInt64, now: ContinuousClock.Instant = .now) {
        guard dropped > said, case .say = limit.decide(at: now) else { return }
        report(dropped)
    }

    /// Reports the drops that have not been reported.
    mutating func finish(_ dropped: UInt64) {
        if dropped > said { report(dropped) }
    }

    private mutating func report(_ dropped: UInt64) {
        let events = dropped == 1 ? "1 event was" : "\(dropped) events were"
        let soFar = said == 0 ? "" : " so far"
        said = dropped
        say("\(events) not shown\(soFar): they arrive faster than they can be printed")
    }
}
