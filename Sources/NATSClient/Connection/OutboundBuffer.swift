import MeshConcurrency
import NIOCore

/// What publishers on any thread hand to the event loop: one lock, one buffer, one scheduled flush per burst.
///
/// Published messages survive a lost connection, also when they were taken and not yet written. `SUB` and `UNSUB` do
/// not: a new connection restores the subscriptions from the table. Within a flush, `SUB`s go before the messages and
/// `UNSUB`s after them: a program that subscribes, publishes and drains receives what it published.
final class OutboundBuffer: Sendable {
    /// What one flush takes and writes, in one piece or several.
    struct Chunk {
        var subscribes: ByteBuffer
        var messages: OutboundMessages
        var unsubscribes: ByteBuffer

        /// How many messages have been taken in all, this chunk included.
        var lastMessage: UInt64 { messages.lastMessage }

        var isEmpty: Bool {
            subscribes.readableBytes == 0 && messages.readableBytes == 0 && unsubscribes.readableBytes == 0
        }
    }

    /// What is to happen after a flush.
    enum Next {
        /// Nothing waits.
        case rest
        /// More waits.
        case flush
        /// Little or nothing waits, and more is coming: flush in a moment.
        case linger
    }

    /// In the middle of a burst, fewer bytes than this wait a moment for more: a system call, and waking the event
    /// loop, cost more than making a few messages.
    private static let worthFlushing = 64 << 10
    /// A flush of at least this many messages is part of a burst.
    private static let burst = 8

    private struct State {
        var messages = OutboundMessages()
        var spare = ByteBuffer()
        var subscribes = ByteBuffer()
        var unsubscribes = ByteBuffer()
        var inFlight = 0
        var isConnected = false
        /// Counts the connections.
        var generation: UInt64 = 0
        var isFlushScheduled = false
        /// A flush is scheduled, but not at once.
        var isLingering = false
        /// How many messages all flushes so far took.
        var taken: UInt64 = 0
        /// Whether the last flush was part of a burst.
        var isBurst = false
        var maximumPayload: Int?
        var supportsHeaders = true
        var failure: NATSError?
        var refused = RefusedMessages()
        var waiters: [UInt64: CheckedContinuation<NATSError?, Never>] = [:]
        var nextWaiter: UInt64 = 0

        var pending: Int { messages.readableBytes + inFlight }

        var isEmpty: Bool {
            subscribes.readableBytes == 0 && messages.readableBytes == 0 && unsubscribes.readableBytes == 0
        }

        mutating func learn(_ info: ServerInfo) {
            maximumPayload = info.maximumPayload
            supportsHeaders = info.supportsHeaders
        }

        mutating func dropControl() {
            subscribes = ByteBuffer()
            unsubscribes = ByteBuffer()
        }

        /// Claims a flush; returns whether the caller must schedule it: bytes wait, the connection is up, and no flush
        /// is due.
        mutating func claimFlush(isUrgent: Bool = false) -> Bool {
            guard isConnected else { return false }
            if isFlushScheduled {
                guard isLingering, isUrgent || messages.readableBytes >= OutboundBuffer.worthFlushing else {
                    return false
                }
                isLingering = false
            }
            isFlushScheduled = true
            return true
        }

        /// Decides what happens after a flush; claims the next one.
        mutating func next() -> Next {
            guard isConnected, !isEmpty || isBurst else {
                isFlushScheduled = false
                return .rest
            }
            isFlushScheduled = true
            isLingering =
                isBurst && messages.readableBytes < OutboundBuffer.worthFlushing && subscribes.readableBytes == 0
                && unsubscribes.readableBytes == 0
            return isLingering ? .linger : .flush
        }

        mutating func takeWaiters(below limit: Int) -> [CheckedContinuation<NATSError?, Never>] {
            guard !waiters.isEmpty, pending < limit else { return [] }
            defer { waiters = [:] }
            return Array(waiters.values)
        }
    }

    private let state: Locked<State>
    private let highWaterMark: Int
    private let scheduleFlush: @Sendable () -> Void

    /// - Parameter scheduleFlush: called outside the lock when bytes wait and no flush is under way.
    init(highWaterMark: Int, scheduleFlush: @escaping @Sendable () -> Void) {
        self.highWaterMark = highWaterMark
        self.scheduleFlush = scheduleFlush
        state = Locked(State())
    }

    var maximumPayload: Int? { state.withLock { $0.maximumPayload } }

    /// Whether a connection is up.
    var isUp: Bool { state.withLock { $0.isConnected } }

    /// Whether a publisher waits for room.
    var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

    /// How many bytes wait or are being written.
    var pendingBytes: Int { state.withLock { $0.pending } }

    /// The number of the present or last connection.
    var generation: UInt64 { state.withLock { $0.generation } }

