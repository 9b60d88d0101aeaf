import MeshConcurrency

/// The buffer between a transport and a subscriber: takes events, hands out chunks, applies the limits, counts, and
/// keeps the end. A pure value.
struct SubscriptionBuffer: AwaitableState {
    private enum State {
        case open
        /// No more events come in; the error is thrown once, after the waiting events.
        case finished(MeshEventsError?)
    }

    private let configuration: BufferConfiguration
    private var state = State.open
    private var queue = ChunkQueue()
    private var spare: EventChunk?

    /// How many events came in, those dropped included.
    private(set) var received: UInt64 = 0
    /// How many of them were lost to the limits.
    private(set) var dropped: UInt64 = 0

    init(_ configuration: BufferConfiguration) {
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
