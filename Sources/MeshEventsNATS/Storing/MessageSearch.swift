import MeshEvents
import NATSClient
import Synchronization

/// The state of a search in the stream for messages that may be stored.
struct MessageSearch {
    private let ids: Set<String>
    /// The sequences that are searched; `nil` for none.
    private let range: ClosedRange<UInt64>?
    /// The stream's last sequence before it was read: a message that is not found is not stored at it or before.
    let last: UInt64
    /// The sequences of the messages found, by message id.
    private(set) var positions: [String: UInt64] = [:]
    /// The sequence to go on from.
    private(set) var next: UInt64
    /// How many messages were read.
    private(set) var messages: UInt64 = 0

    /// - Parameters:
    ///   - ids: the ids to look for.
    ///   - sequence: none of the messages is stored at it or before.
    ///   - last: the stream's last sequence.
    init(_ ids: Set<String>, after sequence: UInt64, last: UInt64) {
        self.ids = ids
        self.last = last
        // A stream that is shorter was created again.
        next = sequence <= last ? sequence.nextSequence : 1
        range = next <= last ? next...last : nil
    }

    /// Whether the last part did not advance the search: nothing follows the highest sequence there is.
    private var isAtEnd = false

    var isOver: Bool { next > last || isAtEnd || hasAll }

    /// Whether all ids were found; always `false` without ids, because then the messages are counted.
    private var hasAll: Bool { !ids.isEmpty && positions.count == ids.count }

    /// Takes over the result of one reading.
    mutating func add(_ part: StoredIDs) {
        for case (let position, let id?) in part.ids where ids.contains(id) {
            positions[id] = positions[id] ?? position
        }
        messages += UInt64(part.ids.count)
        isAtEnd = part.next <= next
        next = part.next
    }

    /// Whether messages of the range are gone; `nil` when the stream's state, which is of a later moment, does not show
    /// it.
    func hasGaps(_ stream: StreamState) -> Bool? {
        guard let range, !hasAll else { return false }
        guard stream.firstSequence <= range.lowerBound, stream.lastSequence >= range.upperBound else { return true }
        return stream.messages > stream.lastSequence - stream.firstSequence ? false : nil
    }

    /// Whether messages of the range are gone, after every message of it was read.
    var lacksMessages: Bool { range.map { messages <= $0.upperBound - $0.lowerBound } ?? false }
}

/// The sequences and ids of the messages that one reading brings, and the sequence to go on from.
typealias StoredIDs = (ids: [(UInt64, String?)], next: UInt64)

extension JetStreamStore {
    /// Looks for messages that may be stored, by their ids, in the stream itself. Messages that the stream's limits
    /// have removed cannot be found; the result says whether there were such messages.
    ///
    /// - Parameters:
    ///   - ids: the ids to look for.
    ///   - subjects: the subjects of these messages.
    ///   - position: none of them is stored at it or before, in the stream of that position; in another stream they may
    ///     be anywhere.
    ///   - patience: how long nothing may come.
    func find(
        _ ids: Set<String>,
        on subjects: Set<String>,
        after position: StreamPosition,
        patience: Duration
    ) async throws(MeshEventsError) -> FoundMessages {
        do throws(MeshEventsError) {
            var state = try await persistentState(patience)
            let isFiltered = subjects.count == 1 && !renamesSubjects.load(ordering: .relaxed)
            let filter = isFiltered ? subjects.first : nil
            for _ in 0..<Self.mostSearches {
                let created = state.created
                let sequence = position.isSameStream(created) ? position.sequence : 0
                let search = try await search(ids, on: filter, after: sequence, in: state, patience: patience)
                // The state is requested after the reading: messages removed before they were read count.
                state = try await persistentState(patience)
                // The messages may have been those of the other stream.
                guard state.created == created else { continue }
                let hasGaps =
                    if let known = search.hasGaps(state) {
                        known
                    } else {
                        try await self.search([], on: nil, after: sequence, in: state, patience: patience)
                            .lacksMessages
                    }
                let last = StreamPosition(search.last, created: created)
                return FoundMessages(positions: search.positions, last: last, hasGaps: hasGaps)
            }
            throw MeshEventsError(.streamReplaced, "the stream was deleted and created again several times")
        } catch {
            throw MeshEventsError(
                error.code,
                "\(Self.outcomeUnknown), and the stream cannot be read: \(error.message)",
                underlying: error,
                isRetriable: false
            )
        }
    }

    /// How often a search begins anew because the stream was created again meanwhile.
    private static let mostSearches = 5

    /// Makes the error for a message that the stream may have stored and removed.
    func outcomeLost() -> MeshEventsError {
        MeshEventsError(
            .timeout,
            "\(Self.outcomeUnknown), and stream \(streamName) has removed messages of that time; emit it again only "
                + "if a duplicate is acceptable. A longer duplicate window of the stream bridges longer outages"
        )
    }

    private static var outcomeUnknown: String {
        "it is not known whether the event is stored: it was sent longer ago than the stream remembers message ids"
    }

    /// Reads the messages stored after a sequence. A lost connection costs only the part that was being read.
    private func search(
        _ ids: Set<String>,
        on subject: String?,
        after sequence: UInt64,
        in state: StreamState,
        patience: Duration
    ) async throws(MeshEventsError) -> MessageSearch {
        let last = state.lastSequence
        var search = MessageSearch(ids, after: sequence, last: last)
        while !search.isOver {
            let next = search.next
            search.add(
                try await persistently(patience) { () throws(MeshEventsError) -> StoredIDs in
                    try await storedIDs(on: subject, from: next, through: last, patience: patience)
                }
            )
        }
        return search
    }

