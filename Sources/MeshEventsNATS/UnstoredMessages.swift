import MeshEvents
import NIOCore

/// Messages that are not stored yet, by index. They are stored nearly in the order in which they were added, so this is
/// a queue with gaps.
struct UnstoredMessages {
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
