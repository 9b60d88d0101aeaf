import MeshEvents

/// What a pipelined appender does next, as a pure value: acknowledgements go in, decisions come out.
///
/// While all goes well, messages are sent as long as fewer than `size` are under way. After a failure that may pass,
/// nothing new is sent until everything under way has been answered; then the messages without an acknowledgement are
/// sent again, one by one, oldest first, so that none overtakes an earlier one. Then it goes on.
struct PublishWindow {
    enum Phase {
        case flowing
        /// A message failed; the others under way are waited for.
        case settling
        /// The messages without an acknowledgement are being sent again.
        case recovering
        case failed(MeshEventsError)
    }

    enum Event: Equatable {
        /// The caller that waits may look again.
        case wake
        /// Send these again, in this order; then call ``recovered()`` or ``fail(_:)``.
        case recover([Int])
    }

    private let size: Int
    private(set) var phase = Phase.flowing
    private var messages: [Int: PendingMessage] = [:]
    private var underWay = 0
    private var nextIndex = 0

    init(size: Int) { self.size = max(1, size) }

    /// Whether a message may be sent now.
    var hasRoom: Bool {
        if case .flowing = phase { underWay < size } else { false }
    }

    /// Whether every message is stored.
    var isDone: Bool { messages.isEmpty && underWay == 0 }

    var failure: MeshEventsError? {
        // What is under way is waited for, so that its outcome is known.
        if case .failed(let error) = phase, underWay == 0 { error } else { nil }
    }

    func message(_ index: Int) -> PendingMessage? { messages[index] }

    /// Takes a message that is about to be sent; its index.
    mutating func add(_ message: PendingMessage) -> Int {
        defer { nextIndex += 1 }
        messages[nextIndex] = message
        underWay += 1
        return nextIndex
    }

    /// The message could not even be handed to the connection: it was never sent.
    mutating func withdraw(_ index: Int) {
        messages[index] = nil
        underWay -= 1
        nextIndex = index
    }

    /// A message under way is stored.
    mutating func stored(_ index: Int) -> Event? {
        messages[index] = nil
        underWay -= 1
        return settled()
    }

    /// A message under way was not acknowledged; `final` when sending it again cannot help.
    mutating func missed(_ index: Int, final error: MeshEventsError?) -> Event? {
        underWay -= 1
        if let error {
            fail(error)
        } else if case .flowing = phase {
            phase = .settling
        }
        return settled()
    }

    /// A message sent again is stored.
    mutating func restored(_ index: Int) { messages[index] = nil }

    /// All that was sent again is stored.
    mutating func recovered() {
        if case .recovering = phase { phase = .flowing }
    }

    /// It will not get better. The first error counts.
    mutating func fail(_ error: MeshEventsError) {
        if case .failed = phase { return }
        phase = .failed(error)
    }

    private mutating func settled() -> Event? {
        switch phase {
        case .flowing, .recovering: return .wake
        case .settling:
            guard underWay == 0 else { return nil }
            phase = .recovering
            return .recover(messages.keys.sorted())
        case .failed: return underWay == 0 ? .wake : nil
        }
    }
}
