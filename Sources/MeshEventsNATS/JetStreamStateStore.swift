import MeshConcurrency
public import MeshEvents
public import NATSClient
import NIOCore

/// Keeps a table of keys and values in a key-value bucket of NATS, which other clients read as such:
/// `nats kv ls MESH_STATE`.
public final class JetStreamStateStore: StateStore {
    /// The bucket's name.
    public let bucketName: String
    /// JetStream's API on the store's connection.
    public let jetStream: JetStream
    private let streamName: String
    private let bucket = Locked<KeyValueBucket?>(nil)
    /// How large the bucket may become: the first of these that the server can reserve. Without a limit it could fill the
    /// disk; 10 000 nodes with 30 tools each take a third of the largest.
    private static let sizes: [Int64] = [256 << 20, 64 << 20, 16 << 20]
    /// How often what is written meanwhile is read as well.
    private static let mostRounds = 4
    /// The same for a part of the keys: other keys are written all the time.
    private static let mostRoundsOfPart = 2

    /// Creates a store; sends nothing to the server yet.
    ///
    /// - Parameter events: the store of the stream beside which the bucket lies. The bucket of `MESH_EVENTS` is
    ///   `MESH_STATE`, that of any other stream has its name and `_STATE`.
    public init(beside events: JetStreamStore) {
        streamName = events.streamName
        jetStream = events.jetStream
        bucketName = StateTable.name(for: streamName)
    }

    /// Creates the bucket unless it exists: of at most 256 MiB, or of what the server can reserve, on as many servers as
    /// the stream of the events.
    ///
    /// - Throws: `permissionDenied`, `persistenceUnavailable`, `storageFull`, `timeout`.
    public func create() async throws(MeshEventsError) {
        do throws(KeyValueError) {
            let found = try await jetStream.openKeyValue(bucketName)
            return bucket.withLock { $0 = found }
        } catch {
            guard error.code == .bucketNotFound else { throw convert(error) }
        }
        let replicas = try await replicas()
        for size in Self.sizes {
            do throws(KeyValueError) {
                let created = try await jetStream.createKeyValue(
                    .init(
                        bucket: bucketName,
                        description: "What is known of each node of the mesh, kept by one of its nodes",
                        maximumBytes: size,
                        replicas: replicas
                    )
                )
                return bucket.withLock { $0 = created }
            } catch {
                let converted = convert(error)
                // A smaller bucket is one more stream, too.
                let isAboutSize = error.underlying?.errorCode != .maximumStreamsReached
                guard converted.code == .storageFull, isAboutSize else { throw converted }
                guard size == Self.sizes.last else { continue }
                throw MeshEventsError(
                    .storageFull,
                    "the server cannot reserve \(size >> 20) MiB for the bucket \(bucketName): raise the storage limit of the "
                        + "server or the account",
                    underlying: error
                )
            }
        }
    }

    /// On how many servers the stream of the events is kept.
    private func replicas() async throws(MeshEventsError) -> Int {
        do throws(JetStreamError) {
            return try await jetStream.streamInfo(streamName).configuration.replicas
        } catch {
            throw MeshEventsError(error, stream: streamName)
        }
    }

    /// The value of a key, from the server that decides the order of writes.
    ///
    /// - Throws: `streamNotFound` when there is no bucket; `permissionDenied`, `timeout`.
    public func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? {
        try await using { bucket throws(KeyValueError) in
            try await bucket.newest(key).flatMap { StateEntry($0) }
        }
    }

