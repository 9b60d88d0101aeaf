/// A table of keys and values beside a stream, for what follows from its events and must outlive them. Every write is a
/// new revision, and can depend on the key's present one.
public protocol StateStore: Sendable {
    /// Creates the table unless it exists.
    ///
    /// - Throws: `permissionDenied`, `persistenceUnavailable`, `storageFull`, `timeout`.
    func create() async throws(MeshEventsError)

    /// The value of a key, as the store that decides the order of writes has it.
    ///
    /// - Returns: `nil` when the key has no value: it was never written, or was deleted.
    /// - Throws: `streamNotFound` when there is no table; `permissionDenied`, `timeout`.
    func entry(_ key: String) async throws(MeshEventsError) -> StateEntry?

    /// Passes the values of keys to `body`, each key's newest, in any order.
    ///
    /// - Parameters:
    ///   - prefix: the tokens with which the keys begin, `alert.state`; empty for all keys.
    ///   - body: gets each entry.
    /// - Throws: as ``entry(_:)``.
    func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError)

    /// The key that a revision wrote or deleted.
    ///
    /// - Returns: `nil` when there is nothing left of it: the key was written again, or removed.
    /// - Throws: as ``entry(_:)``.
    func key(of revision: UInt64) async throws(MeshEventsError) -> String?

    /// Writes a value.
    ///
    /// - Parameters:
    ///   - value: the value.
    ///   - signature: who says so, for the readers that want to know; `nil` for none.
    ///   - key: tokens with dots between them: letters of ASCII, digits, `-`, `/`, `_` and `=`.
    ///   - expected: the revision that the key must have; `nil` when it must have no value.
    /// - Returns: the new revision, from 1; that of the next write to any key is greater by one.
    /// - Throws: `conflict` when the key has another revision (nothing is written); `payloadTooLarge`, `storageFull`;
    ///   `timeout` when it may be written or not.
    func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64

    /// Deletes a key that has this revision. That is a write too.
    ///
    /// - Returns: the revision of the deletion.
    /// - Throws: as ``write(_:signature:to:expected:)``.
    func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64

    /// Removes a key that does not belong there, whatever it has, without a trace: it is no write.
    ///
    /// - Throws: as ``entry(_:)``.
    func remove(_ key: String) async throws(MeshEventsError)

    /// The subject of a key's messages, which a signature covers together with the value: the same for all who use this
    /// table.
    func subject(of key: String) -> String
}

extension StateStore {
    /// Passes all values to `body`, each key's newest, in any order.
    ///
    /// - Throws: as ``entry(_:)``.
    public func read(_ body: (StateEntry) -> Void) async throws(MeshEventsError) { try await read(under: "", body) }
}

/// The names of the tables beside streams.
package enum StateTable {
    /// The name of the table beside a stream: that of `MESH_EVENTS` is `MESH_STATE`, that of any other stream has its name
    /// and `_STATE`.
    package static func name(for stream: String) -> String {
        stream == PersistentEventBus.Configuration().streamName ? "MESH_STATE" : "\(stream)_STATE"
    }
}

/// A key of a ``StateStore`` with its value.
public struct StateEntry: Sendable, Hashable {
    /// The key.
    public let key: String
    /// The value.
    public let value: [UInt8]
    /// The number of the write, from 1; later writes of any key have greater numbers.
    public let revision: UInt64
    /// When the store stored it, by its own clock.
    public let storedAt: Timestamp
    /// What was written with the value to tell who says so; not verified.
    public let signature: String?

    /// Creates an entry.
    public init(key: String, value: [UInt8], revision: UInt64, storedAt: Timestamp, signature: String? = nil) {
        self.key = key
        self.value = value
        self.revision = revision
        self.storedAt = storedAt
        self.signature = signature
    }
}
