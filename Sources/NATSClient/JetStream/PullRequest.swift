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
