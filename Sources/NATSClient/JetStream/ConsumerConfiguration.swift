/// The configuration of a pull consumer. Only what is set is sent.
public struct ConsumerConfiguration: Sendable, Hashable, Codable {
    /// Where a consumer begins.
    public enum Start: Sendable, Hashable {
        /// With the oldest message.
        case all
        /// With the messages stored after the consumer was created.
        case new
        /// With the newest message.
        case last
        /// With the newest message of each subject, then with all that are stored later. It needs a filter.
        case lastPerSubject
        /// At this sequence, from 1, or the first one after it that exists.
        case sequence(UInt64)
        /// At the first message stored at this time or later: RFC 3339, nanoseconds, year below 2262.
        case time(String)
    }

    /// Which messages a reader has to acknowledge.
    public enum AcknowledgementPolicy: String, Sendable, Hashable, Codable {
        /// None: a delivered message counts as done.
        case none
        /// A message and all before it.
        case all
        /// Each message.
        case explicit
    }

    /// The consumer's name; `nil` lets the server choose one. Named consumers need a server from 2.9.
    public var name: String?
    /// The name of a consumer that outlives its readers; `nil` for an ephemeral one.
    public var durableName: String?
    /// Where to begin.
    public var start: Start
    /// Which messages a reader has to acknowledge.
    public var acknowledgementPolicy: AcknowledgementPolicy
    /// How long an unacknowledged message waits for its acknowledgement before it comes again.
    public var acknowledgementWait: Duration?
    /// How often a message is delivered at most; `nil` for any number of times.
    public var maximumDeliveries: Int?
    /// Delays before redeliveries, first to last.
    public var backoff: [Duration]
    /// Only messages whose subject matches; empty for all. More than one needs a server from 2.10.
    public var filterSubjects: [String]
    /// How long an ephemeral consumer survives without a request.
    public var inactiveThreshold: Duration?
    /// Whether messages come without their payloads (`headers_only`).
    public var headersOnly: Bool
    /// Whether the consumer's state is kept in memory, whatever the stream's storage.
    public var memoryStorage: Bool
    /// How many servers of a cluster keep it; `nil` for the stream's number.
    public var replicas: Int?
    /// How many messages may be unacknowledged.
    public var maximumAcknowledgementsPending: Int?
    /// How many pull requests may wait.
    public var maximumWaiting: Int?
    /// How many messages one pull request may ask for (`max_batch`), set by the consumer or the server; `nil` for any
    /// number.
    public var maximumRequestBatch: Int?
    /// A description for people.
    public var descriptionText: String?
    /// Further fields of a server's answer, by their names in the API: fields of newer servers, and values that this
    /// type has no case for. They are sent unchanged, so that an update keeps what this client does not know.
    public var otherFields: [String: JetStreamValue] = [:]

    /// Creates a configuration.
    public init(
        name: String? = nil,
        durableName: String? = nil,
        start: Start = .all,
        acknowledgementPolicy: AcknowledgementPolicy = .explicit,
        acknowledgementWait: Duration? = nil,
        maximumDeliveries: Int? = nil,
        backoff: [Duration] = [],
        filterSubjects: [String] = [],
        headersOnly: Bool = false,
        inactiveThreshold: Duration? = nil,
        memoryStorage: Bool = false,
        replicas: Int? = nil,
        maximumAcknowledgementsPending: Int? = nil,
        maximumWaiting: Int? = nil,
        maximumRequestBatch: Int? = nil,
        descriptionText: String? = nil
    ) {
        self.name = name
        self.durableName = durableName
        self.start = start
        self.acknowledgementPolicy = acknowledgementPolicy
        self.acknowledgementWait = acknowledgementWait
        self.maximumDeliveries = maximumDeliveries
        self.backoff = backoff
        self.filterSubjects = filterSubjects
        self.headersOnly = headersOnly
        self.inactiveThreshold = inactiveThreshold
        self.memoryStorage = memoryStorage
        self.replicas = replicas
        self.maximumAcknowledgementsPending = maximumAcknowledgementsPending
        self.maximumWaiting = maximumWaiting
        self.maximumRequestBatch = maximumRequestBatch
        self.descriptionText = descriptionText
    }

    /// How long a pull request may wait (`max_expires`); `nil` for any time.
    public var maximumRequestExpires: Duration? { limit("max_expires").map { .nanoseconds($0) } }
    /// How many bytes one pull request may ask for (`max_bytes`); `nil` for any number.
    public var maximumRequestBytes: Int? { limit("max_bytes").map { Int(clamping: $0) } }

