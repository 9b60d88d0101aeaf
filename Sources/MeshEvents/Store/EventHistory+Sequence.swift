extension EventHistory {
    /// All matching events, oldest first, as a sequence. It reads page by page, so its memory does not depend on the
    /// number of events.
    ///
    /// It ends with the last event that was stored when reading began. Events that the stream drops before they are
    /// read are left out without notice; ``EventReplay`` reports them. When the stream is deleted and created again
    /// meanwhile, it throws `streamReplaced`. Each iterator starts from the beginning.
    ///
    /// ```swift
    /// for try await stored in history.events(matching: [.allTools, .allNodes]) { print(stored) }
    /// ```
    ///
    /// - Parameters:
    ///   - patterns: which events: those that match at least one of these, each once. Default: all of them.
    ///   - since: only events stored at this time or later; a time in the future throws `invalidArgument`.
    ///   - until: only events stored at this time or earlier.
    ///   - node: only events about this node.
    ///   - filter: only events that pass. Default: all of them.
    ///   - after: only events with a sequence above this.
    ///   - before: only events with a sequence below this.
    ///   - pageSize: how many events are held at once, from 1; fewer when they are large: about 16 MiB of them. Default
    ///     8 192.
    ///   - timeout: how long the reader may get no data while there is something to read. Default 30 seconds.
    public func events(
        matching patterns: [EventPattern] = [.all],
        since: Timestamp? = nil,
        until: Timestamp? = nil,
        node: String? = nil,
        filter: EventFilter = EventFilter(),
        after: UInt64? = nil,
        before: UInt64? = nil,
        pageSize: Int = 8_192,
        timeout: Duration = .seconds(30)
    ) -> StoredEvents {
        var query = Query(
            matching: patterns,
            since: since,
            until: until,
            node: node,
            filter: filter,
            limit: pageSize,
            end: .oldest,
            before: before,
            after: after,
            timeout: timeout
        )
        query.byteLimit = 16 << 20
        return StoredEvents(history: self, query: query)
    }

    /// Stored events, read on demand; see
    /// ``EventHistory/events(matching:since:until:node:filter:after:before:pageSize:timeout:)``.
    public struct StoredEvents: AsyncSequence, Sendable {
        /// An event with its place in the stream.
        public typealias Element = StoredEvent
        /// The only error it throws.
        public typealias Failure = MeshEventsError

        let history: EventHistory
        let query: Query

        /// An iterator that reads from the beginning.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(history: history, query: query) }

        /// Holds one page at a time.
        public struct AsyncIterator: AsyncIteratorProtocol {
            private let history: EventHistory
            private var query: Query?
            private var isBounded = false
            private var page: ArraySlice<StoredEvent> = []
            /// How many messages were left out so far because they are not events.
            public private(set) var malformed = 0

            init(history: EventHistory, query: Query) {
                self.history = history
                self.query = query
            }

            /// The next event; `nil` at the end, and when the task is cancelled.
            public mutating func next(
                isolation actor: isolated (any Actor)?
            ) async throws(MeshEventsError) -> StoredEvent? {
                while true {
                    if Task.isCancelled { return nil }
                    if let event = page.popFirst() { return event }
                    guard var query else { return nil }
                    if !isBounded {
                        try query.validate()
                        let state = try await history.store.state()
                        let last = state.lastSequence
                        query.created = state.created
                        if last < .max { query.before = Swift.min(query.before ?? .max, last + 1) }
                        isBounded = true
                    }
                    // An error ends the sequence.
                    self.query = nil
                    let (found, _) = try await history.read(query)
                    let next = query.next(after: found)
                    // Each page checks the stream before it reads, which proves the pages before it; so only the last
                    // page needs a check.
                    if next == nil { try await history.checkStream(isOf: found.created, timeout: query.timeout) }
                    self.query = next
                    malformed += found.malformed
                    page = found.events[...]
                }
            }

            /// The next event; `nil` at the end, and when the task is cancelled.
            public mutating func next() async throws(MeshEventsError) -> StoredEvent? {
                try await next(isolation: #isolation)
            }
        }
    }
}
