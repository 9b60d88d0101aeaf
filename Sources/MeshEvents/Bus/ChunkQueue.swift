/// Chunks waiting for the subscriber, first in, first out, in constant time per chunk.
struct ChunkQueue: Sendable {
    private var chunks: ContiguousArray<EventChunk> = []
    private var head = 0
    /// How many events wait.
    private(set) var events = 0
    /// How many bytes wait.
    private(set) var bytes = 0

    var isEmpty: Bool { events == 0 }

    /// Adds the events of `chunk` at the end and leaves it empty; small chunks are joined.
    mutating func append(_ chunk: inout EventChunk) {
        guard !chunk.isEmpty else { return }
        events += chunk.count
        bytes += chunk.bytes
        let last = chunks.count - 1
        if last >= head, chunks[last].hasRoom(for: chunk) {
            chunks[last].append(contentsOf: &chunk)
        } else {
            chunks.append(chunk)
            chunk = EventChunk()
        }
    }

    /// Puts back what a subscriber took and did not use.
    mutating func prepend(_ chunk: EventChunk) {
        guard !chunk.isEmpty else { return }
        events += chunk.count
        bytes += chunk.bytes
        if head > 0 {
            head -= 1
            chunks[head] = chunk
        } else {
            chunks.insert(chunk, at: 0)
        }
    }

    /// Takes the first chunk.
    mutating func popFirst() -> EventChunk? {
        guard !isEmpty else { return nil }
        let chunk = removeFirstChunk()
        events -= chunk.count
        bytes -= chunk.bytes
        return chunk
    }

    /// Drops the first event.
    mutating func dropFirst() {
        guard !isEmpty else { return }
        let dropped = chunks[head].firstBytes
        _ = chunks[head].popFirst()
        events -= 1
        bytes -= dropped
        if chunks[head].isEmpty { _ = removeFirstChunk() }
    }

    mutating func removeAll() {
        self = ChunkQueue()
    }

    private mutating func removeFirstChunk() -> EventChunk {
        var chunk = EventChunk()
        swap(&chunk, &chunks[head])
        head += 1
        if head == chunks.count {
            chunks.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head * 2 >= chunks.count {
            chunks.removeSubrange(..<head)
            head = 0
        }
        return chunk
    }
}
