/// The positions of a batch's events by index, in little memory: events with successive sequences share one entry. A
/// pure value.
struct BatchPositions: Sendable {
    private struct Run: Sendable {
        let first: Int
        let position: StoredPosition
        var count: Int

        /// Whether the event and its position follow directly on this run.
        func isFollowed(by index: Int, _ next: StoredPosition) -> Bool {
            index == first + count && !position.isDuplicate && !next.isDuplicate
                && next.sequence == position.sequence &+ UInt64(count) && next.stream == position.stream
        }

        func position(at offset: Int) -> StoredPosition {
            guard offset > 0 else { return position }
            return StoredPosition(
                stream: position.stream,
                sequence: position.sequence &+ UInt64(offset),
                isDuplicate: position.isDuplicate
            )
        }
    }

    /// Whether all positions are kept; else only those that arrived early.
    let keepsAll: Bool
    /// The events below this index are stored, each in ``runs`` or forgotten.
    private(set) var complete = 0
    private var runs: [Run] = []
    /// Positions that arrived before that of an earlier event.
    private var early: [Int: StoredPosition] = [:]

    init(keepsAll: Bool) { self.keepsAll = keepsAll }

    /// How many entries are kept.
    var entries: Int { runs.count + early.count }
    /// How many are stored.
    var count: Int { complete + early.count }
    /// The events below this index are stored and not kept.
    var forgotten: Int { keepsAll ? 0 : complete }

    /// Adds the position of an event; only the first one for an index counts.
    mutating func add(_ index: Int, _ position: StoredPosition) {
        guard index >= complete else { return }
        guard index == complete else {
            early[index] = early[index] ?? position
            return
        }
        append(index, position)
        while !early.isEmpty, let next = early.removeValue(forKey: complete) { append(complete, next) }
    }

    private mutating func append(_ index: Int, _ position: StoredPosition) {
        complete += 1
        guard keepsAll else { return }
        if let last = runs.indices.last, runs[last].isFollowed(by: index, position) {
            runs[last].count += 1
        } else {
            runs.append(Run(first: index, position: position, count: 1))
        }
    }

    /// The positions that are kept, in the order of the events.
    var all: [StoredPosition] {
        var all: [StoredPosition] = []
        all.reserveCapacity(complete)
        for run in runs { for offset in 0..<run.count { all.append(run.position(at: offset)) } }
        return all + early.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The positions that are kept, by index.
    var byIndex: [Int: StoredPosition] {
        var positions = early
        for run in runs { for offset in 0..<run.count { positions[run.first + offset] = run.position(at: offset) } }
        return positions
    }
}