    private func persistentState(_ patience: Duration) async throws(MeshEventsError) -> StreamState {
        try await persistently(patience) { () throws(MeshEventsError) -> StreamState in try await self.state() }
    }

    /// Repeats `body` after errors that can pass, until `patience` is over.
    private func persistently<Answer>(
        _ patience: Duration,
        _ body: () async throws(MeshEventsError) -> Answer
    ) async throws(MeshEventsError) -> Answer {
        var backoff = RetryBackoff(deadline: .now + patience)
        while true {
            do throws(MeshEventsError) {
                return try await body()
            } catch {
                guard error.isRetriable, await backoff.wait() else { throw error }
            }
        }
    }

    /// Reads the ids of the messages on one subject, or on all, without their payloads.
    private func storedIDs(
        on subject: String?,
        from next: UInt64,
        through last: UInt64,
        patience: Duration
    ) async throws(MeshEventsError) -> StoredIDs {
        try await reading(until: .now + patience) { _ throws(JetStreamError) -> StoredIDs in
            let consumer = try await jetStream.createConsumer(
                .reader(
                    start: .sequence(next),
                    filterSubjects: subject.map { [$0] } ?? [],
                    headersOnly: true,
                    inactiveThreshold: .seconds(60)
                ),
                on: streamName
            )
            defer { jetStream.discardConsumer(consumer.name, on: streamName) }
            guard consumer.pending > 0 else { return try await nextID(on: subject, from: next, through: last) }
            let reading = try await jetStream.reading(
                Int(clamping: consumer.pending),
                maximumBytes: 16 << 20,
                before: last.nextSequence,
                from: consumer.name,
                on: streamName,
                delivered: 0,
                limits: PullLimits(consumer.configuration),
                deadline: .now + patience
            ) { ($0.position.streamSequence, $0.messageID) }
            if reading.hasPassedEnd { return (reading.elements, last.nextSequence) }
            if let (end, _) = reading.elements.last { return (reading.elements, end.nextSequence) }
            if let error = reading.error { throw error }
            return try await nextID(on: subject, from: next, through: last)
        } messages: { reader, _ throws(JetStreamError) -> StoredIDs in
            var plan = ReadingPlan(next..<max(next, last.nextSequence), .oldestFirst)
            try await reader.read(
                &plan,
                Self.searchedAtOnce.messages,
                maximumBytes: Self.searchedAtOnce.bytes,
                matching: subject.flatMap { try? EventPattern(subject: $0) },
                until: .now + patience / 2,
                patience: patience
            )
            let part = plan.take()
            return (part.messages.map { ($0.sequence, $0.messageID) }, part.reached)
        }
    }

    /// The most that one reading without a consumer brings.
    private static let searchedAtOnce = (messages: 512, bytes: 8 << 20)

    /// Reads the id of the next message. It is also used when a consumer says that there is none, because servers
    /// before 2.10 have been seen to count too low.
    private func nextID(
        on subject: String?,
        from next: UInt64,
        through last: UInt64
    ) async throws(JetStreamError) -> StoredIDs {
        let message = try await jetStream.message(atOrAfter: next, matching: subject ?? ">", on: streamName)
        guard let message, message.sequence <= last else { return ([], last.nextSequence) }
        return ([(message.sequence, message.messageID)], max(message.sequence, next).nextSequence)
    }
}

/// A message that was sent, while it is not known whether it is stored.
struct UncertainMessage {
    let index: Int
    let messageID: String
    let subject: String
    let first: FirstSending
    /// Whether the stream may have forgotten its message id.
    let isForgotten: Bool

    init(_ message: PendingMessage, _ index: Int, _ first: FirstSending, isForgotten: Bool) {
        self.index = index
        messageID = message.messageID
        subject = message.subject
        self.first = first
        self.isForgotten = isForgotten
    }
}

/// The result of a search in the stream for messages that may be stored.
struct FoundMessages {
    /// What became of each message.
    struct Outcome {
        /// The stored messages and their sequences; for one that was replaced, the sequence of the message that
        /// replaced it.
        var stored: [(index: Int, sequence: UInt64, isReplaced: Bool)] = []
        /// The messages that are not stored: sent again, they are stored once.
        var absent: [Int] = []
        /// Whether nothing can be known about one of the messages.
        var isUnknown = false
    }

    /// The sequences of the stored messages, by message id.
    let positions: [String: UInt64]
    /// The other messages are not stored at this sequence or before.
    let last: StreamPosition
    /// Whether the stream has lost messages, which may have included the others.
    let hasGaps: Bool

    /// Decides what became of messages, in the order in which they were sent.
    ///
    /// A stream may keep only so many messages of each subject. A message that was followed by that many later ones on
    /// its subject would be gone by now, stored or not; sent again, it would come after those that follow it. It counts
    /// as stored by this sending, at the position of the next message of its subject.
    ///
    /// - Parameter subjectLimit: how many messages of each subject the stream keeps; `nil` for any number.
    func outcome(of messages: [UncertainMessage], subjectLimit: Int?) -> Outcome {
        var outcome = Outcome()
        // The sequences of later messages, by subject.
        var later: [String: [UInt64]] = [:]
        for message in messages.reversed() {
            if let sequence = positions[message.messageID] {
                later[message.subject, default: []].append(sequence)
                outcome.stored.append((message.index, sequence, false))
            } else if !hasGaps {
                outcome.absent.append(message.index)
            } else if let subjectLimit, let followers = later[message.subject], followers.count >= subjectLimit,
                let next = followers.last
            {
                outcome.stored.append((message.index, next, true))
            } else if message.isForgotten {
                outcome.isUnknown = true
            }
        }
        outcome.stored.reverse()
        outcome.absent.reverse()
        return outcome
    }
}
