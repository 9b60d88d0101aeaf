import Logging
import MeshConcurrency
import MeshLogging
import Synchronization

/// A replay: the events of the stream in its order, first the stored ones, then the new ones.
///
/// - Each event comes once, also between stored and new events, and across lost connections, restarts of the server and
///   changes of a cluster's leader. While the server cannot be reached, the sequence waits.
/// - Events that the stream has dropped before they could be read are reported as ``ReplayElement/gap(_:)``.
/// - A stream that is deleted and created again meanwhile, or has lost its messages, is reported as
///   ``ReplayElement/reset(_:)``; the replay continues with all events that it has then.
/// - When the stream does not answer although the connection is up, the logger gets a warning after some seconds, and
///   a notice when it answers again.
/// - A slow reader delays only itself: little is fetched ahead of it. A reader that is slower than the stream drops
///   events gets gaps.
/// - The sequence ends after ``cancel()``, when the bus that opened it is closed, and when the reading task is
///   cancelled. It throws when the replay cannot continue: the connection was closed, the stream was deleted and not
///   created again within some seconds, the permission was revoked.
///
/// Several iterators share the elements; the next one gets what another has left unread. Releasing the last reference
/// cancels the replay.
public final class ReplaySubscription: AsyncSequence, Sendable {
    /// An event, a gap, the end of the stored events, or a reset.
    public typealias Element = ReplayElement
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    private let follower: any StoreFollower
    /// The patterns of the events to hand over; empty when the follower has exactly the one pattern.
    private let patterns: [EventPattern]
    private let filter: EventFilter
    private let reporter: MalformedReporter
    private let admission: SignatureCheck
    private let malformedCount = Atomic<UInt64>(0)
    private let rejectedCount = Atomic<UInt64>(0)
    private let skippedSequence = Atomic<UInt64>(0)
    private let isCancelled = Atomic(false)
    private let leftOver = Locked<[ArraySlice<FollowedItem>]>([])
    private let trouble = StreamTrouble()

    init(
        _ follower: any StoreFollower,
        patterns: [EventPattern],
        filter: EventFilter,
        reporter: MalformedReporter,
        admission: SignatureCheck,
        logger: Logger
    ) {
        self.follower = follower
        self.patterns = patterns.count > 1 ? patterns : []
        self.filter = filter
        self.reporter = reporter
        self.admission = admission
        follower.whenTroubled { [trouble] error in
            if let error {
                logger.warning(
                    "the stream does not answer; the replay goes on when it does",
                    [.error: "\(error)"]
                )
            } else {
                logger.notice("the stream answers again", [:])
            }
            trouble.note(error, reader: 0)
        }
    }

    deinit { follower.cancel() }

    /// How many messages were skipped because they are not events.
    public var malformed: UInt64 { malformedCount.load(ordering: .relaxed) }
    /// How many events were left out because their signature is not valid.
    public var rejected: UInt64 { rejectedCount.load(ordering: .relaxed) }

    /// The sequence of the last message that was read and left out; 0 for none. All elements before it were handed over.
    package var skipped: UInt64 { skippedSequence.load(ordering: .acquiring) }

    /// Sets the function to call when the stream does not answer, with the reason, and with `nil` when it answers again.
    package func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) { trouble.whenTold(tell) }

    /// Ends the replay at once; events that wait are thrown away. Harmless when repeated.
    public func cancel() {
        isCancelled.store(true, ordering: .releasing)
        follower.cancel()
    }

    /// An iterator over the elements to come.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }

    /// Takes a batch per wake-up and returns its elements one by one, without leaving the caller's actor.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let reader: Reader

        fileprivate init(_ replay: ReplaySubscription) { reader = Reader(replay) }

        /// The next element; `nil` at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> ReplayElement? {
            while !reader.isStopped {
                while let item = reader.items.popFirst() {
                    if let element = reader.element(item) { return element }
                }
                guard let items = try await reader.replay.nextItems(isolation: actor) else { return nil }
                reader.items = items
            }
            return nil
        }

        /// The next element; `nil` at the end.
        public mutating func next() async throws(MeshEventsError) -> ReplayElement? {
            try await next(isolation: #isolation)
        }
    }

    /// An iterator's batch; its unread items go back to the replay when the iterator is released.
    private final class Reader {
        let replay: ReplaySubscription
        var items: ArraySlice<FollowedItem> = []
        private var decoder = StoredMessageDecoder()

        init(_ replay: ReplaySubscription) { self.replay = replay }

        deinit {
            guard !items.isEmpty else { return }
            let items = items
            replay.leftOver.withLock { $0.append(items) }
        }

        var isStopped: Bool { replay.isCancelled.load(ordering: .acquiring) || Task.isCancelled }

        /// The element for an item; `nil` for a message to skip.
        func element(_ item: FollowedItem) -> ReplayElement? {
            switch item {
            case .caughtUp: return .caughtUp
            case .lost(let sequences): return .gap(ReplayGap(sequences: sequences))
            case .reset(let reset): return .reset(reset)
            case .message(let message):
                if !replay.patterns.isEmpty, !replay.patterns.contains(where: { $0.matches(subject: message.subject) })
                {
                    return nil
                }
                do throws(MalformedEvent) {
                    let decoded = try decoder.decode(message)
                    guard replay.filter.matches(decoded) else {
                        replay.skippedSequence.store(message.sequence, ordering: .releasing)
                        return nil
                    }
                    guard let event = replay.admission.admit(decoded, message) else {
                        replay.rejectedCount.add(1, ordering: .relaxed)
                        replay.skippedSequence.store(message.sequence, ordering: .releasing)
                        return nil
                    }
                    return .event(StoredEvent(event: event, sequence: message.sequence, storedAt: message.storedAt))
                } catch {
                    replay.malformedCount.add(1, ordering: .relaxed)
                    replay.reporter.report(error)
                    replay.skippedSequence.store(message.sequence, ordering: .releasing)
                    return nil
                }
            }
        }
    }

    private func nextItems(
        isolation: isolated (any Actor)?
    ) async throws(MeshEventsError) -> ArraySlice<FollowedItem>? {
        if let items = leftOver.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return items }
        return try await follower.next(isolation: isolation).map { $0[...] }
    }
}

