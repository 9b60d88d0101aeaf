import MeshEvents

/// The type, node (that it is about) and time of the newest events, in a few bytes each, so that a histogram needs no read of the stream.
struct EventIndex: Sendable {
    /// How many events it holds by default.
    static let standardCapacity = 500_000
    /// The limits on names of types and nodes: their number, the bytes of each, and the bytes altogether. Further types
    /// and nodes count as one without a name.
    static let maximumNames = 4_096
    static let maximumName = 256
    static let maximumNameBytes = 512 << 10

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
        private(set) var bytes = 0

        mutating func number(_ name: String) -> UInt16 {
            if let number = numbers[name] { return number }
            let size = name.utf8.count
            guard list.count < EventIndex.maximumNames, size <= EventIndex.maximumName,
                bytes + size <= EventIndex.maximumNameBytes
            else { return 0 }
            bytes += size
            let number = UInt16(list.count)
            list.append(name)
            numbers[name] = number
            return number
        }
    }

    let capacity: Int
    /// The events that were stored before it began, oldest first.
    private var older: [Entry] = []
    private var newer: [Entry] = []
    private var types = Names()
    private var nodes = Names()
    /// Whether it contains all events of the stream, or as many as it can hold.
    var isComplete = false

    init(capacity: Int = standardCapacity) { self.capacity = capacity }

    var count: Int { older.count + newer.count }
    /// The sequence of the oldest event that was not stored before the filling began; `nil` when there is none.
    var firstNewer: UInt64? { newer.first?.sequence }
    /// The size of its names, in bytes.
    var nameBytes: Int { types.bytes + nodes.bytes }

    /// Takes in an event that is newer than all others.
    mutating func append(_ stored: StoredEvent) {
        newer.append(entry(stored))
        forget()
    }

    /// Begins to take in the events that were stored before it began, oldest first.
    mutating func beginFilling() {
        older = []
        isComplete = false
    }

    /// Takes in the next event that was stored before it began.
    mutating func fill(_ stored: StoredEvent) {
        older.append(entry(stored))
        forget()
    }

    /// Drops the oldest events when there is no room; a tenth at once, because removing moves the others.
    private mutating func forget() {
        guard count > capacity else { return }
        if older.isEmpty {
            newer.removeFirst(max(1, capacity / 10))
        } else {
            older.removeFirst(min(older.count, max(1, capacity / 10)))
        }
    }

    mutating func removeAll() { self = EventIndex(capacity: capacity) }

    private mutating func entry(_ stored: StoredEvent) -> Entry {
        Entry(
            sequence: stored.sequence,
            time: stored.storedAt.nanosecondsSinceEpoch / 1_000_000,
            type: types.number(stored.event.type.rawValue),
            node: nodes.number(stored.event.affectedNode)
        )
    }
}

