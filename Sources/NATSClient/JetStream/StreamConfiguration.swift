/// The configuration of a stream as the API knows it.
///
/// It holds the fields that were given, and only those are sent: the server fills in its defaults. A server's answer is
/// kept entirely, including fields of newer servers, so an update sends back fields that this client does not know.
public struct StreamConfiguration: Sendable, Hashable, Codable {
    /// Every field by its name in the API.
    public var fields: [String: JetStreamValue]

    /// Where a stream's messages are kept.
    public enum Storage: String, Sendable, Hashable {
        /// On disk.
        case file
        /// In the server's memory: gone when it stops.
        case memory
    }

    /// Creates a configuration from fields by their API names.
    public init(fields: [String: JetStreamValue]) { self.fields = fields }

    /// Creates the configuration of a stream with the server's defaults: limits policy, no limits, one replica.
    ///
    /// - Parameters:
    ///   - name: no dots, wildcards or white space.
    ///   - subjects: the subjects it captures; they must not overlap those of another stream.
    ///   - storage: where messages are kept.
    public init(name: String, subjects: [String], storage: Storage = .file) {
        fields = [
            "name": .string(name),
            "subjects": .array(subjects.map { .string($0) }),
            "retention": "limits",
            "discard": "old",
            "storage": .string(storage.rawValue),
            "num_replicas": 1,
        ]
    }

    /// Reads all members of the object.
    public init(from decoder: any Decoder) throws {
        fields = try [String: JetStreamValue](from: decoder)
    }

    /// Writes the fields that are set.
    public func encode(to encoder: any Encoder) throws {
        try fields.encode(to: encoder)
    }

    /// The stream's name.
    public var name: String {
        get { if case .string(let value)? = fields["name"] { value } else { "" } }
        set { fields["name"] = .string(newValue) }
    }

    /// The subjects the stream captures.
    public var subjects: [String] {
        get {
            guard case .array(let values)? = fields["subjects"] else { return [] }
            return values.compactMap { if case .string(let value) = $0 { value } else { nil } }
        }
        set { fields["subjects"] = .array(newValue.map { .string($0) }) }
    }

    /// Where messages are kept; `nil` leaves it to the server (file).
    public var storage: Storage? {
        get { if case .string(let value)? = fields["storage"] { Storage(rawValue: value) } else { nil } }
        set { fields["storage"] = newValue.map { .string($0.rawValue) } }
    }

    /// How many messages are kept; `nil` for any number.
    public var maximumMessages: Int64? {
        get { limit("max_msgs") }
        set { fields["max_msgs"] = newValue.map { .integer($0) } }
    }

    /// How many bytes are kept, as the server counts them; `nil` for any number.
    public var maximumBytes: Int64? {
        get { limit("max_bytes") }
        set { fields["max_bytes"] = newValue.map { .integer($0) } }
    }

    /// How long a message is kept; `nil` for no limit. Nanoseconds on the wire.
    public var maximumAge: Duration? {
        get { limit("max_age").map { .nanoseconds($0) } }
        set { fields["max_age"] = newValue.map { .integer($0.jetStreamNanoseconds) } }
    }

    /// How long message ids are remembered; `nil` leaves it to the server (two minutes, or the maximum age if shorter).
    public var duplicateWindow: Duration? {
        get { limit("duplicate_window").map { .nanoseconds($0) } }
        set { fields["duplicate_window"] = newValue.map { .integer($0.jetStreamNanoseconds) } }
    }

    /// Whether messages may have a time to live of their own (`allow_msg_ttl`; servers from 2.11). It cannot be taken back.
    public var allowsMessageTimeToLive: Bool {
        get { fields["allow_msg_ttl"] == true }
        set { fields["allow_msg_ttl"] = newValue ? true : nil }
    }

    /// How many servers of a cluster keep the stream, 1 to 5.
    public var replicas: Int {
        get { if case .integer(let value)? = fields["num_replicas"], value > 0 { Int(value) } else { 1 } }
        set { fields["num_replicas"] = .integer(Int64(newValue)) }
    }