    /// Passes the values of keys to `body`; of a key that is written meanwhile, several. A user who may not create
    /// consumers reads them one by one.
    ///
    /// - Throws: as ``entry(_:)``.
    public func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
        let pattern = prefix.isEmpty ? ">" : "\(prefix).>"
        do throws(MeshEventsError) {
            try await readAtOnce(pattern, rounds: prefix.isEmpty ? Self.mostRounds : Self.mostRoundsOfPart, body)
        } catch {
            guard error.code == .permissionDenied else { throw error }
            try await readOneByOne(pattern, body)
        }
    }

    /// The key that a revision wrote or deleted, from the server that decides the order of writes.
    ///
    /// - Throws: as ``entry(_:)``.
    public func key(of revision: UInt64) async throws(MeshEventsError) -> String? {
        try await using { bucket throws(KeyValueError) in try await bucket.entry(of: revision)?.key }
    }

    private func readAtOnce(
        _ pattern: String,
        rounds: Int,
        _ body: (StateEntry) -> Void
    ) async throws(MeshEventsError) {
        try await using { bucket throws(KeyValueError) in
            var next: UInt64 = 1
            // An entry that is written again moves behind what was there when the reading began.
            for _ in 0..<rounds {
                let last = try await bucket.status().stream.state.lastSequence
                guard next <= last else { return }
                try await Self.read(bucket, pattern, from: next, body)
                next = last + 1
            }
        }
    }

    private static func read(
        _ bucket: KeyValueBucket,
        _ pattern: String,
        from revision: UInt64,
        _ body: (StateEntry) -> Void
    ) async throws(KeyValueError) {
        let start: KeyValueBucket.WatchStart = revision == 1 ? .values : .revision(revision)
        var watch = try await bucket.watch(pattern, from: start, ignoresDeletes: true).makeAsyncIterator()
        while let update = try await watch.next() {
            guard case .entry(let entry) = update else { return }
            if let entry = StateEntry(entry) { body(entry) }
        }
    }

    private func readOneByOne(_ pattern: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
        try await using { bucket throws(KeyValueError) in
            try await bucket.readSingly(pattern) { entry in if let entry = StateEntry(entry) { body(entry) } }
        }
    }

    /// Writes a value; the signature is a header field of its message.
    ///
    /// - Throws: `conflict` when the key has another revision; `payloadTooLarge`, `storageFull`, `streamNotFound`;
    ///   `timeout` when it may be written or not.
    public func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        let value = ByteBuffer(bytes: value)
        var headers: NATSHeaders = [:]
        headers[SignatureVerification.header] = signature
        return try await using { [headers] bucket throws(KeyValueError) in
            guard let expected else { return try await bucket.create(key, value, headers: headers) }
            return try await bucket.update(key, value, expectedRevision: expected, headers: headers)
        }
    }

    /// Deletes a key that has this revision.
    ///
    /// - Throws: as ``write(_:signature:to:expected:)``.
    public func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
        let revision = try await using { bucket throws(KeyValueError) in
            try await bucket.purge(key, expectedRevision: expected)
        }
        // The mark of the deletion serves no reader. Where it may not be removed it stays.
        try? await remove(key, before: revision + 1)
        return revision
    }

    /// Removes a key without a trace; it may be one that no client would write. One with a wildcard as a token stays: a
    /// server would take it for a pattern of keys.
    ///
    /// - Throws: `streamNotFound`, `permissionDenied`, `timeout`.
    public func remove(_ key: String) async throws(MeshEventsError) { try await remove(key, before: nil) }

    /// - Parameter revision: leaves this revision and later ones; `nil` for none.
    private func remove(_ key: String, before revision: UInt64?) async throws(MeshEventsError) {
        let tokens = key.utf8.split(separator: UInt8(ascii: "."))
        guard !tokens.contains(where: { $0.elementsEqual("*".utf8) || $0.elementsEqual(">".utf8) }) else { return }
        do throws(JetStreamError) {
            _ = try await jetStream.purgeStream(streamOfBucket, subject: subject(of: key), before: revision)
        } catch {
            throw MeshEventsError(error, stream: streamOfBucket)
        }
    }

    /// `$KV.`, the bucket's name and the key, with dots between them.
    public func subject(of key: String) -> String { "$KV.\(bucketName).\(key)" }

    private var streamOfBucket: String { "KV_\(bucketName)" }

    /// Runs a request on the bucket, which is opened before the first one, and after it was gone.
    private func using<Answer>(
        _ body: (KeyValueBucket) async throws(KeyValueError) -> Answer
    ) async throws(MeshEventsError) -> Answer {
        do throws(KeyValueError) {
            let open: KeyValueBucket
            if let known = bucket.withLock({ $0 }) {
                open = known
            } else {
                open = try await jetStream.openKeyValue(bucketName)
                bucket.withLock { $0 = open }
            }
            return try await body(open)
        } catch {
            if [.bucketNotFound, .bucketReplaced].contains(error.code) { bucket.withLock { $0 = nil } }
            throw convert(error)
        }
    }

    private func convert(_ error: KeyValueError) -> MeshEventsError {
        switch error.code {
        case .bucketNotFound:
            MeshEventsError(
                .streamNotFound,
                "there is no bucket \(bucketName), so that nothing keeps the state of the mesh; `mesh-events keep` makes it",
                underlying: error
            )
        case .keyExists, .wrongRevision:
            MeshEventsError(.conflict, error.message, underlying: error)
        case .valueTooLarge: MeshEventsError(.payloadTooLarge, error.message, underlying: error)
        case .bucketFull: MeshEventsError(.storageFull, error.message, underlying: error)
        case .bucketReplaced, .notABucket, .bucketExists:
            MeshEventsError(.streamMismatch, error.message, underlying: error)
        case .uncertain: MeshEventsError(.timeout, error.message, underlying: error, isRetriable: true)
        default:
            error.underlying.map { MeshEventsError($0, stream: streamOfBucket) }
                ?? MeshEventsError(.invalidArgument, error.message, underlying: error)
        }
    }
}

extension StateEntry {
    /// Reads an entry; `nil` for a deletion.
    fileprivate init?(_ entry: KeyValueBucket.Entry) {
        guard entry.operation == .put else { return nil }
        self.init(
            key: entry.key,
            value: Array(entry.value.readableBytesView),
            revision: entry.revision,
            storedAt: Timestamp(nanosecondsSinceEpoch: entry.created),
            signature: entry.headers[SignatureVerification.header]
        )
    }
}
