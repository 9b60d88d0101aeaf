import MeshConcurrency
public import MeshEvents

/// A table of keys and values without a server, for unit tests.
public final class InMemoryStateStore: StateStore {
    private struct State {
        var entries: [String: StateEntry]?
        var revision: UInt64 = 0
        var failure: MeshEventsError?
    }

    private let state = Locked(State())
    private let now: @Sendable () -> Timestamp

    /// Creates a store without a table.
    ///
    /// - Parameter now: the store's clock.
    public init(now: @escaping @Sendable () -> Timestamp = { .now }) { self.now = now }

    /// Makes every request fail with this error, until it is `nil` again.
    public func fail(with error: MeshEventsError?) { state.withLock { $0.failure = error } }

    /// Removes the table and all it holds.
    public func delete() { state.withLock { $0.entries = nil } }

    /// All entries, by key.
    public var entries: [StateEntry] {
        state.withLock { $0.entries.map { Array($0.values) } ?? [] }.sorted { $0.key < $1.key }
    }

    /// Creates the table unless it exists.
    public func create() async throws(MeshEventsError) {
        try change { state throws(MeshEventsError) in if state.entries == nil { state.entries = [:] } }
    }

    /// The value of a key.
    public func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? {
        try change { state throws(MeshEventsError) in try Self.table(state)[key] }
    }

    /// Passes the values of keys that begin with these tokens to `body`.
    public func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
        let entries = try change { state throws(MeshEventsError) in try Self.table(state) }
        for entry in entries.values.sorted(by: { $0.revision < $1.revision })
        where prefix.isEmpty || entry.key.hasPrefix(prefix + ".") { body(entry) }
    }

    /// The key that a revision wrote.
    public func key(of revision: UInt64) async throws(MeshEventsError) -> String? {
        try change { state throws(MeshEventsError) in
            try Self.table(state).values.first { $0.revision == revision }?.key
        }
    }

    /// Writes a value.
    public func write(
        _ value: [UInt8],
        signature: String? = nil,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        try change { state throws(MeshEventsError) in
            try Self.check(key, expected, state)
            state.revision += 1
            state.entries?[key] = StateEntry(
                key: key,
                value: value,
                revision: state.revision,
                storedAt: now(),
                signature: signature
            )
            return state.revision
        }
    }

    /// Deletes a key.
    @discardableResult
    public func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
        try change { state throws(MeshEventsError) in
            try Self.check(key, expected, state)
            state.revision += 1
            state.entries?[key] = nil
            return state.revision
        }
    }

    /// Removes a key without a trace.
    public func remove(_ key: String) async throws(MeshEventsError) {
        try change { state throws(MeshEventsError) in
            _ = try Self.table(state)
            state.entries?[key] = nil
        }
    }

    /// The subject of a key.
    public func subject(of key: String) -> String { "$KV.MEMORY.\(key)" }

    private static func table(_ state: State) throws(MeshEventsError) -> [String: StateEntry] {
        guard let entries = state.entries else { throw MeshEventsError(.streamNotFound, "there is no table") }
        return entries
    }

    private static func check(_ key: String, _ expected: UInt64?, _ state: State) throws(MeshEventsError) {
        let found = try table(state)[key]?.revision
        guard found == expected else {
            throw MeshEventsError(.conflict, "\(key) has revision \(found ?? 0), not \(expected ?? 0)")
        }
    }

    private func change<Result: Sendable>(
        _ body: (inout State) throws(MeshEventsError) -> Result
    ) throws(MeshEventsError) -> Result {
        let result: Swift.Result<Result, MeshEventsError> = state.withLock { state in
            if let failure = state.failure { return .failure(failure) }
            do throws(MeshEventsError) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
