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