    private func limit(_ field: String) -> Int64? {
        guard case .integer(let value)? = otherFields[field], value > 0 else { return nil }
        return value
    }

    /// Makes a consumer that reads a part of a stream once: ephemeral, in memory, without acknowledgements, gone a few
    /// seconds after the last request.
    public static func reader(
        start: Start,
        filterSubjects: [String],
        headersOnly: Bool = false,
        inactiveThreshold: Duration = .seconds(10)
    ) -> ConsumerConfiguration {
        ConsumerConfiguration(
            start: start,
            acknowledgementPolicy: .none,
            filterSubjects: filterSubjects,
            headersOnly: headersOnly,
            inactiveThreshold: inactiveThreshold,
            memoryStorage: true,
            replicas: 1
        )
    }
}

extension ConsumerConfiguration {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, backoff
        case durableName = "durable_name"
        case deliverPolicy = "deliver_policy"
        case startSequence = "opt_start_seq"
        case startTime = "opt_start_time"
        case acknowledgementPolicy = "ack_policy"
        case acknowledgementWait = "ack_wait"
        case maximumDeliveries = "max_deliver"
        case filterSubject = "filter_subject"
        case filterSubjects = "filter_subjects"
        case replayPolicy = "replay_policy"
        case headersOnly = "headers_only"
        case inactiveThreshold = "inactive_threshold"
        case memoryStorage = "mem_storage"
        case replicas = "num_replicas"
        case maximumAcknowledgementsPending = "max_ack_pending"
        case maximumWaiting = "max_waiting"
        case maximumRequestBatch = "max_batch"
        case descriptionText = "description"
    }

    /// Writes the fields that are set, in the API's terms.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(name, forKey: .name)
        try container.encodeIfPresent(durableName, forKey: .durableName)
        try container.encodeIfPresent(descriptionText, forKey: .descriptionText)
        switch start {
        case .all: try container.encode("all", forKey: .deliverPolicy)
        case .new: try container.encode("new", forKey: .deliverPolicy)
        case .last: try container.encode("last", forKey: .deliverPolicy)
        case .lastPerSubject: try container.encode("last_per_subject", forKey: .deliverPolicy)
        case .sequence(let sequence):
            try container.encode("by_start_sequence", forKey: .deliverPolicy)
            // The server refuses 0: "optional start sequence is not set".
            try container.encode(max(sequence, 1), forKey: .startSequence)
        case .time(let time):
            try container.encode("by_start_time", forKey: .deliverPolicy)
            try container.encode(time, forKey: .startTime)
        }
        try container.encode(acknowledgementPolicy, forKey: .acknowledgementPolicy)
        try container.encode("instant", forKey: .replayPolicy)
        try container.encodeIfPresent(acknowledgementWait?.jetStreamNanoseconds, forKey: .acknowledgementWait)
        try container.encodeIfPresent(maximumDeliveries, forKey: .maximumDeliveries)
        if !backoff.isEmpty { try container.encode(backoff.map(\.jetStreamNanoseconds), forKey: .backoff) }
        switch filterSubjects.count {
        case 0: break
        case 1: try container.encode(filterSubjects[0], forKey: .filterSubject)
        default: try container.encode(filterSubjects, forKey: .filterSubjects)
        }
        if headersOnly { try container.encode(true, forKey: .headersOnly) }
        try container.encodeIfPresent(inactiveThreshold?.jetStreamNanoseconds, forKey: .inactiveThreshold)
        if memoryStorage { try container.encode(true, forKey: .memoryStorage) }
        try container.encode(replicas ?? 0, forKey: .replicas)
        try container.encodeIfPresent(maximumAcknowledgementsPending, forKey: .maximumAcknowledgementsPending)
        try container.encodeIfPresent(maximumWaiting, forKey: .maximumWaiting)
        try container.encodeIfPresent(maximumRequestBatch, forKey: .maximumRequestBatch)
        var fields = encoder.container(keyedBy: FieldName.self)
        for (name, value) in otherFields { try fields.encode(value, forKey: FieldName(name)) }
    }

    /// Reads a server's answer.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let start: Start =
            switch try container.decodeIfPresent(String.self, forKey: .deliverPolicy) {
            case "new": .new
            case "last": .last
            case "last_per_subject": .lastPerSubject
            case "by_start_sequence": .sequence(try container.decode(UInt64.self, forKey: .startSequence))
            case "by_start_time": .time(try container.decode(String.self, forKey: .startTime))
            default: .all
            }
        func duration(_ key: CodingKeys) throws -> Duration? {
            try container.decodeIfPresent(Int64.self, forKey: key).map { .nanoseconds($0) }
        }
        let filter = try container.decodeIfPresent(String.self, forKey: .filterSubject)
        self.init(
            name: try container.decodeIfPresent(String.self, forKey: .name),
            durableName: try container.decodeIfPresent(String.self, forKey: .durableName),
            start: start,
            acknowledgementPolicy: try container.decode(AcknowledgementPolicy.self, forKey: .acknowledgementPolicy),
            acknowledgementWait: try duration(.acknowledgementWait),
            maximumDeliveries: try container.decodeIfPresent(Int.self, forKey: .maximumDeliveries)
                .flatMap { $0 > 0 ? $0 : nil },
            backoff: try container.decodeIfPresent([Int64].self, forKey: .backoff)?.map { .nanoseconds($0) } ?? [],
            filterSubjects: try container.decodeIfPresent([String].self, forKey: .filterSubjects)
                ?? filter.map { $0.isEmpty ? [] : [$0] } ?? [],
            headersOnly: try container.decodeIfPresent(Bool.self, forKey: .headersOnly) ?? false,
            inactiveThreshold: try duration(.inactiveThreshold),
            memoryStorage: try container.decodeIfPresent(Bool.self, forKey: .memoryStorage) ?? false,
            replicas: try container.decodeIfPresent(Int.self, forKey: .replicas).flatMap { $0 > 0 ? $0 : nil },
            maximumAcknowledgementsPending: try container.decodeIfPresent(
                Int.self,
                forKey: .maximumAcknowledgementsPending
            ),
            maximumWaiting: try container.decodeIfPresent(Int.self, forKey: .maximumWaiting),
            maximumRequestBatch: try container.decodeIfPresent(Int.self, forKey: .maximumRequestBatch).flatMap {
                $0 > 0 ? $0 : nil
            },
            descriptionText: try container.decodeIfPresent(String.self, forKey: .descriptionText)
        )
        otherFields = try Self.otherFields(decoder)
    }

    /// The fields for which this type has no property, or no case for the value.
    private static func otherFields(_ decoder: any Decoder) throws -> [String: JetStreamValue] {
        var fields = try [String: JetStreamValue](from: decoder)
        for key in CodingKeys.allCases {
            switch (key, fields[key.rawValue]) {
            case (.replayPolicy, let policy?) where policy != "instant": break
            case (.deliverPolicy, let policy?) where !knownPolicies.contains(policy): break
            default: fields[key.rawValue] = nil
            }
        }
        return fields
    }

    private static let knownPolicies: Set<JetStreamValue> = [
        "all", "new", "last", "last_per_subject", "by_start_sequence", "by_start_time",
    ]

    /// A field by its name in the API.
    private struct FieldName: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}

