/// What the records of a durable say about its dead letters, taken in one after the other. A pure value.
///
/// A record counts only directly after the one that its author knew. So a record that was stored again by another
/// client, which is possible with every message, does nothing.
struct DeadLetterLog: Sendable {
    /// What is known of one dead letter.
    struct Entry: Sendable {
        /// The dead letter's sequence.
        let letter: UInt64
        /// The event to deliver; `nil` when no retry was asked for.
        fileprivate(set) var original: DeadLetterOriginal?
        /// The sequence of the record that asks for the retry; 0 for none.
        fileprivate(set) var order: UInt64 = 0
        /// How often the retry was delivered.
        fileprivate(set) var deliveries = 0
        fileprivate(set) var phase: Phase
        /// The record that asked for the retry, or for discarding it.
        fileprivate(set) var asked: Note
        /// The newest record.
        fileprivate(set) var latest: Note
    }

    /// How far a retry has come.
    enum Phase: Sendable, Equatable {
        /// It is to be delivered, from this moment on.
        case waiting(from: ContinuousClock.Instant)
        /// A handler has it until this moment.
        case delivered(handler: String, until: ContinuousClock.Instant)
        case handled
        case givenUp(letter: UInt64?)
        case discarded(reason: String)
        case undeliverable(reason: String)

        /// Whether handlers have to deliver it.
        var isOpen: Bool {
            switch self {
            case .waiting, .delivered: true
            case .handled, .givenUp, .discarded, .undeliverable: false
            }
        }

        /// Whether it is settled for good: no other retry of the same dead letter counts.
        var isFinal: Bool {
            switch self {
            case .handled, .givenUp: true
            case .waiting, .delivered, .discarded, .undeliverable: false
            }
        }

        /// When it is to be delivered; `nil` when it is not.
        fileprivate var due: ContinuousClock.Instant? {
            switch self {
            case .waiting(let from): from
            case .delivered(_, let until): until
            case .handled, .givenUp, .discarded, .undeliverable: nil
            }
        }
    }

    /// A record's place, and who made it.
    struct Note: Sendable, Equatable {
        let sequence: UInt64
        let storedAt: Timestamp
        let node: String
    }

    /// The sequence of the newest record taken in; 0 for none.
    private(set) var last: UInt64 = 0
    private let keepsSettled: Bool
    private var entries: [UInt64: Entry] = [:]
    /// How many numbers of settled dead letters are kept at most; the newest are.
    private static let mostSettled = 100_000
    /// The dead letters that are settled for good, when their entries are not kept.
    private var settled: Set<UInt64> = []

    /// - Parameter keepsSettled: whether to keep what is known of dead letters that handlers need no longer care for.
    init(keepsSettled: Bool) { self.keepsSettled = keepsSettled }

    /// What is known of a dead letter; `nil` when nothing was done about it.
    subscript(letter: UInt64) -> Entry? { entries[letter] }

    /// Whether the dead letter was handled or replaced by another one.
    func isSettled(_ letter: UInt64) -> Bool { settled.contains(letter) || entries[letter]?.phase.isFinal == true }

    /// The retry to deliver next; `nil` when none is due.
    func due(_ now: ContinuousClock.Instant) -> Entry? {
        entries.values.filter { $0.isDue(now) }.min { $0.order < $1.order }
    }

    /// When the next retry is due; `nil` when there is none.
    var nextDue: ContinuousClock.Instant? { entries.values.lazy.compactMap { $0.phase.due }.min() }

    /// Notes a message of the durable's subject that is no record, or does not count.
    mutating func skip(_ sequence: UInt64) { last = max(last, sequence) }

    /// Takes a record in; one that was taken in before changes nothing.
    ///
    /// - Parameter now: from when its times count.
    mutating func take(_ record: DeadLetterRecord, _ note: Note, now: ContinuousClock.Instant) {
        guard note.sequence > last else { return }
        // Before the first record that is read there may have been others.
        let isNext = record.after == last || last == 0 || record.after == 0
        last = note.sequence
        guard isNext, !isSettled(record.letter) else { return }
        apply(record, note, now)
    }

    private mutating func apply(_ record: DeadLetterRecord, _ note: Note, _ now: ContinuousClock.Instant) {
        let letter = record.letter
        let found = entries[letter]
        switch record.action {
        case .retry(let original):
            // Asked for again, it is one of which the stream has dropped the records. A handler that has it goes on.
            if !keepsSettled, case .delivered = found?.phase { return }
            var entry = Entry(letter: letter, phase: .waiting(from: now), asked: note, latest: note)
            entry.original = original
            entry.order = note.sequence
            entries[letter] = entry
        case .discard(let reason):
            if case .delivered = found?.phase { return }
            var entry = found ?? Entry(letter: letter, phase: .discarded(reason: reason), asked: note, latest: note)
            entry.asked = note
            entry.phase = .discarded(reason: reason)
            settle(entry, note)
        case .delivered(let delivery, let handler, let wait):
            guard var entry = found, entry.phase.isOpen else { return }
            let isExtension = delivery == entry.deliveries && entry.isHeld(by: handler)
            guard isExtension || delivery == entry.deliveries + 1 else { return }
            entry.deliveries = delivery
            entry.phase = .delivered(handler: handler, until: now + wait)
            entry.latest = note
            entries[letter] = entry
        case .failed(let delivery, let handler, let delay):
            guard var entry = found, delivery == entry.deliveries, entry.isHeld(by: handler) else { return }
            entry.phase = .waiting(from: now + delay)
            entry.latest = note
            entries[letter] = entry
        case .handled:
            guard var entry = found, entry.phase.isOpen else { return }
            entry.phase = .handled
            settle(entry, note)
        case .givenUp(_, let successor):
            guard var entry = found, entry.phase.isOpen else { return }
            entry.phase = .givenUp(letter: successor)
            settle(entry, note)
        case .undeliverable(let reason):
            guard var entry = found, entry.phase.isOpen else { return }
            entry.phase = .undeliverable(reason: reason)
            settle(entry, note)
        }
    }

    private mutating func settle(_ entry: Entry, _ note: Note) {
        var entry = entry
        entry.latest = note
        entries[entry.letter] = keepsSettled ? entry : nil
        guard !keepsSettled, entry.phase.isFinal else { return }
        settled.insert(entry.letter)
        if settled.count > Self.mostSettled { settled = Set(settled.sorted().suffix(Self.mostSettled / 2)) }
    }
}

extension DeadLetterLog.Entry {
    /// Whether it is to be delivered now.
    func isDue(_ now: ContinuousClock.Instant) -> Bool { phase.due.map { $0 <= now } ?? false }

    /// Whether this handler has it.
    func isHeld(by handler: String) -> Bool {
        if case .delivered(handler, _) = phase { true } else { false }
    }
}
