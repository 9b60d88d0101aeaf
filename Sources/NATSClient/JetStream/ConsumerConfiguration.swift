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
