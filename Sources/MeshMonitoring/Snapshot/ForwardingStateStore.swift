package import MeshEvents

/// A table that passes everything on to another one, for those that change one thing about it.
package protocol ForwardingStateStore: StateStore {
    /// The table behind it.
    var table: any StateStore { get }
}

extension ForwardingStateStore {
    package func create() async throws(MeshEventsError) { try await table.create() }

    package func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? { try await table.entry(key) }

    package func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
        try await table.read(under: prefix, body)
    }

    package func key(of revision: UInt64) async throws(MeshEventsError) -> String? { try await table.key(of: revision) }

    package func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        try await table.write(value, signature: signature, to: key, expected: expected)
    }

    package func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
        try await table.delete(key, expected: expected)
    }

    package func remove(_ key: String) async throws(MeshEventsError) { try await table.remove(key) }

    package func subject(of key: String) -> String { table.subject(of: key) }
}
