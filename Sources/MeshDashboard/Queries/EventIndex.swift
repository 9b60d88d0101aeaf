import MeshEvents

/// What and when of the newest events, in a few bytes each, so that a histogram reads no stream.
struct EventIndex: Sendable {
    /// How many events it remembers by default.
    static let standardCapacity = 500_000
    /// Types and nodes beyond this many count as one without a name.
    private static let maximumNames = 4_096

    private struct Entry: Sendable {
        let sequence: UInt64
        /// When it was stored, in milliseconds since the epoch.
        let time: Int64
        let type: UInt16
        let node: UInt16
    }

    private struct Names: Sendable {
        private(set) var list: [String] = [""]
        private var numbers: [String: UInt16] = [:]

        mutating func number(_ name: String) -> UInt16 {
            if let number = numbers[name] { return number }
            guard list.count < EventIndex.maximumNames else { return 0 }
            let number = UInt16(list.count)
            list.append(name)
            numbers[name] = number
            return number
        }
    }

    private let capacity: Int
    /// From the newest to the oldest: what was stored before it began.
    private var older: [Entry] = []
    private var newer: [Entry] = []
    private var types = Names()
    private var nodes = Names()
    /// Whether all that the stream holds, or as much as it can remember, is in it.
    var isComplete = false

    init(capacity: Int = standardCapacity) { self.capacity = capacity }

    var count: Int { older.count + newer.count }
    var isFull: Bool { count >= capacity }

    /// Takes in an event that is newer than all others.
    mutating func append(_ stored: StoredEvent) {
        newer.append(entry(stored))
        guard count > capacity else { return }
        if older.isEmpty { newer.removeFirst(max(1, capacity / 10)) } else { older.removeLast() }
    }

    /// Takes in an event that is older than all others; not when it is full.
    mutating func prepend(_ stored: StoredEvent) {
        if !isFull { older.append(entry(stored)) }
    }

    mutating func removeAll() { self = EventIndex(capacity: capacity) }

    private mutating func entry(_ stored: StoredEvent) -> Entry {
        Entry(
            sequence: stored.sequence,
            time: stored.storedAt.nanosecondsSinceEpoch / 1_000_000,
            type: types.number(stored.event.type.rawValue),
            node: nodes.number(stored.event.node)
        )
    }
}

extension EventIndex {
    /// Counts the events that fit, by type and time.
    ///
    /// - Parameters:
    ///   - filter: which events; its text is not looked at.
    ///   - range: when they were stored, in milliseconds since the epoch.
    ///   - buckets: into how many parts of equal length the range is divided, from 1.
    ///   - first: events with a lower sequence have been dropped by the stream.
    func histogram(_ filter: EventFilter, _ range: Range<Int64>, buckets: Int, from first: UInt64) -> Histogram {
        let width = max(1, (range.upperBound - range.lowerBound + Int64(buckets) - 1) / Int64(buckets))
        var histogram = Histogram(start: range.lowerBound, width: width, buckets: buckets, isComplete: isComplete)
        let isType = types.list.map { name in
            (try? EventType(name)).map { filter.matches(type: $0) } ?? filter.takesEveryType
        }
        let isNode = nodes.list.map { filter.matches(node: $0) }
        let marks = types.list.map { Histogram.isMarked($0) }
        var counts: [UInt16: [Int]] = [:]
        func take(_ entry: Entry) {
            guard range.contains(entry.time), entry.sequence >= first else { return }
            guard isType[Int(entry.type)], isNode[Int(entry.node)] else { return }
            let bucket = min(buckets - 1, Int((entry.time - range.lowerBound) / width))
            counts[entry.type, default: Array(repeating: 0, count: buckets)][bucket] += 1
            if marks[Int(entry.type)] {
                histogram.marks.append(
                    Histogram.Mark(
                        sequence: entry.sequence,
                        time: entry.time,
                        type: types.list[Int(entry.type)],
                        node: nodes.list[Int(entry.node)]
                    )
                )
            }
        }
        for entry in older.reversed() { take(entry) }
        for entry in newer { take(entry) }
        histogram.marks = histogram.marks.suffix(Histogram.maximumMarks)
        histogram.series = counts.map { .init(type: types.list[Int($0.key)], counts: $0.value) }
            .sorted { ($1.total, $0.type) < ($0.total, $1.type) }
        return histogram
    }
}
