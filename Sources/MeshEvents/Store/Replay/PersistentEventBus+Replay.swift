extension PersistentEventBus {
    /// Replays the stream: first the stored events, then the new ones, as one sequence; see ``ReplaySubscription``.
    ///
    /// ```swift
    /// for try await element in try await persistent.replay(matching: "events.tool.>", from: .sequence(17)) {
    ///     if let stored = element.event { print(stored.sequence, stored.event) }
    /// }
    /// ```
    ///
    /// Closing this bus ends the replay.
    ///
    /// - Parameters:
    ///   - pattern: which events. Default: all of them.
    ///   - start: where to begin. Default: with the oldest event that the stream still has.
    /// - Throws: as ``EventReplay/open(matching:from:timeout:)-(EventPattern,_,_)``.
    public func replay(
        matching pattern: EventPattern = .all,
        from start: ReplayStart = .beginning
    ) async throws(MeshEventsError) -> ReplaySubscription {
        try await replay(matching: [pattern], from: start)
    }

    /// Replays the events that match at least one of several patterns, each once.
    ///
    /// - Throws: as ``EventReplay/open(matching:from:timeout:)-(EventPattern,_,_)``.
    public func replay(
        matching patterns: [EventPattern],
        from start: ReplayStart = .beginning
    ) async throws(MeshEventsError) -> ReplaySubscription {
        guard !bus.isClosed else { throw EventBus.closedError }
        let replay = try await EventReplay(store, logger: bus.logger, admission: bus.admission)
            .open(matching: patterns, from: start)
        replays.add(replay)
        // The bus may have been closed meanwhile.
        if bus.isClosed { replay.cancel() }
        return replay
    }
}