/// What the server says about a consumer.
public struct ConsumerInformation: Sendable, Hashable, Codable {
    /// The stream it reads.
    public let stream: String
    /// Its name, needed to pull from it and to delete it.
    public let name: String
    /// Its configuration.
    public let configuration: ConsumerConfiguration
    /// How many messages match and are not delivered yet: exact at the moment of the answer.
    public let pending: UInt64
    /// How many were delivered and wait for their acknowledgement.
    public let acknowledgementsPending: Int
    /// How many of those were delivered more than once.
    public let redelivered: Int
    /// How many pull requests wait to be filled.
    public let requestsWaiting: Int
    /// The last delivery.
    public let delivered: Position

    /// A delivery: the consumer's own count and the stream's sequence.
    public struct Position: Sendable, Hashable, Codable {
        /// The number of the delivery.
        public let consumerSequence: UInt64
        /// The sequence in the stream.
        public let streamSequence: UInt64

        private enum CodingKeys: String, CodingKey {
            case consumerSequence = "consumer_seq"
            case streamSequence = "stream_seq"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case name, delivered
        case stream = "stream_name"
        case configuration = "config"
        case pending = "num_pending"
        case acknowledgementsPending = "num_ack_pending"
        case redelivered = "num_redelivered"
        case requestsWaiting = "num_waiting"
    }
}
