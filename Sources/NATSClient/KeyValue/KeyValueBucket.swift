/// A bucket of keys and values on JetStream (NATS ADR-8), which other NATS clients open too.
///
/// ```swift
/// let settings = try await jetStream.createKeyValue(.init(bucket: "settings", history: 5))
/// let revision = try await settings.put("tools.trainer.rate", text: "0.1")
/// try await settings.update("tools.trainer.rate", text: "0.2", expectedRevision: revision)
/// let rate = try await settings.get("tools.trainer.rate")?.text
/// ```
///
/// A key has tokens with dots between them, such as `tools.trainer.rate`: letters of ASCII, digits, `-`, `/`, `_` and
/// `=`. Every write is a new revision; revisions count over all keys of the bucket. Every call has a deadline, and throws
/// a ``KeyValueError``.
public struct KeyValueBucket: Sendable {
    static let streamPrefix = "KV_"
    static let subjectPrefix = "$KV."

    /// The bucket's name.
    public let name: String
    /// The JetStream that keeps it.
    public let jetStream: JetStream
    /// The stream that is the bucket.
    let stream: String
    /// What the subjects of keys begin with in the stream, with the dot at the end.
    let root: String
    /// What subjects begin with to which values are published. With a domain the server maps them to ``root``.
    let writeRoot: String
    /// Whether the stream allows direct gets.
    let allowsDirectGet: Bool
    /// How long the stream remembers message ids.
    let duplicateWindow: Duration

    /// Opens the bucket that a stream is.
    init(_ name: String, _ configuration: StreamConfiguration, _ jetStream: JetStream) throws(KeyValueError) {
        guard case .integer(let history)? = configuration.fields["max_msgs_per_subject"], history > 0 else {
            throw KeyValueError(
                .notABucket,
                "stream \(configuration.name) is no bucket: it does not limit the messages of a subject "
                    + "(max_msgs_per_subject); use another bucket name"
            )
        }
        self.name = name
        self.jetStream = jetStream
        stream = configuration.name
        duplicateWindow = configuration.duplicateWindow ?? .zero
        allowsDirectGet = configuration.fields["allow_direct"] == true
        // A mirror has the subjects of its origin, and writes go there.
        var (origin, prefix) = (name, jetStream.prefix == "$JS.API" ? "" : "\(jetStream.prefix).")
        if case .object(let mirror)? = configuration.fields["mirror"], case .string(let stream)? = mirror["name"] {
            origin = stream.hasPrefix(Self.streamPrefix) ? String(stream.dropFirst(Self.streamPrefix.count)) : stream
            if case .object(let external)? = mirror["external"], case .string(let api)? = external["api"], !api.isEmpty
            {
                prefix = "\(api)."
            }
        }
        root = "\(Self.subjectPrefix)\(origin)."
        writeRoot = prefix + root
    }

    /// What a bucket holds and how it is configured.
    public struct Status: Sendable, Hashable {
        /// The bucket's name.
        public let bucket: String
        /// How many revisions it holds, deletions included.
        public var values: UInt64 { stream.state.messages }
        /// How many bytes it takes, as the server counts them.
        public var bytes: UInt64 { stream.state.bytes }
        /// How many revisions of a key it keeps.
        public var history: Int {
            guard case .integer(let history)? = stream.configuration.fields["max_msgs_per_subject"] else { return 0 }
            return Int(clamping: history)
        }
        /// How long it keeps a revision; `nil` for no limit.
        public var timeToLive: Duration? { stream.configuration.maximumAge }
        /// All that the server says about the bucket's stream.
        public let stream: StreamInformation
    }

    /// Asks what the bucket holds.
    ///
    /// - Parameter timeout: how long the server may take; `nil` for the time of ``jetStream``.
    /// - Throws: `bucketNotFound`, `requestFailed`.
    public func status(timeout: Duration? = nil) async throws(KeyValueError) -> Status {
        Status(bucket: name, stream: try await information(timeout: timeout))
    }

    func information(timeout: Duration?) async throws(KeyValueError) -> StreamInformation {
        do throws(JetStreamError) {
            return try await jetStream.streamInfo(stream, timeout: timeout)
        } catch {
            throw KeyValueError(error, bucket: name)
        }
    }
}

extension JetStream {
    /// Creates a bucket. A bucket that exists with the same configuration is opened; so is one that differs only in
    /// direct gets or in the time to live of single values, which clients set differently.
    ///
    /// - Parameters:
    ///   - configuration: the bucket.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Throws: `invalidBucket`, `invalidConfiguration`; `bucketExists` when it exists with another configuration;
    ///   `requestFailed`.
    public func createKeyValue(
        _ configuration: KeyValueBucket.Configuration,
        timeout: Duration? = nil
    ) async throws(KeyValueError) -> KeyValueBucket {
        try configuration.validate()
        let (bucket, wanted) = (configuration.bucket, configuration.stream)
        let created: StreamConfiguration
        do throws(JetStreamError) {
            created = try await createStream(wanted, timeout: timeout).configuration
        } catch {
            guard error.errorCode == .streamNameInUse else { throw KeyValueError(error, bucket: bucket) }
            created = try await keyValueStream(bucket, timeout: timeout)
            let differences = wanted.differences(from: created).filter { !Self.negligible.contains($0.field) }
            guard differences.isEmpty else {
                let list = differences.map { "\($0.field) is \($0.found) instead of \($0.asked)" }
                throw KeyValueError(
                    .bucketExists,
                    "bucket \(bucket) exists with another configuration: \(list.joined(separator: ", ")); use it as it is "
                        + "(openKeyValue), or use another name",
                    underlying: error
                )
            }
        }
        return try KeyValueBucket(bucket, created, self)
    }

    /// Opens a bucket that exists.
    ///
    /// - Parameters:
    ///   - bucket: its name.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Throws: `invalidBucket`, `bucketNotFound`, `notABucket`, `requestFailed`.
    public func openKeyValue(_ bucket: String, timeout: Duration? = nil) async throws(KeyValueError) -> KeyValueBucket {
        try KeyRules.validate(bucket: bucket)
        return try KeyValueBucket(bucket, await keyValueStream(bucket, timeout: timeout), self)
    }

    /// Deletes a bucket and all it holds.
    ///
    /// - Parameters:
    ///   - bucket: its name.
    ///   - timeout: how long the server may take; `nil` for ``timeout``.
    /// - Throws: `invalidBucket`, `bucketNotFound`, `requestFailed`.
    public func deleteKeyValue(_ bucket: String, timeout: Duration? = nil) async throws(KeyValueError) {
        try KeyRules.validate(bucket: bucket)
        do throws(JetStreamError) {
            try await deleteStream(KeyValueBucket.streamPrefix + bucket, timeout: timeout)
        } catch {
            throw KeyValueError(error, bucket: bucket)
        }
    }

    /// In which fields an existing bucket may differ from the one that a client wants to create.
    private static let negligible: Set<String> = ["allow_direct", "allow_msg_ttl"]

    private func keyValueStream(
        _ bucket: String,
        timeout: Duration?
    ) async throws(KeyValueError) -> StreamConfiguration {
        do throws(JetStreamError) {
            return try await streamInfo(KeyValueBucket.streamPrefix + bucket, timeout: timeout).configuration
        } catch {
            throw KeyValueError(error, bucket: bucket)
        }
    }
}
