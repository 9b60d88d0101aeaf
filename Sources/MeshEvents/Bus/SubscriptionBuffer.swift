import MeshConcurrency

/// The buffer between a transport and a subscriber: takes events, hands out chunks, applies the limits, counts, and
/// keeps the end. A pure value.
struct SubscriptionBuffer: AwaitableState {
    private enum State {
        case open
        /// No more events come in; the error is thrown once, after the waiting events.
        case finished(MeshEventsError?)
    }

    private let configuration: EventSubscription.Buffer
    private var state = State.open
    private var queue = ChunkQueue()
    private var spare: EventChunk?

    /// How many events came in, those dropped included.
    private(set) var received: UInt64 = 0
    /// How many of them were lost to the limits.
    private(set) var dropped: UInt64 = 0

    init(_ configuration: EventSubscription.Buffer) {
        self.configuration = configuration
    }

    /// Whether nothing more can come in.
    var isFinished: Bool {
        if case .finished = state { return true }
        return false
    }

    /// How many events wait.
    var count: Int { queue.events }
    /// How many bytes wait.
    var bytes: Int { queue.bytes }

    // MARK: From the transport

    /// Takes the events of `chunk` and leaves it empty, ready to be filled again.
    mutating func offer(_ chunk: inout EventChunk) {
        defer { chunk.reset() }
        guard case .open = state else { return }
        received += UInt64(chunk.count)
        let fits =
            queue.events + chunk.count <= configuration.maximumEvents
            && queue.bytes + chunk.bytes <= configuration.maximumBytes
        if fits {
            queue.append(&chunk)
        } else {
            squeeze(&chunk)
        }
        if !chunk.hasCapacity, let spare {
            chunk = spare
            self.spare = nil
        }
    }

    /// Ends the input; waiting events stay. Only the first call has an effect.
    mutating func finish(_ error: MeshEventsError?) {
        guard case .open = state else { return }
        state = .finished(error)
    }

    /// Ends at once: discards the waiting events and an error that was not thrown yet.
    mutating func cancel() {
        state = .finished(nil)
        queue.removeAll()
        spare = nil
    }

    // MARK: From the consumer

    /// Takes the next chunk or the end for a consumer; `nil` when it has to wait. `used` is a chunk that the consumer
    /// has read: its memory is used again.
    mutating func take(recycling used: inout EventChunk) -> SubscriptionDelivery? {
        if spare == nil, used.hasCapacity, !isFinished {
            used.reset()
            spare = used
            used = EventChunk()
        }
        return takeAnswer()
    }

    /// Takes the next chunk or the end for a consumer; `nil` when it has to wait.
    mutating func takeAnswer() -> SubscriptionDelivery? {
        if let chunk = queue.popFirst() { return .chunk(chunk) }
        guard case .finished(let error) = state else { return nil }
        guard let error else { return .end }
        state = .finished(nil)
        return .failure(error)
    }

    /// Puts back what a consumer took and did not use, so that the next one gets it first.
    mutating func putBack(_ chunk: EventChunk, isCancelled: Bool) {
        guard !isCancelled else { return }
        queue.prepend(chunk)
    }

    // MARK: Inside

    /// Applies the policy when not all of `chunk` fits: the slow path.
    private mutating func squeeze(_ chunk: inout EventChunk) {
        var kept = EventChunk()
        while !chunk.isEmpty {
            let bytes = chunk.firstBytes
            guard let event = chunk.popFirst() else { break }
            if admit(bytes, behind: &kept) {
                kept.append(event, bytes: bytes)
                if kept.isFull { queue.append(&kept) }
            } else {
                dropped += 1
                if configuration.policy == .fail {
                    dropped += UInt64(chunk.count)
                    break
                }
            }
        }
        queue.append(&kept)
        if configuration.policy == .fail { failTooSlow() }
    }

    /// Whether an event of this size is taken; makes room for it under `dropOldest`.
    private mutating func admit(_ size: Int, behind kept: inout EventChunk) -> Bool {
        // An event that can never fit must not displace those that do.
        guard size <= configuration.maximumBytes else { return false }
        func isOver() -> Bool {
            queue.events + kept.count + 1 > configuration.maximumEvents
                || queue.bytes + kept.bytes + size > configuration.maximumBytes
        }
        guard isOver() else { return true }
        guard configuration.policy == .dropOldest else { return false }
        queue.append(&kept)
        while isOver(), !queue.isEmpty {
            queue.dropFirst()
            dropped += 1
        }
        return true
    }

    private mutating func failTooSlow() {
        finish(
            MeshEventsError(
                .subscriberTooSlow,
                "the subscriber let more than \(configuration.maximumEvents) events or "
                    + "\(configuration.maximumBytes) bytes pile up; read faster, or raise the buffer's limits"
            )
        )
    }
}

/// What a subscription hands to a consumer.
enum SubscriptionDelivery: Sendable {
    /// Events, at least one.
    case chunk(EventChunk)
    /// The end: no more events come.
    case end
    /// The subscription has ended for this reason. Delivered once; later deliveries are ``end``.
    case failure(MeshEventsError)
}

/// Chunks waiting for the subscriber, first in, first out, in constant time per chunk.
private struct ChunkQueue: Sendable {
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

extension EventSubscription {
    /// How much a subscription keeps for a subscriber that is slower than the mesh, and what happens beyond that.
    ///
    /// Both limits hold at once. The chunk that the subscriber is reading (at most 512 events or 1 MiB) comes on top.
    public struct Buffer: Sendable, Hashable {
        /// What happens to an event that does not fit. Every event lost is counted in the subscription's `dropped`.
        public enum Policy: Sendable, Hashable {
            /// The oldest waiting events make room. The default, since new events matter most.
            case dropOldest
            /// The event that does not fit is dropped.
            case dropNewest
            /// The subscription ends: the waiting events are delivered, then `subscriberTooSlow` is thrown.
            case fail
        }

        /// How many events may wait, at least 1. Default 65 536.
        public var maximumEvents: Int
        /// How many bytes may wait (subjects and payloads as received), at least 1. Default 64 MiB.
        public var maximumBytes: Int
        /// What happens beyond the limits. Default ``Policy/dropOldest``.
        public var policy: Policy

        /// Creates a buffer.
        public init(
            maximumEvents: Int = 65_536,
            maximumBytes: Int = 64 * 1024 * 1024,
            policy: Policy = .dropOldest
        ) {
            self.maximumEvents = maximumEvents
            self.maximumBytes = maximumBytes
            self.policy = policy
        }

        func validate() throws(MeshEventsError) {
            guard maximumEvents >= 1, maximumBytes >= 1 else {
                throw MeshEventsError(
                    .invalidArgument,
                    "a subscription's buffer needs room for at least one event and one byte, "
                        + "not \(maximumEvents) events and \(maximumBytes) bytes"
                )
            }
        }
    }
}