    private func limit(_ field: String) -> Int64? {
        guard case .integer(let value)? = fields[field], value > 0 else { return nil }
        return value
    }
}

extension Duration {
    /// Whole nanoseconds, clamped to what the API can express.
    var jetStreamNanoseconds: Int64 {
        // `components` has only 64 bits for the seconds.
        guard self < .seconds(Int64.max) else { return .max }
        guard self > .seconds(Int64.min) else { return .min }
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard overflow || sumOverflow else { return sum }
        return seconds < 0 ? .min : .max
    }
}

extension StreamConfiguration {
    /// Whether the stream captures messages on this subject (which has no wildcards).
    public func captures(_ subject: String) -> Bool {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        return (subjects.isEmpty ? [name] : subjects).contains { pattern in
            var remaining = tokens[...]
            for token in pattern.split(separator: ".", omittingEmptySubsequences: false) {
                if token == ">" { return !remaining.isEmpty }
                guard let first = remaining.popFirst(), token == "*" || token == first else { return false }
            }
            return remaining.isEmpty
        }
    }
}

extension StreamConfiguration {
    /// One field in which a stream differs from what the caller asked for.
    public struct Difference: Sendable, Hashable {
        /// The field's name in the API.
        public let field: String
        /// The value asked for; the server's default when none was.
        public let asked: JetStreamValue
        /// The stream's value.
        public let found: JetStreamValue

        /// Creates a difference.
        public init(field: String, asked: JetStreamValue, found: JetStreamValue) {
            self.field = field
            self.asked = asked
            self.found = found
        }
    }

    /// The fields in which a stream's stored configuration differs from this one, by name, in alphabetical order.
    ///
    /// A field that is not set here stands for the server's default; so does a field that the server does not mention.
    /// The server itself uses this rule (error 10058) to decide whether two configurations are equal. Fields that
    /// servers add (`_nats.` metadata) do not count.
    public func differences(from found: StreamConfiguration) -> [Difference] {
        Set(fields.keys).union(found.fields.keys).sorted().compactMap { field in
            let mine = effective(field)
            let theirs = found.effective(field)
            return mine == theirs ? nil : Difference(field: field, asked: mine, found: theirs)
        }
    }

    /// The value the server uses for a field: the one that is set, or its default (nats-server, `checkStreamCfg`).
    private func effective(_ field: String) -> JetStreamValue {
        let value = fields[field] ?? .null
        switch field {
        case "max_msgs", "max_bytes", "max_consumers", "max_msgs_per_subject", "max_msg_size":
            if case .integer(let limit) = value, limit > 0 { return value }
            return -1
        case "max_age":
            return value.isZero ? 0 : value
        case "num_replicas":
            return value.isZero ? 1 : value
        case "duplicate_window":
            return value.isZero ? defaultDuplicateWindow : value
        case "retention":
            return value.isZero ? "limits" : value
        case "discard":
            return value.isZero ? "old" : value
        case "storage":
            return value.isZero ? "file" : value
        case "compression":
            return value.isZero ? "none" : value
        case "subjects":
            // Without subjects a stream captures its own name.
            return value.isZero ? .array([.string(name)]) : value.sortedArray
        case "metadata":
            guard case .object(let members) = value else { return .null }
            let own = members.filter { !$0.key.hasPrefix("_nats.") }
            return own.isEmpty ? .null : .object(own)
        default:
            return value.isZero ? .null : value
        }
    }

    private var defaultDuplicateWindow: JetStreamValue {
        let standard: Int64 = 120_000_000_000
        return .integer(min(standard, maximumAge?.jetStreamNanoseconds ?? standard))
    }
}

extension JetStreamValue {
    /// A list in the order of its elements' text; anything else as it is.
    fileprivate var sortedArray: JetStreamValue {
        guard case .array(let values) = self else { return self }
        return .array(values.sorted { $0.description < $1.description })
    }
}
