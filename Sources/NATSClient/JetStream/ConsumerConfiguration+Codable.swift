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
        "all", "new", "last", "by_start_sequence", "by_start_time",
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