extension EventIndex {
    /// Counts the matching events by type and time.
    ///
    /// - Parameters:
    ///   - filter: selects events; its text and its conditions are ignored.
    ///   - range: when they were stored, in milliseconds since the epoch.
    ///   - buckets: into how many parts of equal length the range is divided, from 1.
    ///   - sequences: the range to count: the stream has dropped earlier events, and later ones are not in this index
    ///     yet.
    func histogram(
        _ filter: PageFilter,
        _ range: Range<Int64>,
        buckets: Int,
        of sequences: (first: UInt64, last: UInt64)
    ) -> Histogram {
        let width = max(1, (range.upperBound - range.lowerBound + Int64(buckets) - 1) / Int64(buckets))
        var histogram = Histogram(
            start: range.lowerBound,
            width: width,
            buckets: buckets,
            isComplete: isComplete,
            through: sequences.last
        )
        let isType = types.list.map { name in
            (try? EventType(name)).map { filter.matches(type: $0) } ?? filter.takesEveryType
        }
        let isNode = nodes.list.map { filter.matches(node: $0) }
        func fits(_ entry: Entry) -> Bool {
            range.contains(entry.time) && entry.sequence >= sequences.first && isType[Int(entry.type)]
                && isNode[Int(entry.node)]
        }
        // Counts each type first: of thousands of types only the most frequent get a series.
        var totals = Array(repeating: 0, count: types.list.count)
        for entry in older where fits(entry) { totals[Int(entry.type)] += 1 }
        for entry in newer where fits(entry) { totals[Int(entry.type)] += 1 }
        let largest = totals.indices.filter { totals[$0] > 0 }
            .sorted { (totals[$1], types.list[$0]) < (totals[$0], types.list[$1]) }
        let shown = largest.prefix(Histogram.maximumSeries)
        histogram.leftOutTypes = largest.count - shown.count
        histogram.leftOutEvents = largest.dropFirst(shown.count).reduce(0) { $0 + totals[$1] }
        var counts: [Int: [Int]] = [:]
        for type in shown { counts[type] = Array(repeating: 0, count: buckets) }
        let marks = types.list.map { Histogram.isMarked($0) }
        func take(_ entry: Entry) {
            guard fits(entry) else { return }
            let bucket = min(buckets - 1, Int((entry.time - range.lowerBound) / width))
            counts[Int(entry.type)]?[bucket] += 1
            guard marks[Int(entry.type)], histogram.marks.count < Histogram.maximumMarks else { return }
            histogram.marks.append(
                Histogram.Mark(
                    sequence: entry.sequence,
                    time: entry.time,
                    type: types.list[Int(entry.type)],
                    node: nodes.list[Int(entry.node)]
                )
            )
        }
        // The newest first: marks are limited to the newest.
        for entry in newer.reversed() { take(entry) }
        for entry in older.reversed() { take(entry) }
        histogram.marks.reverse()
        histogram.series = shown.map { .init(type: types.list[$0], counts: counts[$0] ?? []) }
        return histogram
    }
}

/// The number of events by type and time.
struct Histogram: Sendable, Equatable {
    /// The most crash and leave events that are marked; the newest count.
    static let maximumMarks = 200
    /// The most types with a series of their own; those with the most events count.
    static let maximumSeries = 100

    /// The counts of one type.
    struct Series: Sendable, Equatable {
        let type: String
        let counts: [Int]
        var total: Int { counts.reduce(0, +) }
    }

    /// An important event that is marked by itself.
    struct Mark: Sendable, Equatable {
        let sequence: UInt64
        let time: Int64
        let type: String
        let node: String
    }

    /// When the first bucket begins, in milliseconds since the epoch.
    let start: Int64
    /// How long a bucket is, in milliseconds.
    let width: Int64
    let buckets: Int
    /// Whether every event that the stream holds was counted.
    let isComplete: Bool
    /// The last sequence that was counted: every matching event up to it, and none after it.
    let through: UInt64
    /// The series by total, the largest first.
    var series: [Series] = []
    /// How many types are not in the series, and how many events they have.
    var leftOutTypes = 0
    var leftOutEvents = 0
    /// The marks, oldest first.
    var marks: [Mark] = []

    /// Whether events of this type are marked: a tool crashed, or a node left, became unreachable or recovered.
    fileprivate static func isMarked(_ type: String) -> Bool {
        switch type {
        case "tool.crashed", "node.left", "node.unreachable", "node.recovered": true
        default: false
        }
    }

    var json: EventData {
        [
            "start": Self.time(start),
            "width_ms": JSONValue(width),
            "buckets": JSONValue(buckets),
            "complete": .bool(isComplete),
            "through": JSONValue(through),
            "left_out": ["types": JSONValue(leftOutTypes), "events": JSONValue(leftOutEvents)],
            "series": .array(
                series.map {
                    [
                        "type": .string($0.type), "total": JSONValue($0.total),
                        "counts": .array($0.counts.map { JSONValue($0) }),
                    ]
                }
            ),
            "marks": .array(
                marks.map {
                    [
                        "sequence": JSONValue($0.sequence), "time": Self.time($0.time), "type": .string($0.type),
                        "node": .string($0.node),
                    ]
                }
            ),
        ]
    }

    private static func time(_ milliseconds: Int64) -> JSONValue {
        .string(Timestamp(nanosecondsSinceEpoch: milliseconds * 1_000_000).description)
    }
}