/// The replays that a bus has opened and that are still in use, so that it can end them.
final class ReplayRegistry: Sendable {
    private struct Entry: Sendable { weak var replay: ReplaySubscription? }

    private let entries = Locked<[Entry]>([])

    func add(_ replay: ReplaySubscription) {
        entries.withLock { entries in
            entries.removeAll { $0.replay == nil }
            entries.append(Entry(replay: replay))
        }
    }

    func cancelAll() {
        let replays = entries.withLock { entries in
            defer { entries = [] }
            return entries.compactMap(\.replay)
        }
        for replay in replays { replay.cancel() }
    }
}

/// An element of a replay; elements come in the order of the stream.
public enum ReplayElement: Sendable, Hashable {
    /// An event, stored before or after the replay was opened.
    case event(StoredEvent)
    /// Events may be missing here: the stream has dropped them before the replay could read them.
    case gap(ReplayGap)
    /// All events stored when the replay was opened have been handed over; new events follow. Comes once.
    case caughtUp
    /// The stream was deleted and created again, or has lost its messages. Sequences after this element belong to other
    /// events than those before it. The replay continues with all events that the stream has now.
    case reset(ReplayReset)

    /// The event; `nil` for anything else.
    public var event: StoredEvent? {
        guard case .event(let event) = self else { return nil }
        return event
    }
}

/// A change of a replay's stream: it was created again, or has lost its newest events.
public struct ReplayReset: Sendable, Hashable, CustomStringConvertible {
    /// When the stream with which the replay continues was created; `nil` when the store cannot tell.
    public let created: Timestamp?
    /// The first sequence to come: 1, or more when the same stream has lost its newest events.
    public let next: UInt64

    /// Creates a reset.
    public init(created: Timestamp?, next: UInt64 = 1) {
        self.created = created
        self.next = next
    }

    /// A sentence that says what has happened.
    public var description: String {
        next > 1
            ? "the stream has lost its newest events; it goes on at sequence \(next)"
            : "the stream was deleted and created again\(created.map { " at \($0)" } ?? ""); its sequences begin anew"
    }
}

/// Sequences that a replay could not read, because the stream no longer has them: its limits dropped them, or a user
/// deleted them.
public struct ReplayGap: Sendable, Hashable, CustomStringConvertible {
    /// The sequences lost. With a pattern, they include those of events that do not match.
    public let sequences: ClosedRange<UInt64>

    /// Creates a gap.
    public init(sequences: ClosedRange<UInt64>) { self.sequences = sequences }

    /// How many sequences were lost.
    public var count: UInt64 { (sequences.upperBound - sequences.lowerBound).nextSequence }

    /// `sequence 7` or `sequences 7 to 12`.
    public var description: String {
        count == 1
            ? "sequence \(sequences.lowerBound)" : "sequences \(sequences.lowerBound) to \(sequences.upperBound)"
    }
}

extension ReplayReset {
    /// Compares a stream's state with the one being followed; `nil` when the stream is the same as before.
    ///
    /// - Parameters:
    ///   - known: when the stream being followed was created.
    ///   - found: when the present stream was created.
    ///   - last: the newest sequence that the present stream has assigned.
    ///   - next: the sequence to be read next.
    package init?(from known: Timestamp?, to found: Timestamp?, last: UInt64, next: UInt64) {
        if let known, let found, known != found {
            self.init(created: found)
        } else if next > last.nextSequence {
            self.init(created: found, next: known == nil || found == nil ? 1 : last.nextSequence)
        } else {
            return nil
        }
    }
}