    /// Appends a message; returns its number among all messages ever appended, from 1.
    ///
    /// A message may belong to one connection, by its ``generation``. It is refused when that connection is not up, and
    /// dropped when the connection is lost before the message was written. A caller that must keep an order over a
    /// reconnect sends it again instead.
    @discardableResult
    func append(
        subject: UnsafeRawBufferPointer,
        reply: UnsafeRawBufferPointer,
        headers: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        onlyOn generation: UInt64? = nil
    ) throws(NATSError) -> UInt64 {
        let size = headers.count + payload.count
        let (number, needsFlush) = try state.withLock { (state) throws(NATSError) -> (UInt64, Bool) in
            if let failure = state.failure { throw failure }
            if reply.isEmpty, !state.refused.isEmpty, let refusal = state.refused.take(for: subject) { throw refusal }
            if let maximum = state.maximumPayload, size > maximum { throw .tooLarge(size, maximum: maximum) }
            guard headers.isEmpty || state.supportsHeaders else {
                throw NATSError(
                    .invalidHeader,
                    "the server does not support message headers; use nats-server 2.2 or newer"
                )
            }
            if let generation, !state.isConnected || state.generation != generation { throw .notConnected }
            let pending = state.pending
            // Below half there is always room for one more, however large: otherwise a large message would never get
            // in.
            guard pending < highWaterMark / 2 || pending + size + subject.count <= highWaterMark else {
                throw .full(pending, isConnected: state.isConnected)
            }
            let start = state.messages.readableBytes
            CommandWriter.publish(
                into: &state.messages.bytes,
                subject: subject,
                reply: reply,
                headers: headers,
                payload: payload
            )
            let number = state.messages.appended(behind: start, isPerishable: generation != nil)
            return (number, state.claimFlush())
        }
        if needsFlush { scheduleFlush() }
        return number
    }

    /// Notes that the server has refused a message to which no caller awaits an answer.
    func refused(_ subject: String, _ error: NATSError) {
        state.withLock { $0.refused.add(subject, error) }
    }

    /// The refusals since the last call, as one error; `nil` when there were none.
    func takeRefusals() -> NATSError? { state.withLock { $0.refused.takeAll() } }

    /// Appends a `SUB`; dropped while there is no connection.
    func subscribe(to subject: String, queueGroup: String?, sid: UInt64) {
        appendControl {
            CommandWriter.subscribe(into: &$0.subscribes, subject: subject, queueGroup: queueGroup, sid: sid)
        }
    }

    /// Appends an `UNSUB`; dropped while there is no connection.
    func unsubscribe(sid: UInt64, after count: UInt64? = nil) {
        appendControl { CommandWriter.unsubscribe(into: &$0.unsubscribes, sid: sid, after: count) }
    }

    private func appendControl(_ write: (inout State) -> Void) {
        let needsFlush = state.withLock { state in
            guard state.isConnected else { return false }
            write(&state)
            return state.claimFlush(isUrgent: true)
        }
        if needsFlush { scheduleFlush() }
    }

    /// Whether something waits to be taken.
    var hasWaiting: Bool { state.withLock { !$0.isEmpty } }

    /// The `SUB`s that wait, for the event loop to write while it has not yet written all that it has taken.
    func takeSubscribes() -> ByteBuffer {
        state.withLock { state in
            defer { state.subscribes = ByteBuffer() }
            return state.subscribes
        }
    }

    /// Everything that waits, for the event loop to write; empty buffers when nothing does.
    func take() -> Chunk {
        state.withLock { state in
            let chunk = Chunk(
                subscribes: state.subscribes,
                messages: state.messages.takeAll(spare: state.spare),
                unsubscribes: state.unsubscribes
            )
            state.dropControl()
            state.spare = ByteBuffer()
            state.inFlight = chunk.messages.readableBytes
            state.isFlushScheduled = !chunk.isEmpty
            state.isLingering = false
            state.isBurst = chunk.lastMessage - state.taken >= Self.burst
            state.taken = chunk.lastMessage
            return chunk
        }
    }

    /// Notes that a part of what was taken has been written.
    func written(_ bytes: Int) {
        let resumed = state.withLock { state in
            state.inFlight = max(0, state.inFlight - bytes)
            return state.takeWaiters(below: highWaterMark / 2)
        }
        for waiter in resumed { waiter.resume(returning: nil) }
    }

    /// Notes that the chunk has been written, and reuses its memory; returns what the caller does next.
    func written(_ chunk: consuming Chunk) -> Next {
        var messages = chunk.messages.bytes
        chunk.messages = OutboundMessages()
        messages.clear()
        let (next, resumed) = state.withLock { state in
            state.inFlight = 0
            if messages.capacity <= 4 << 20 { state.spare = messages }
            return (state.next(), state.takeWaiters(below: highWaterMark / 2))
        }
        for waiter in resumed { waiter.resume(returning: nil) }
        return next
    }

