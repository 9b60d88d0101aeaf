/// The messages of several patterns in the order of the stream, or backwards, each message once.
///
/// Reads each pattern by itself and merges by sequence: servers before 2.10 know one filter per consumer, and later ones
/// refuse filters that overlap.
struct HistorySource {
    private struct Lane {
        let pattern: EventPattern
        /// In the order of reading, the next one first.
        var messages: ArraySlice<StoredMessage> = []
        /// The last one that was read.
        var last: UInt64?
        var isExhausted = false
    }

    private let store: any EventStore
    private let query: EventHistory.Query
    private let range: HistoryRange
    private var lanes: [Lane]

    init(_ store: any EventStore, _ query: EventHistory.Query, _ range: HistoryRange) {
        self.store = store
        self.query = query
        self.range = range
        let patterns = (try? EventPattern.distinct(query.patterns)) ?? query.patterns
        lanes = patterns.map { Lane(pattern: $0) }
    }

    /// Whether it is known that nothing more comes.
    var isAtEnd: Bool { lanes.allSatisfy { $0.isExhausted && $0.messages.isEmpty } }

    /// The next message; `nil` at the end.
    mutating func next(_ reading: inout HistoryReading) async throws(MeshEventsError) -> StoredMessage? {
        for index in lanes.indices where lanes[index].messages.isEmpty && !lanes[index].isExhausted {
            try await fill(index, &reading)
        }
        let heads = lanes.compactMap(\.messages.first)
        let next =
            query.end == .newest
            ? heads.max { $0.sequence < $1.sequence } : heads.min { $0.sequence < $1.sequence }
        guard let next else { return nil }
        for index in lanes.indices where lanes[index].messages.first?.sequence == next.sequence {
            lanes[index].messages.removeFirst()
        }
        return next
    }

    private mutating func fill(_ index: Int, _ reading: inout HistoryReading) async throws(MeshEventsError) {
        let wanted = reading.nextReadSize
        let timeout = try reading.timeLeft()
        var lane = lanes[index]
        switch query.end {
        case .newest:
            let before = lane.last ?? range.upper
            let found = try await store.newest(wanted, matching: lane.pattern, before: before, timeout: timeout)
            lane.messages = found.reversed()[...]
            lane.last = found.first?.sequence ?? lane.last
            lane.isExhausted = found.count < wanted || lane.last ?? 0 <= range.lower
        case .oldest:
            let start: StorePosition =
                if let last = lane.last {
                    .sequence(last + 1)
                } else if let since = query.since, query.after == nil {
                    .time(since)
                } else {
                    .sequence(range.lower)
                }
            let found = try await store.first(wanted, matching: lane.pattern, from: start, timeout: timeout)
            lane.messages = found[...]
            lane.last = found.last?.sequence ?? lane.last
            lane.isExhausted = found.count < wanted || (lane.last ?? 0) + 1 >= range.upper ?? .max
        }
        lanes[index] = lane
    }
}
