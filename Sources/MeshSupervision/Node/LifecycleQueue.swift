import MeshEvents

/// The lifecycle events that wait to be stored, oldest first: a pure value.
///
/// When it is full, it drops the oldest event that is not being stored: after a long outage of a node, its newest facts
/// matter most.
struct LifecycleQueue {
    /// Makes smaller data of data that was refused as too large; `nil` when it cannot.
    typealias Shortening = @Sendable (EventData, MeshEventsError) -> EventData?

    struct Entry: Sendable {
        /// Counts events from 1.
        let number: UInt64
        let event: Event
        /// How its data is made smaller. Only a snapshot has it: an event that says how things are now.
        let shorten: Shortening?
    }

    private let capacity: Int
    private var entries: [Entry] = []
    private var head = 0
    private var lastNumber: UInt64 = 0
    private var lastTime: Timestamp?

    private(set) var stored: UInt64 = 0
    private(set) var overflowed: UInt64 = 0
    private(set) var refused: UInt64 = 0
    /// The error of the last failed attempt; `nil` when an event was stored since.
    private(set) var lastError: MeshEventsError?
    /// Whether it takes no more events.
    private(set) var isFinished = false

    /// - Parameter capacity: how many events may wait, from 2.
    init(capacity: Int) {
        self.capacity = max(capacity, 2)
    }

    var waiting: Int { entries.count - head }
    var front: Entry? { head < entries.count ? entries[head] : nil }
    /// The number of the newest event that was taken.
    var newest: UInt64 { lastNumber }
    /// The events that wait, oldest first.
    var rest: [Event] { entries[head...].map(\.event) }

    /// Whether neither this event nor an earlier one waits.
    func isSettled(_ number: UInt64) -> Bool {
        front.map { $0.number > number } ?? true
    }

    enum Admission: Equatable {
        case taken
        /// Taken; the oldest was dropped for it. The value counts all lost so far.
        case replacedOldest(overflowed: UInt64)
        /// The queue is finished.
        case refused
    }

    /// Takes an event that happened at `time`. A snapshot replaces an earlier one that waits behind the front.
    ///
    /// Each event is at least a nanosecond later than the one before, even when the clock shows equal times or is set
    /// back by up to a second. The time of a clock set back by more than a second is used as it is.
    ///
    /// - Parameter shorten: makes a snapshot smaller; `nil` for other events.
    mutating func append(_ event: Event, at time: Timestamp, shorten: Shortening? = nil) -> Admission {
        guard !isFinished else {
            refused += 1
            return .refused
        }
        var event = event
        event.timestamp = time
        if let lastTime, time <= lastTime, lastTime.duration(since: time) <= .seconds(1) {
            event.timestamp = lastTime.adding(.nanoseconds(1))
        }
        lastTime = event.timestamp
        lastNumber += 1
        if shorten != nil { removeWaitingSnapshot() }
        var admission = Admission.taken
        if waiting >= capacity {
            // The front may be under way to the store already.
            entries.remove(at: head + 1)
            overflowed += 1
            admission = .replacedOldest(overflowed: overflowed)
        }
        entries.append(Entry(number: lastNumber, event: event, shorten: shorten))
        return admission
    }

    /// Counts a payload that is no valid event.
    mutating func refuse() { refused += 1 }

    /// Removes the front, which has been stored.
    mutating func frontStored() {
        stored += 1
        lastError = nil
        removeFront()
    }

    /// Removes the front, which can never be stored.
    mutating func frontRefused(_ error: MeshEventsError) {
        refused += 1
        lastError = error
        removeFront()
    }

    /// Notes that the front could not be stored for now.
    mutating func frontFailed(_ error: MeshEventsError) { lastError = error }

    /// Takes no more events.
    mutating func finish() { isFinished = true }

    /// Leaves the front, which may be under way to the store already.
    private mutating func removeWaitingSnapshot() {
        let waiting = entries.indices.dropFirst(head + 1)
        guard let index = waiting.last(where: { entries[$0].shorten != nil }) else { return }
        entries.remove(at: index)
    }

    private mutating func removeFront() {
        guard head < entries.count else { return }
        head += 1
        if head == entries.count {
            entries.removeAll(keepingCapacity: waiting < 1024)
            head = 0
        } else if head >= 1024, head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }
}
