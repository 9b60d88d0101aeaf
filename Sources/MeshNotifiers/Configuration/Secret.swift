/// A text that no message, log line or dump may show.
struct Secret: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The text itself.
    let text: String

    init(_ text: String) { self.text = text }

    var description: String { "[redacted]" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a target cannot be configured this way.
public struct NotifierConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, and what to write instead. It holds no secret: of an address at most the host.
    public let message: String

    init(_ message: String) { self.message = message }

    /// The message.
    public var description: String { message }
}

/// How long a target may take.
enum TargetTimeout {
    /// The limit when none is configured.
    static let standard: Duration = .seconds(15)

    /// Checks a limit.
    ///
    /// - Throws: when it is not within 100 ms to 10 minutes.
    static func checked(_ timeout: Duration) throws(NotifierConfigurationError) -> Duration {
        guard timeout >= .milliseconds(100), timeout <= .seconds(600) else {
            throw NotifierConfigurationError("a target's time-out is between 100 ms and 10 minutes, not \(timeout)")
        }
        return timeout
    }
}
