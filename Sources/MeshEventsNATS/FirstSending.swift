import MeshEvents
import NATSClient

/// When a message was first sent, and behind which sequence of the stream it can be.
struct FirstSending: Sendable {
    /// A copy that was stored at the first sending is forgotten after the stream's duplicate window. One that is sent
    /// again must arrive before; a part of the window is for its way.
    private static let trusted = 0.75

    let time: ContinuousClock.Instant
    let after: UInt64

    init(after: UInt64, at time: ContinuousClock.Instant = .now) {
        self.after = after
        self.time = time
    }

    /// Whether the stream may have forgotten the message's id, so that sending it again may store it twice.
    func isForgotten(window: Duration) -> Bool { .now - time >= window * Self.trusted }
}

extension JetStreamStore {
    /// Looks for messages that may be stored, by their ids: what is found in the stream needs no guess.
    ///
    /// - Parameters:
    ///   - ids: the ids to look for.
    ///   - subjects: the subjects of these messages.
    ///   - sequence: none of them is at it or before.
    ///   - patience: how long nothing may come.
    /// - Returns: where those are that are stored, and the stream's last sequence before it was read.
    func find(
        _ ids: Set<String>,
        on subjects: Set<String>,
        after sequence: UInt64,
        patience: Duration
    ) async throws(MeshEventsError) -> (found: [String: UInt64], last: UInt64) {
        var found: [String: UInt64] = [:]
        var range: (next: UInt64, last: UInt64)?
        // The link may be away; each part that came counts.
        var backoff = RetryBackoff(deadline: .now + patience)
        while true {
            do throws(MeshEventsError) {
                let last: UInt64 = if let range { range.last } else { try await state().lastSequence }
                // A stream that is shorter was made anew.
                var next = range?.next ?? (sequence <= last ? sequence.nextSequence : 1)
                range = (next, last)
                while next <= last, found.count < ids.count {
                    let part = try await storedIDs(on: subjects, from: next, through: last, patience: patience)
                    for (position, id) in part.ids where ids.contains(id) { found[id] = found[id] ?? position }
                    next = part.next
                    range = (next, last)
                    backoff.deadline = .now + patience
                }
                return (found, last)
            } catch {
                if error.isRetriable, await backoff.wait() { continue }
                throw Self.unknown(error)
            }
        }
    }

    private static func unknown(_ error: MeshEventsError) -> MeshEventsError {
        MeshEventsError(
            error.code,
            "whether the event is stored is not known: it was sent longer ago than the stream remembers message ids, and "
                + "the stream cannot be read: \(error.message)",
            underlying: error,
            isRetriable: false
        )
    }

    private typealias StoredIDs = (ids: [(UInt64, String)], next: UInt64)

    /// The ids of messages, as many as one reading brings, and where to go on.
    private func storedIDs(
        on subjects: Set<String>,
        from next: UInt64,
        through last: UInt64,
        patience: Duration
    ) async throws(MeshEventsError) -> StoredIDs {
        let filter = subjects.count == 1 ? Array(subjects) : []
        return try await reading(until: .now + patience) { _ throws(JetStreamError) -> StoredIDs in
            let consumer = try await jetStream.createConsumer(
                .reader(start: .sequence(next), filterSubjects: filter, inactiveThreshold: .seconds(60)),
                on: streamName
            )
            defer { jetStream.discardConsumer(consumer.name, on: streamName) }
            guard consumer.pending > 0 else { return try await nextID(filter, from: next, through: last) }
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
            let ids = reading.elements.compactMap { message in message.1.map { (message.0, $0) } }
            if reading.hasPassedEnd { return (ids, last.nextSequence) }
            if let (end, _) = reading.elements.last { return (ids, end.nextSequence) }
            if let error = reading.error { throw error }
            return try await nextID(filter, from: next, through: last)
        } messages: { _, _ throws(JetStreamError) -> StoredIDs in
            try await nextID(filter, from: next, through: last)
        }
    }

    /// The id of the next message: also where a consumer says that there is none, for servers before 2.10 have been seen to
    /// count too low.
    private func nextID(
        _ filter: [String],
        from next: UInt64,
        through last: UInt64
    ) async throws(JetStreamError) -> StoredIDs {
        let message = try await jetStream.message(atOrAfter: next, matching: filter.first ?? ">", on: streamName)
        guard let message else { return ([], last.nextSequence) }
        let id = message.messageID.map { [(message.sequence, $0)] } ?? []
        return (id, max(message.sequence, next).nextSequence)
    }
}
