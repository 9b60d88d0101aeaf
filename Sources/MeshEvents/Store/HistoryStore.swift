import MeshConcurrency

/// The stored messages of a stream and of its archive, read as those of one stream.
///
/// The stream is read as far as it reaches, and the archive below its first sequence. Both have the same sequences, so
/// the cursors of one hold for the other.
struct HistoryStore: Sendable {
    private let stream: any EventStore
    private let archiving: (any ArchivingEventStore)?
    /// How far a stream that has an archive reached when that was last known. Its first sequence only grows.
    private let reach = Locked<Reach?>(nil)

    private struct Reach {
        let created: Timestamp?
        let first: UInt64
    }

    init(_ stream: any EventStore) {
        self.stream = stream
        archiving = stream as? any ArchivingEventStore
    }

    func state() async throws(MeshEventsError) -> StreamState { try await stream.state() }

    func checkIsPast(_ time: Timestamp, _ name: String, timeout: Duration) async throws(MeshEventsError) {
        try await stream.checkIsPast(time, name, timeout: timeout)
    }

    /// As ``EventStore/newest(_:maximumBytes:matching:before:timeout:)``. The archive is asked when the stream has not
    /// enough.
    func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        var part = try await stream.newest(
            limit,
            maximumBytes: maximumBytes,
            matching: pattern,
            before: before,
            timeout: timeout
        )
        let end = part.messages.first?.sequence ?? before
        let missing = limit - part.messages.count
        guard missing > 0, !part.isCutShort, end ?? .max > 1, let archive = try await archive(of: part.created) else {
            return part
        }
        let room = maximumBytes - part.size
        guard room > 0 else {
            part.isCutShort = true
            return part
        }
        let older = try await archive.newest(
            missing,
            maximumBytes: room,
            matching: pattern,
            before: end,
            timeout: timeout
        )
        part.messages = older.messages + part.messages
        part.isCutShort = older.isCutShort
        return part
    }

    /// As ``EventStore/first(_:maximumBytes:matching:from:timeout:)``. The archive is asked when the stream no longer
    /// has the start.
    func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        var request = FirstMessages(limit: limit, bytes: maximumBytes, pattern: pattern, start: start, timeout: timeout)
        var older = StoredPart()
        if let state = try await stateOfArchived(request), let archive = try await archive(of: state.created) {
            older = try await request.part(of: archive, endingBefore: state.firstSequence)
            older.created = state.created
            guard !older.isCutShort, request.goOn(behind: older, at: state.firstSequence) else {
                older.isCutShort = true
                return older
            }
        }
        let newer = try await newer(request)
        try StreamPosition.check(newer.created, isOf: older.created)
        return StoredPart(
            messages: Array((older.messages + newer.messages).prefix(limit)),
            isCutShort: newer.isCutShort,
            created: newer.created
        )
    }

    /// The message with this sequence, of the stream or else of its archive; `nil` when neither has it.
    func message(_ sequence: UInt64, timeout: Duration) async throws(MeshEventsError) -> StoredMessage? {
        if let found = try await stream.message(sequence, timeout: timeout) { return found }
        guard archiving != nil, let archive = try await archive(of: try await stream.state().created) else {
            return nil
        }
        return try await archive.message(sequence, timeout: timeout)
    }

    /// The state of the stream when it is known to have dropped the start of a request, and to have an archive.
    private func stateOfArchived(_ request: FirstMessages) async throws(MeshEventsError) -> StreamState? {
        guard let known = reach.withLock({ $0 }), request.mayBegin(before: known.first) else { return nil }
        let state = try await stream.state()
        if state.created == known.created { return state }
        // The stream was deleted and created again.
        reach.withLock { $0 = nil }
        return nil
    }

    /// The messages of the stream, and those of the archive that the stream has dropped before they were read.
    private func newer(_ request: FirstMessages) async throws(MeshEventsError) -> StoredPart {
        var part = try await request.part(of: stream)
        guard archiving != nil else { return part }
        // With an archive, what the stream drops while it is read is there.
        let isArchived = reach.withLock { $0.map { $0.created == part.created } ?? false }
        guard isArchived || request.mayBegin(before: part.firstSequence ?? .max) else { return part }
        let state = try await stream.state()
        guard request.mayBegin(before: state.firstSequence), state.created == part.created,
            let archive = try await archive(of: state.created)
        else { return part }
        reach.withLock { $0 = Reach(created: state.created, first: state.firstSequence) }
        var dropped = try await request.part(of: archive, endingBefore: state.firstSequence)
        dropped.created = part.created
        guard !dropped.isCutShort else { return dropped }
        part.messages = dropped.messages + part.messages.filter { $0.sequence >= state.firstSequence }
        return part
    }

    /// The archive of the stream that was created at this time; `nil` for none.
    private func archive(of created: Timestamp?) async throws(MeshEventsError) -> (any EventStore)? {
        try await archiving?.archive(ofStreamCreated: created)
    }
}

/// A request for the first messages from a start on, as it is asked of an archive and of its stream.
private struct FirstMessages {
    private(set) var limit: Int
    private var bytes: Int
    private let pattern: EventPattern
    private var start: StoredPart.Start
    private let timeout: Duration

    init(limit: Int, bytes: Int, pattern: EventPattern, start: StoredPart.Start, timeout: Duration) {
        self.limit = limit
        self.bytes = bytes
        self.pattern = pattern
        self.start = start
        self.timeout = timeout
    }

    /// Whether a stream with this first sequence may have dropped messages that the request is about.
    func mayBegin(before first: UInt64) -> Bool {
        switch start {
        case .sequence(let sequence): max(sequence, 1) < first
        case .time: first > 1
        }
    }

    func part(of store: any EventStore) async throws(MeshEventsError) -> StoredPart {
        try await store.first(limit, maximumBytes: bytes, matching: pattern, from: start, timeout: timeout)
    }

    /// The messages below a sequence. The part is cut short when there may be more of them.
    func part(
        of archive: any EventStore,
        endingBefore end: UInt64
    ) async throws(MeshEventsError) -> StoredPart {
        var part = try await part(of: archive)
        let count = part.messages.firstIndex { $0.sequence >= end } ?? part.messages.count
        let isWhole = count < part.messages.count || (count < limit && !part.isCutShort)
        part.messages.removeSubrange(count...)
        part.isCutShort = !isWhole
        return part
    }

    /// Goes on at a sequence, behind the messages of the archive.
    ///
    /// - Returns: `false` when there is no room for more.
    mutating func goOn(behind part: StoredPart, at sequence: UInt64) -> Bool {
        guard !part.messages.isEmpty else { return true }
        start = .sequence(sequence)
        limit -= part.messages.count
        bytes -= part.size
        return limit > 0 && bytes > 0
    }
}

extension StoredPart {
    /// How many bytes the payloads have.
    fileprivate var size: Int { messages.reduce(0) { $0 + $1.payload.count } }
}
