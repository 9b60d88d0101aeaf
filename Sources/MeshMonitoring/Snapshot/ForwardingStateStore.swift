import MeshEvents

/// A table that passes everything on to another one, for those that change one thing about it.
protocol ForwardingStateStore: StateStore {
    /// The table behind it.
    var table: any StateStore { get }
}

extension ForwardingStateStore {
    func create() async throws(MeshEventsError) { try await table.create() }

    func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? { try await table.entry(key) }

    func read(_ body: (StateEntry) -> Void) async throws(MeshEventsError) { try await table.read(body) }

    func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        try await table.write(value, signature: signature, to: key, expected: expected)
    }

    func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
        try await table.delete(key, expected: expected)
    }

    func remove(_ key: String) async throws(MeshEventsError) { try await table.remove(key) }

    func subject(of key: String) -> String { table.subject(of: key) }
}
