package import MeshEvents

/// Names, or other things, ordered by a time, the earliest first (a binary heap). A name whose time has changed keeps its old entry until
/// that comes to the front; the caller must check there whether the time still holds.
package struct TimeQueue<Name: Sendable>: Sendable {
    package struct Entry: Sendable {
        package var time: Timestamp
        package var name: Name
    }

    private var entries: [Entry] = []

    package init() {}

    package var count: Int { entries.count }
    package var first: Entry? { entries.first }

    package mutating func insert(_ name: Name, at time: Timestamp) {
        entries.append(Entry(time: time, name: name))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].time < entries[parent].time else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    package mutating func removeFirst() -> Entry? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        guard !entries.isEmpty else { return first }
        entries[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].time < entries[smallest].time { smallest = child }
            }
            guard smallest != parent else { return first }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }

    package mutating func removeAll() { entries = [] }
}
