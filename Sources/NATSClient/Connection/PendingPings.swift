import NIOCore

/// The pings of a connection: the callers that wait for a `PING` to be written and answered, and the pings under way.
///
/// It also tells which subscriptions were refused when the server does not name them. A pure value, used on the event
/// loop only.
struct PendingPings {
    fileprivate struct Waiter {
        /// The `PING` follows this chunk of what was taken from the outbound buffer.
        var chunk: Int
        let answer: (Result<Void, NATSError>) -> Void
    }

    /// A `PING` that was written.
    struct Ping {
        /// The number of the last message in front of it.
        let confirms: UInt64
        fileprivate let waiters: [Waiter]
        /// What was subscribed to since the ping before, in this order.
        fileprivate let subscribes: [SubscriptionEntry]

        /// Tells the callers that the server has answered.
        func succeed() {
            for waiter in waiters { waiter.answer(.success(())) }
        }
    }

    /// The most refusals without a subject that are kept between two pings.
    private static let maximumRefusals = 4_096

    private var waiters: [Waiter] = []
    /// The subscriptions that the next `PING` follows.
    private var subscribing: [SubscriptionEntry] = []
    /// The refusals since the last answered `PING` that name no subscription, in this order.
    private var refusals: [NATSError] = []
    /// The pings on their way, oldest first.
    private var written: [Ping] = []

    /// Whether a caller waits for a `PING` to be written.
    var hasWaiters: Bool { !waiters.isEmpty }

    /// Whether a `PING` is under way.
    var isUnderWay: Bool { !written.isEmpty }

    /// Adds a caller whose `PING` follows the chunk with this number; 0 for the next write.
    mutating func wait(behind chunk: Int, _ answer: @escaping (Result<Void, NATSError>) -> Void) {
        waiters.append(Waiter(chunk: chunk, answer: answer))
    }

    /// Notes that a subscription leaves in front of the next `PING`.
    mutating func subscribed(_ entry: SubscriptionEntry) { subscribing.append(entry) }

    /// Notes that these subscriptions were restored on a new connection. The ping behind them shows which of them were
    /// refused.
    mutating func restored(_ entries: [SubscriptionEntry]) {
        subscribing = entries
        wait(behind: 0) { _ in }
    }

    /// Appends a `PING` for the waiters whose turn it is, behind everything it has to confirm.
    mutating func write(behind chunk: Int, confirming message: UInt64, into commands: inout ByteBuffer) {
        guard !waiters.isEmpty else { return }
        let ready = waiters.filter { $0.chunk <= chunk }
        guard !ready.isEmpty else { return }
        waiters.removeAll { $0.chunk <= chunk }
        // Every subscription has asked for a ping, so those that leave with this write are in front of it.
        written.append(Ping(confirms: message, waiters: ready, subscribes: subscribing))
        subscribing = []
        commands.writeStaticString("PING\r\n")
    }

    /// Takes the ping that a `PONG` answers; `nil` when none is under way.
    mutating func takeAnswered() -> Ping? { written.isEmpty ? nil : written.removeFirst() }

    /// Notes that the server has refused a subscription without naming it. The number of refusals, known when the ping
    /// behind them is answered, tells which subscriptions were refused.
    mutating func refused(_ error: NATSError) {
        guard refusals.count < Self.maximumRefusals else { return }
        refusals.append(error)
    }

    /// Takes the refusals in front of an answered ping.
    ///
    /// A server at its limit refuses the last subscriptions it was sent, in their order: as many as there were refusals.
    ///
    /// - Returns: the refused subscriptions, each with its error; and every refusal.
    mutating func takeRefusals(
        of ping: Ping
    ) -> (subscriptions: [(entry: SubscriptionEntry, error: NATSError)], errors: [NATSError]) {
        guard !refusals.isEmpty else { return ([], []) }
        let errors = refusals
        refusals = []
        let waiting = ping.subscribes.filter { $0.failure == nil }
        let refused = zip(waiting.suffix(errors.count), errors.suffix(waiting.count)).map { entry, error in
            let named = NATSError(
                error.code,
                error.message.replacing("a subscription", with: "the subscription to \(entry.subject)"),
                isRetriable: error.isRetriable
            )
            return (entry: entry, error: named)
        }
        return (refused, errors)
    }

    /// Notes that the connection has ended. Callers go on waiting: the next connection answers, and reports what may be
    /// lost.
    mutating func interrupted() {
        let interrupted = written.flatMap(\.waiters)
        written = []
        subscribing = []
        refusals = []
        waiters.append(contentsOf: interrupted)
        // Their ping follows what waits.
        for index in waiters.indices where waiters[index].chunk > 0 { waiters[index].chunk = 1 }
    }

    /// Takes every caller that waits for a `PING` to be written: no connection follows.
    mutating func takeWaiters() -> [(Result<Void, NATSError>) -> Void] {
        defer { waiters = [] }
        return waiters.map(\.answer)
    }
}

/// The `PONG`s that a server waits for.
///
/// Only one write of them is under way at a time, and the number owed meanwhile is bounded. Otherwise a server that
/// pings and does not read would fill the memory with answers. For a server, any `PONG` answers its earlier pings.
struct OwedPongs {
    /// The most that are owed at a time; those beyond it are not sent.
    static let maximum = 1_024

    private(set) var count = 0
    private var isWriting = false

    /// Notes that the server has sent a `PING`.
    mutating func pinged() { count = min(count + 1, Self.maximum) }

    /// How many to write now; 0 while others are being written.
    mutating func take() -> Int {
        guard !isWriting, count > 0 else { return 0 }
        defer { count = 0 }
        isWriting = true
        return count
    }

    /// Notes that the last write is done.
    mutating func written() { isWriting = false }
}
