/// A run of events that travels from the transport's thread to the subscriber in one piece.
///
/// Its size is bounded, so that the memory a subscriber holds outside its buffer is bounded too. Events are moved out,
/// not copied, which saves reference counting.
struct EventChunk: Sendable {
    /// The most events a chunk takes.
    static let maximumEvents = 512
    /// A chunk that has reached this many bytes takes no further event.
    static let maximumBytes = 1 << 20

    private struct Entry: Sendable {
        var event: Event?
        let bytes: Int
    }

    private var entries: ContiguousArray<Entry> = []
    private var head = 0
    /// The bytes of the events in it.
    private(set) var bytes = 0

    var count: Int { entries.count - head }
    var isEmpty: Bool { head == entries.count }
    var isFull: Bool { count >= Self.maximumEvents || bytes >= Self.maximumBytes }

    /// Whether the chunk owns memory that can be used again.
    var hasCapacity: Bool { entries.capacity > 0 }

    /// The bytes of the first event; 0 when there is none.
    var firstBytes: Int { isEmpty ? 0 : entries[head].bytes }

    mutating func append(_ event: Event, bytes: Int) {
        entries.append(Entry(event: event, bytes: bytes))
        self.bytes += bytes
    }

    /// Moves the first event out.
    mutating func popFirst() -> Event? {
        guard head < entries.count else { return nil }
        let event = entries[head].event.take()
        bytes -= entries[head].bytes
        head += 1
        return event
    }

    /// Whether all events of `other` fit behind those in this chunk.
    func hasRoom(for other: EventChunk) -> Bool {
        count + other.count <= Self.maximumEvents && bytes + other.bytes <= Self.maximumBytes
    }

    /// Moves the events of `other` to the end of this chunk.
    mutating func append(contentsOf other: inout EventChunk) {
        while !other.isEmpty {
            let bytes = other.firstBytes
            guard let event = other.popFirst() else { return }
            append(event, bytes: bytes)
        }
    }

    /// Empties the chunk and keeps its memory for the next events.
    mutating func reset() {
        entries.removeAll(keepingCapacity: true)
        head = 0
        bytes = 0
    }
}
