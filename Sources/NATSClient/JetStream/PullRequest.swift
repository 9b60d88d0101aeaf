/// A request for messages of a pull consumer (`$JS.API.CONSUMER.MSG.NEXT`).
public struct PullRequest: Sendable, Hashable {
    /// How many messages at most.
    public var batch: Int
    /// How many bytes at most; `nil` for any number.
    public var maximumBytes: Int?
    /// How long the server keeps the request when it has nothing to deliver; `nil` for no limit.
    public var expires: Duration?
    /// Whether the server answers at once when it has nothing more, instead of waiting.
    public var noWait: Bool
    /// How often the server sends a heartbeat while it has nothing to deliver; needs ``expires``.
    public var idleHeartbeat: Duration?

    /// Creates a request.
    public init(
        batch: Int,
        maximumBytes: Int? = nil,
        expires: Duration? = nil,
        noWait: Bool = false,
        idleHeartbeat: Duration? = nil
    ) {
        self.batch = batch
        self.maximumBytes = maximumBytes
        self.expires = expires
        self.noWait = noWait
        self.idleHeartbeat = idleHeartbeat
    }

    /// The request as JSON text.
    public var json: String {
        var text = "{\"batch\":\(batch)"
        if let maximumBytes { text += ",\"max_bytes\":\(maximumBytes)" }
        if let expires { text += ",\"expires\":\(expires.jetStreamNanoseconds)" }
        if noWait { text += ",\"no_wait\":true" }
        if let idleHeartbeat { text += ",\"idle_heartbeat\":\(idleHeartbeat.jetStreamNanoseconds)" }
        return text + "}"
    }
}

/// How much one pull request of a consumer may ask for: settings of the consumer (`max_batch`, `max_expires`,
/// `max_bytes`), which a server may also set (`max_request_batch`). The server refuses a request beyond them entirely.
public struct PullLimits: Sendable, Hashable {
    /// How many messages; `nil` for any number.
    public var batch: Int?
    /// How long it may wait; `nil` for any time.
    public var expires: Duration?
    /// How many bytes; `nil` for any number.
    public var bytes: Int?

    /// No limits.
    public init() {}

    /// The limits in a consumer's configuration as the server answered it.
    public init(_ configuration: ConsumerConfiguration) {
        batch = configuration.maximumRequestBatch
        expires = configuration.maximumRequestExpires
        bytes = configuration.maximumRequestBytes
    }

    /// The request, reduced to these limits.
    public func applied(to request: PullRequest) -> PullRequest {
        var request = request
        if let batch { request.batch = min(request.batch, batch) }
        // When bytes are limited, a request has to name a number of bytes.
        if let bytes { request.maximumBytes = min(request.maximumBytes ?? bytes, bytes) }
        if let expires {
            // A request that does not wait does not expire.
            if let wait = request.expires { request.expires = min(wait, expires) }
            // The server wants at least two heartbeats in a request.
            if let wait = request.expires, let heartbeat = request.idleHeartbeat, heartbeat > wait / 2 {
                request.idleHeartbeat = wait / 2
            }
        }
        return request
    }

    /// What a refusal means for the next request.
    public enum Lesson: Sendable, Equatable {
        /// It names a limit that was not known: ask again within it.
        case newLimit
        /// It names a limit that the request already kept: asking again does not help.
        case knownLimit
        /// It is about something else.
        case none
    }

    /// Reads the text of a status 409, such as `Exceeded MaxRequestBatch of 500`.
    public mutating func learn(_ text: String) -> Lesson {
        let words = text.lowercased().split(separator: " ")
        guard words.count >= 4, words[0] == "exceeded", words[2] == "of" else { return .none }
        let before = self
        switch words[1] {
        case "maxrequestbatch": batch = Int(words[3]).map { max(1, min($0, batch ?? $0)) } ?? batch
        case "maxrequestmaxbytes": bytes = Int(words[3]).map { max(1, min($0, bytes ?? $0)) } ?? bytes
        case "maxrequestexpires": expires = Self.duration(words[3]).map { min($0, expires ?? $0) } ?? expires
        default: return .none
        }
        return self == before ? .knownLimit : .newLimit
    }

    /// A duration as the server writes it: `1h2m3.5s`, `250ms`.
    private static func duration(_ text: Substring) -> Duration? {
        let units: [String: Double] = ["h": 3_600, "m": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9]
        var seconds = 0.0
        var rest = text
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber) }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let scale = units[String(unit)] else { return nil }
            seconds += value * scale
        }
        return seconds > 0 && seconds < 1e9 ? .seconds(seconds) : nil
    }
}
