import MeshEvents

/// What a pipelined appender does next, as a pure value: acknowledgements go in, decisions come out.
///
/// While all goes well, messages are sent as long as fewer than `size` are under way. After a failure that may pass,
/// nothing new is sent until everything under way has been answered. Then the messages without an acknowledgement are
/// sent again in their order, the oldest alone, to see whether the store is back, the others together behind it; only
/// when all of them are on their way do new ones follow. So none overtakes an earlier one.
struct PublishWindow {
    enum Phase: Equatable {
        case flowing
        /// A message failed; the others under way are waited for.
        case settling
        /// The messages without an acknowledgement are being sent again.
        case recovering
        case failed
    }

    enum Event: Equatable {
        /// The caller that waits may look again.
        case wake
        /// Send these again, in this order, then call ``recovered()``.
        case recover([Int])
    }

    private let size: Int
    private(set) var phase = Phase.flowing
    private var error: MeshEventsError?
    private var messages = UnstoredMessages()
    private var underWay = 0
    /// Whether no more messages come, and the caller waits for the end.
    private var isFinishing = false
    /// Whether somebody is sending again: one at a time.
    private var isRecovering = false

    init(size: Int) { self.size = max(1, size) }

    /// Whether a new message may be sent now.
    var hasRoom: Bool { phase == .flowing && underWay < size }

    /// Whether every message is stored.
    var isDone: Bool { messages.isEmpty && underWay == 0 }

    /// Why it has failed; known when nothing is under way any more, so that the outcome of each message is known too.
    var failure: MeshEventsError? { underWay == 0 ? error : nil }

    /// The oldest message that is not stored; `nil` when nothing is under way.
    var oldestUnderWay: Int? { underWay == 0 ? nil : messages.oldest }

    func message(_ index: Int) -> PendingMessage? { messages[index] }

    /// Takes a message that is about to be sent; its index.
    mutating func add(_ message: PendingMessage, _ sending: FirstSending? = nil) -> Int {
        underWay += 1
        return messages.append(message, sending)
    }

    /// When a message was first sent.
    func first(of index: Int) -> FirstSending? { messages.first(of: index) }

    /// Notes when a message was first sent, as far as the stream can have it.
    mutating func note(_ sending: FirstSending, of index: Int) { messages.note(sending, of: index) }

    /// The message was not taken by the connection, and will be offered again.
    mutating func withdraw(_ index: Int) {
        messages.withdraw(index)
        underWay -= 1
    }

    /// No more messages come.
    mutating func finish() { isFinishing = true }

    /// Messages under way are stored.
    mutating func stored(_ indexes: Range<Int>) -> Event? {
        messages.remove(indexes)
        underWay -= indexes.count
        return settled()
    }

    /// So many messages under way were not acknowledged; `final` when sending them again cannot help.
    mutating func missed(_ count: Int, final error: MeshEventsError?) -> Event? {
        underWay -= count
        if let error {
            fail(error)
        } else if phase != .failed {
            phase = .settling
        }
        return settled()
    }

    /// The oldest message, sent again alone, or one that the stream was found to have, is stored.
    mutating func restored(_ index: Int) { messages.remove(index..<index + 1) }

    /// Takes a message that is about to be sent again behind the oldest; `nil` when that must stop, because one of them
    /// has failed again, or when it is stored.
    mutating func resend(_ index: Int) -> PendingMessage? {
        guard phase == .recovering, let message = messages[index] else { return nil }
        underWay += 1
        return message
    }

    /// All have been sent again, as far as that went; or some of them, and the others follow when those are answered.
    mutating func recovered(isWhole: Bool = true) -> Event? {
        isRecovering = false
        if phase == .recovering { phase = isWhole ? .flowing : .settling }
        return settled()
    }

    /// It will not get better. The first error counts.
    mutating func fail(_ error: MeshEventsError) {
        phase = .failed
        self.error = self.error ?? error
    }

    private mutating func settled() -> Event? {
        switch phase {
        case .flowing:
            // Not for each acknowledgement: waking the caller costs more than sending a message.
            return underWay <= (isFinishing ? 0 : size - max(1, size / 4)) ? .wake : nil
        case .recovering: return .wake
        case .settling:
            guard underWay == 0, !isRecovering else { return nil }
            phase = .recovering
            isRecovering = true
            return .recover(messages.indices)
        case .failed: return underWay == 0 ? .wake : nil
        }
    }
}
