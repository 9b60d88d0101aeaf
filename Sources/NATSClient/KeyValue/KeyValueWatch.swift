extension KeyValueBucket {
    /// Where a watch begins.
    public enum WatchStart: Sendable, Hashable {
        /// With the newest revision of each key.
        case values
        /// With all revisions that the bucket keeps.
        case history
        /// With what is written after the watch began.
        case changes
        /// With this revision, from 1, or the first one after it that is kept.
        case revision(UInt64)
    }

    /// What a watch delivers.
    public enum Update: Sendable, Hashable {
        /// A revision of a key.
        case entry(Entry)
        /// All that was stored when the watch began has come: once, also for an empty bucket. What follows is new, and
        /// so is the value of a key that was written again meanwhile.
        case initialValuesComplete
    }

    /// Watches keys: first what is stored, then ``Update/initialValuesComplete``, then every change.
    ///
    /// ```swift
    /// for try await update in try await settings.watch("tools.*.rate") {
    ///     switch update {
    ///     case .entry(let entry): apply(entry)
    ///     case .initialValuesComplete: start()
    ///     }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - pattern: which keys: `*` for a token, `>` at the end for the rest; `>`, the default, for all.
    ///   - start: where to begin.
    ///   - ignoresDeletes: whether deletions are left out.
    ///   - withoutValues: whether entries come without their values.
    ///   - timeout: how long the server may take for each answer; `nil` for the time of ``jetStream``.
    /// - Throws: `invalidKey`, `bucketNotFound`, `requestFailed`.
    public func watch(
        _ pattern: String = ">",
        from start: WatchStart = .values,
        ignoresDeletes: Bool = false,
        withoutValues: Bool = false,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> Watch {
        try KeyRules.validate(pattern: pattern)
        let found = try await information(timeout: timeout)
        // A bucket without history holds the newest revision of each key alone, and one consumer brings all.
        let isBare = found.configuration.fields["max_msgs_per_subject"] == 1
        return Watch(
            bucket: self,
            filter: root + pattern,
            start: isBare && start == .values ? .history : start,
            ignoresDeletes: ignoresDeletes,
            withoutValues: withoutValues,
            timeout: timeout ?? jetStream.timeout,
            created: found.created,
            last: found.state.lastSequence
        )
    }

    /// The updates of a watch, in the order of their revisions; see ``KeyValueBucket/watch(_:from:ignoresDeletes:withoutValues:timeout:)``.
    ///
    /// It goes on over lost connections and restarted servers, after the last revision: nothing is lost or repeated. After
    /// such a loss, before ``Update/initialValuesComplete``, older revisions of a key may come before its newest one. A
    /// reader that is slow gets all the same what the bucket still keeps; a watch holds few updates in memory.
    ///
    /// It ends when its task is cancelled. It throws `bucketNotFound` when the bucket was deleted, `bucketReplaced` when it
    /// was created again, and `requestFailed` when the connection was closed or the server refuses the reading. Each
    /// iterator watches on its own.
    public struct Watch: AsyncSequence, Sendable {
        /// An update.
        public typealias Element = Update
        /// The only error it throws.
        public typealias Failure = KeyValueError

        let bucket: KeyValueBucket
        let filter: String
        let start: WatchStart
        let ignoresDeletes: Bool
        let withoutValues: Bool
        let timeout: Duration
        /// When the bucket was created.
        let created: String?
        /// The newest revision when the watch began.
        let last: UInt64

        /// Begins to watch.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(watcher: KeyValueWatcher(self)) }

        /// Asks the server for more when the reader has taken what came.
        public struct AsyncIterator: AsyncIteratorProtocol {
            private let watcher: KeyValueWatcher

            fileprivate init(watcher: KeyValueWatcher) { self.watcher = watcher }

            /// The next update; `nil` when the task is cancelled.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws(KeyValueError) -> Update? {
                try await watcher.next()
            }

            /// The next update; `nil` when the task is cancelled.
            public mutating func next() async throws(KeyValueError) -> Update? {
                try await next(isolation: #isolation)
            }
        }
    }
}
