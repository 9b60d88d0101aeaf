/// Tells a person, or a system that does.
public protocol AlertNotifier: Sendable {
    /// Tells it.
    ///
    /// A target may be told the same again, with the same ``AlertNotification/id``, when it is not known whether it got it.
    ///
    /// - Returns: what the target answered, for people: `200 OK`. It holds no secret.
    /// - Throws: when the target did not take it.
    func notify(_ notification: AlertNotification) async throws(NotificationFailure) -> String
}

/// Why a target did not take a notification.
public struct NotificationFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened, and what to do; it holds no secret, and at most 500 characters.
    public var message: String
    /// Whether it is no use to send this notification again: the target refused it for what it is.
    public var isFinal: Bool
    /// How long the target asked to wait; `nil` when it did not.
    public var retryAfter: Duration?

    /// Creates a failure.
    public init(_ message: String, isFinal: Bool = false, retryAfter: Duration? = nil) {
        self.message = message
        self.isFinal = isFinal
        self.retryAfter = retryAfter
    }

    /// The message.
    public var description: String { message }
}