    /// Notes that the connection is up: what was buffered may be sent. The caller flushes.
    func connected(_ info: ServerInfo) {
        state.withLock { state in
            state.isConnected = true
            state.generation += 1
            state.isFlushScheduled = true
            state.learn(info)
        }
    }

    /// Takes over a later `INFO` of the server.
    func learned(_ info: ServerInfo) { state.withLock { $0.learn(info) } }

    /// Notes that the connection is down: messages wait for the next one.
    ///
    /// - Parameter unwritten: what was taken and has not been written; it goes first on the next connection.
    func disconnected(unwritten: OutboundMessages? = nil) {
        let resumed = state.withLock { state in
            state.isConnected = false
            state.isFlushScheduled = false
            state.isLingering = false
            state.inFlight = 0
            state.dropControl()
            if let unwritten { state.messages.putBack(unwritten) } else { state.messages.dropPerishable() }
            // The connection's own messages are dropped: there may now be room for waiting publishers.
            return state.takeWaiters(below: highWaterMark / 2)
        }
        for waiter in resumed { waiter.resume(returning: nil) }
    }

    /// Refuses everything from now on with this error.
    func close(_ error: NATSError) {
        let waiters = state.withLock { state in
            state.isConnected = false
            state.failure = error
            state.messages = OutboundMessages(lastMessage: state.messages.lastMessage)
            state.dropControl()
            state.inFlight = 0
            return state.takeWaiters(below: .max)
        }
        for waiter in waiters { waiter.resume(returning: error) }
    }

    /// Suspends until less than half of the high-water mark waits.
    func waitUntilWritable() async throws(NATSError) {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let failure = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: NATSError?? = state.withLock { state in
                    if let failure = state.failure { return .some(failure) }
                    if Task.isCancelled { return .some(.cancelled) }
                    guard state.pending >= highWaterMark / 2 else { return .some(nil) }
                    state.waiters[id] = continuation
                    return .none
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: .cancelled)
        }
        if let failure { throw failure }
    }
}

extension NATSError {
    static let notConnected = NATSError(
        .connectionFailed,
        "the connection is down and is being restored; try again",
        isRetriable: true
    )

    static let cancelled = NATSError(.cancelled, "the task was cancelled")

    fileprivate static func tooLarge(_ size: Int, maximum: Int) -> NATSError {
        NATSError(
            .payloadTooLarge,
            "the message has \(size) bytes, the server accepts \(maximum); send less or raise the server's max_payload"
        )
    }

    fileprivate static func full(_ pending: Int, isConnected: Bool) -> NATSError {
        let cause = isConnected ? "the network is slower than the publisher" : "the connection is down"
        return NATSError(
            .bufferFull,
            "\(pending) bytes wait to be sent because \(cause); wait until the connection is writable and try again",
            isRetriable: true
        )
    }
}

/// Messages without an answer that the server has refused, until their publisher gets the error. The next message to
/// the same subject, which is then not sent, or a flush throws it, whichever comes first.
struct RefusedMessages {
    /// The most subjects that are kept: a user with few permissions must not fill the memory.
    private static let maximumSubjects = 64
    /// The most bytes that are kept, of subjects and reasons.
    static let maximumBytes = 64 << 10

    private(set) var bytes = 0
    private var errors: [(subject: String, error: NATSError)] = []
    private var count = 0

    var isEmpty: Bool { count == 0 }

    /// Notes a refusal; those beyond the limits are only counted.
    mutating func add(_ subject: String, _ error: NATSError) {
        count += 1
        let size = subject.utf8.count + error.message.utf8.count
        guard errors.count < Self.maximumSubjects, bytes + size <= Self.maximumBytes,
            !errors.contains(where: { $0.subject == subject })
        else { return }
        bytes += size
        errors.append((subject, error))
    }

    /// The error for the next message to a subject; `nil` when none to it was refused.
    mutating func take(for subject: UnsafeRawBufferPointer) -> NATSError? {
        guard let index = errors.firstIndex(where: { $0.subject.utf8.elementsEqual(subject) }) else { return nil }
        let error = errors.remove(at: index).error
        bytes -= error.message.utf8.count + subject.count
        count = errors.isEmpty ? 0 : max(errors.count, count - 1)
        return NATSError(
            error.code,
            "a message published before was refused, so this one was not sent: \(error.message)",
            subject: error.subject
        )
    }

    /// The error that a flush throws; `nil` when no message was refused.
    mutating func takeAll() -> NATSError? {
        guard count > 0 else { return nil }
        guard let first = errors.first?.error else {
            defer { self = RefusedMessages() }
            return NATSError(.permissionDenied, "\(count) messages were refused; their subjects are too long to name")
        }
        defer { self = RefusedMessages() }
        guard count > 1 else { return first }
        return NATSError(
            first.code,
            "\(count) messages were refused; the first: \(first.message)",
            subject: first.subject
        )
    }
}
