extension KeyValueBucket {
    /// How a bucket keeps values.
    public struct Configuration: Sendable, Hashable {
        /// The bucket's name: letters of ASCII, digits, `-` and `_`, at most 252 characters.
        public var bucket: String
        /// A description for people, at most 4096 bytes; `nil` for none.
        public var description: String?
        /// How many revisions of each key are kept, 1 to 64. Default 1.
        public var history: Int
        /// How long a revision is kept, at least 100 ms; `nil`, the default, for no limit.
        public var timeToLive: Duration?
        /// How many bytes a value may have together with its header fields; `nil` for no limit but the server's. This
        /// client sends header fields of up to 150 bytes.
        public var maximumValueSize: Int?
        /// How many bytes the bucket may take, as the server counts them; `nil` for no limit. A full bucket refuses
        /// writes.
        public var maximumBytes: Int64?
        /// Where values are kept.
        public var storage: StreamConfiguration.Storage
        /// How many servers of a cluster keep the bucket, 1 to 5. Default 1.
        public var replicas: Int
        /// Whether any server with a copy answers a get (`allow_direct`), as ADR-8 asks for: the default. In a cluster
        /// such an answer may be older than the newest write. nats-py creates buckets without it.
        public var allowsDirectGet: Bool
        /// Whether single values may have a time to live (`allow_msg_ttl`; servers from 2.11). Default no. nats-py 2.16
        /// creates buckets with it: set it when both create the same bucket.
        public var allowsValueTimeToLive: Bool

        /// Creates a configuration.
        public init(
            bucket: String,
            description: String? = nil,
            history: Int = 1,
            timeToLive: Duration? = nil,
            maximumValueSize: Int? = nil,
            maximumBytes: Int64? = nil,
            storage: StreamConfiguration.Storage = .file,
            replicas: Int = 1,
            allowsDirectGet: Bool = true,
            allowsValueTimeToLive: Bool = false
        ) {
            self.bucket = bucket
            self.description = description
            self.history = history
            self.timeToLive = timeToLive
            self.maximumValueSize = maximumValueSize
            self.maximumBytes = maximumBytes
            self.storage = storage
            self.replicas = replicas
            self.allowsDirectGet = allowsDirectGet
            self.allowsValueTimeToLive = allowsValueTimeToLive
        }
    }
}

extension KeyValueBucket.Configuration {
    /// Throws `invalidBucket` or `invalidConfiguration` for a value outside its range.
    func validate() throws(KeyValueError) {
        try KeyRules.validate(bucket: bucket)
        func check(_ isValid: Bool, _ message: String) throws(KeyValueError) {
            guard isValid else { throw KeyValueError(.invalidConfiguration, message) }
        }
        try check(1...64 ~= history, "the history of a bucket is 1 to 64 revisions, not \(history)")
        try check(1...5 ~= replicas, "a bucket has 1 to 5 replicas, not \(replicas)")
        if let timeToLive {
            try check(
                timeToLive >= .milliseconds(100) && timeToLive.jetStreamNanoseconds < .max,
                "a bucket keeps values for at least 100 ms, not \(timeToLive); leave it out to keep them for ever"
            )
        }
        if let size = maximumValueSize {
            try check(
                1...Int(Int32.max) ~= size,
                "the maximum value size is 1 to \(Int32.max) bytes, not \(size); leave it out for the server's limit"
            )
        }
        if let bytes = maximumBytes {
            try check(bytes >= 1, "the maximum bytes are at least 1, not \(bytes); leave them out for no limit")
        }
        if let description {
            try check(description.utf8.count <= 4_096, "the description of a bucket has at most 4096 bytes")
        }
    }

    /// The stream that is the bucket, with every field that other clients set.
    var stream: StreamConfiguration {
        let window: Duration = .seconds(120)
        var stream = StreamConfiguration(
            name: KeyValueBucket.streamPrefix + bucket,
            subjects: ["\(KeyValueBucket.subjectPrefix)\(bucket).>"],
            storage: storage
        )
        stream.replicas = replicas
        stream.maximumAge = timeToLive
        stream.duplicateWindow = min(window, timeToLive ?? window)
        let fields: [String: JetStreamValue] = [
            "max_msgs_per_subject": .integer(Int64(history)),
            "max_bytes": .integer(maximumBytes ?? -1),
            "max_msg_size": .integer(Int64(maximumValueSize ?? -1)),
            "max_msgs": -1,
            "max_consumers": -1,
            "discard": "new",
            "allow_rollup_hdrs": true,
            "deny_delete": true,
            "allow_direct": .bool(allowsDirectGet),
        ]
        stream.fields.merge(fields) { $1 }
        if allowsValueTimeToLive { stream.allowsMessageTimeToLive = true }
        if let description, !description.isEmpty { stream.fields["description"] = .string(description) }
        return stream
    }
}
