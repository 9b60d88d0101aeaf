import MeshEvents
import NATSClient
import NIOCore

/// Decides what a pipelined appender does next, as a pure value: acknowledgements go in, decisions come out.
///
/// Normally, messages are sent as long as fewer than `size` are under way. After a failure that can pass, nothing new
/// is sent until everything under way has been answered. Then the messages without an acknowledgement are sent again in
/// their order: first the oldest alone, to see whether the store is back, then the others together. New ones follow
/// only when all of them are on their way. So no message overtakes an earlier one.
struct PublishWindow {
    enum Phase: Equatable {
        case flowing
        /// A message failed; the window waits for the others under way.
        case settling
        /// The messages without an acknowledgement are being sent again.
        case recovering
        case failed
    }

    enum Event: Equatable {
        /// The waiting caller may check again.
        case wake
        /// Send these again, in this order, then call ``recovered(isWhole:)``.
        case recover([Int])
    }

    private let size: Int
    private(set) var phase = Phase.flowing
    private var error: MeshEventsError?
    private var messages = UnstoredMessages()
    private var underWay = 0
    /// Whether no more messages come, and the caller waits for the end.
    private var isFinishing = false
    /// Whether messages are being sent again; only one such round runs at a time.
    private var isRecovering = false

    init(size: Int) { self.size = max(1, size) }

    /// Whether a new message may be sent now.
    var hasRoom: Bool { phase == .flowing && underWay < size }

    /// Whether every message is stored.
    var isDone: Bool { messages.isEmpty && underWay == 0 }

    /// Why the window has failed; set when nothing is under way any more, so that the outcome of each message is known
    /// too.
    var failure: MeshEventsError? { underWay == 0 ? error : nil }

    /// The oldest message that is not stored; `nil` when nothing is under way.
    var oldestUnderWay: Int? { underWay == 0 ? nil : messages.oldest }

    func message(_ index: Int) -> PendingMessage? { messages[index] }

    /// Adds a message that is about to be sent; returns its index.
    mutating func add(_ message: PendingMessage, _ sending: FirstSending? = nil) -> Int {
        underWay += 1
        return messages.append(message, sending)
    }

    /// When a message was first sent.
    func first(of index: Int) -> FirstSending? { messages.first(of: index) }

    /// Notes the first sending of a message that the stream can have stored.
    mutating func note(_ sending: FirstSending, of index: Int) { messages.note(sending, of: index) }

    /// Removes a message that the connection did not take, and that will be offered again.
    mutating func withdraw(_ index: Int) {
        messages.withdraw(index)
        underWay -= 1
    }

    /// Notes that no more messages come.
    mutating func finish() { isFinishing = true }

    /// Notes that messages under way are stored.
    mutating func stored(_ indexes: Range<Int>) -> Event? {
        messages.remove(indexes)
        underWay -= indexes.count
        return settled()
    }

    /// Notes that this many messages under way were not acknowledged; `final` when sending them again cannot help.
    mutating func missed(_ count: Int, final error: MeshEventsError?) -> Event? {
        underWay -= count
        if let error {
            fail(error)
        } else if phase != .failed {
            phase = .settling
        }
        return settled()
    }

    /// Notes that a message is stored: the oldest, sent again alone, or one found in the stream.
    mutating func restored(_ index: Int) { messages.remove(index..<index + 1) }

    /// Takes a message that is about to be sent again behind the oldest. `nil` when it is stored, or when sending again
    /// must stop because a message has failed again.
    mutating func resend(_ index: Int) -> PendingMessage? {
        guard phase == .recovering, let message = messages[index] else { return nil }
        underWay += 1
        return message
    }

    /// Ends a round of sending again; when not `isWhole`, the other messages follow once those under way are answered.
    mutating func recovered(isWhole: Bool = true) -> Event? {
        isRecovering = false
        if phase == .recovering { phase = isWhole ? .flowing : .settling }
        return settled()
    }

    /// Fails for good. The first error counts.
    mutating func fail(_ error: MeshEventsError) {
        phase = .failed
        self.error = self.error ?? error
    }

    private mutating func settled() -> Event? {
        switch phase {
        case .flowing:
            // Not at each acknowledgement: waking the caller costs more than sending a message.
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

/// Messages that are not stored yet, by index. They are stored nearly in the order in which they were added, so this is
/// a queue with gaps.
private struct UnstoredMessages {
    private struct Slot {
        let message: PendingMessage
        var first: FirstSending?
    }

    private var slots: CircularBuffer<Slot?> = []
    /// The index of the first slot, which is never empty.
    private var first = 0

    var isEmpty: Bool { slots.isEmpty }

    /// The lowest index; `nil` when there is none.
    var oldest: Int? { slots.isEmpty ? nil : first }

    /// All indexes, ascending.
    var indices: [Int] { slots.enumerated().compactMap { $1 == nil ? nil : first + $0 } }

    subscript(index: Int) -> PendingMessage? {
        place(of: index).flatMap { slots[$0]?.message }
    }

    /// When a message was first sent.
    func first(of index: Int) -> FirstSending? { place(of: index).flatMap { slots[$0]?.first } }

    /// Notes when a message was first sent.
    mutating func note(_ sending: FirstSending, of index: Int) {
        if let place = place(of: index) { slots[place]?.first = sending }
    }

    /// The index of a message's slot, which may be empty; `nil` when there is none.
    private func place(of index: Int) -> CircularBuffer<Slot?>.Index? {
        let offset = index - first
        guard offset >= 0, offset < slots.count else { return nil }
        return slots.index(slots.startIndex, offsetBy: offset)
    }

    /// Adds a message; returns its index, one above the last.
    mutating func append(_ message: PendingMessage, _ sending: FirstSending? = nil) -> Int {
        slots.append(Slot(message: message, first: sending))
        return first + slots.count - 1
    }

    /// Takes back the message added last, as if it had not been added.
    mutating func withdraw(_ index: Int) {
        guard index == first + slots.count - 1 else { return }
        slots.removeLast()
    }

    /// Removes messages that are stored.
    mutating func remove(_ indexes: Range<Int>) {
        for index in indexes.clamped(to: first..<first + slots.count) {
            slots[slots.index(slots.startIndex, offsetBy: index - first)] = nil
        }
        while let front = slots.first, front == nil {
            slots.removeFirst()
            first += 1
        }
    }
}

/// When a message was first sent, and the sequence of the stream it must come after.
struct FirstSending: Sendable {
    /// The part of the stream's duplicate window in which a message is sent again. After the window the stream no
    /// longer knows a copy stored at the first sending, so the message must arrive before; the rest of the window is
    /// for its way.
    private static let trusted = 0.75

    let time: ContinuousClock.Instant
    let after: StreamPosition

    init(after: StreamPosition, at time: ContinuousClock.Instant = .now) {
        self.after = after
        self.time = time
    }

    /// Whether the stream may have forgotten the message's id, so that sending it again may store it twice.
    func isForgotten(window: Duration) -> Bool { .now - time >= window * Self.trusted }
}
