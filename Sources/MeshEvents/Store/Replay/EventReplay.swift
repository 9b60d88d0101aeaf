public import Logging

/// Replays a stream: first the stored events, then the new ones, as one sequence. Creates only a consumer of its own,
/// which ends with the replay, and changes nothing else.
///
/// ```swift
/// let replay = try await EventReplay(store: store).open(matching: .allTools, from: .beginning)
/// for try await element in replay {
///     switch element {
///     case .event(let stored): print(stored.sequence, stored.event)
///     case .gap(let gap): print("\(gap) are gone")
///     case .caughtUp: print("from here on live")
///     case .reset(let reset): print(reset)
///     }
/// }
/// ```
public struct EventReplay: Sendable {
    private let store: any EventStore
    private let reporter: MalformedReporter
    private let admission: SignatureCheck
    private let logger: Logger

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - store: the store with the events; it need not have been opened.
    ///   - verification: how to verify the signatures of events; `nil` to verify none.
    ///   - logger: gets a line about malformed messages and rejected events, at most one a second, and one when the
    ///     stream does not answer.
    public init(
        store: some EventStore,
        verification: SignatureVerification? = nil,
        logger: Logger = Logger(label: "mesh-events.replay")
    ) {
        self.init(store, logger: logger, admission: SignatureCheck(verification, logger: logger))
    }

    init(_ store: any EventStore, logger: Logger, admission: SignatureCheck) {
        self.store = store
        self.admission = admission
        self.logger = logger
        reporter = MalformedReporter(logger: logger, callback: nil)
    }

    /// Opens a replay; see ``ReplaySubscription`` for what it guarantees.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - filter: only events that pass; gaps and the other elements come nevertheless. Default: all of them.
    ///   - start: where to begin.
    ///   - timeout: how long opening may take. The replay itself has no end.
    /// - Throws: `invalidPattern`; `invalidArgument` for a sequence or a time that the stream has not reached;
    ///   `streamNotFound`, `streamMismatch` when the stream does not store matching subjects, `persistenceUnavailable`,
    ///   `permissionDenied`, `timeout`, `closed`.
    public func open(
        matching pattern: EventPattern = .all,
        filter: EventFilter = EventFilter(),
        from start: StreamStart = .beginning,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ReplaySubscription {
        try await open(matching: [pattern], filter: filter, from: start, timeout: timeout)
    }

    /// Opens a replay of the events that match at least one of several patterns, each event once.
    ///
    /// The store follows one pattern that covers them all; this replay leaves out the other events. The sequences of a
    /// gap are those of the covering pattern.
    ///
    /// - Throws: as ``open(matching:filter:from:timeout:)-(EventPattern,_,_,_)``; `invalidArgument` when there is no pattern.
    public func open(
        matching patterns: [EventPattern],
        filter: EventFilter = EventFilter(),
        from start: StreamStart = .beginning,
        timeout: Duration = .seconds(30)
    ) async throws(MeshEventsError) -> ReplaySubscription {
        let patterns = try EventPattern.distinct(patterns)
        if case .time(let time) = start { try await store.checkIsPast(time, "the start", timeout: timeout) }
        let follower = try await store.follow(
            matching: EventPattern.covering(patterns),
            from: start,
            timeout: timeout
        )
        return ReplaySubscription(
            follower,
            patterns: patterns,
            filter: filter,
            reporter: reporter,
            admission: admission,
            logger: logger
        )
    }
}

extension EventStore {
    /// Throws `invalidArgument` for a time of storing in the future.
    ///
    /// The server sets the times of storing, and its clock may be ahead of ours: a time up to that of its newest
    /// message is accepted.
    func checkIsPast(_ time: Timestamp, _ name: String, timeout: Duration) async throws(MeshEventsError) {
        guard time > .now else { return }
        let newest = try await newest(1, matching: .all, before: nil, timeout: timeout).last
        if let newest, newest.storedAt >= time { return }
        throw MeshEventsError(
            .invalidArgument,
            "\(name) (\(time)) lies in the future, and no event is stored from then on yet; give a time in the past"
        )
    }
}

extension PersistentEventBus {
    /// Replays the stream: first the stored events, then the new ones, as one sequence; see ``ReplaySubscription``.
    ///
    /// ```swift
    /// for try await element in try await persistent.replay(matching: .allTools, from: .sequence(17)) {
    ///     if let stored = element.event { print(stored.sequence, stored.event) }
    /// }
    /// ```
    ///
    /// Closing this bus ends the replay.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - filter: only events that pass; gaps and the other elements come nevertheless. Default: all of them.
    ///   - start: where to begin. Default: with the oldest event that the stream still has.
    /// - Throws: as ``EventReplay/open(matching:filter:from:timeout:)-(EventPattern,_,_,_)``.
    public func replay(
        matching pattern: EventPattern = .all,
        filter: EventFilter = EventFilter(),
        from start: StreamStart = .beginning
    ) async throws(MeshEventsError) -> ReplaySubscription {
        try await replay(matching: [pattern], filter: filter, from: start)
    }

    /// Replays the events that match at least one of several patterns, each once.
    ///
    /// - Throws: as ``EventReplay/open(matching:filter:from:timeout:)-(EventPattern,_,_,_)``.
    public func replay(
        matching patterns: [EventPattern],
        filter: EventFilter = EventFilter(),
        from start: StreamStart = .beginning
    ) async throws(MeshEventsError) -> ReplaySubscription {
        guard !bus.isClosed else { throw EventBus.closedError }
        let replay = try await EventReplay(store, logger: bus.logger, admission: bus.admission)
            .open(matching: patterns, filter: filter, from: start)
        replays.add(replay)
        // The bus may have been closed meanwhile.
        if bus.isClosed { replay.cancel() }
        return replay
    }
}
