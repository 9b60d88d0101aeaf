import MeshAlerts
import MeshEvents

/// A topic of an ntfy server.
///
/// The address is that of the topic, `https://ntfy.example/lab`. A notification is published as JSON at the server's root:
/// `title`, `message` (cut to what a server takes as text), `tags`, `priority`, and `click` with the page's address. The
/// notification's id is the `sequence_id`: ntfy 2.16 and newer replace a message with the same one, so that a notification
/// that is sent again is not shown twice; older servers do not know it.
public struct NtfyConfiguration: Sendable, Hashable, CustomStringConvertible {
    /// How urgently a phone tells of a message.
    public enum Priority: Int, Sendable, Hashable, CaseIterable {
        /// No sound, at the bottom of the list.
        case min = 1
        /// No sound.
        case low
        /// A short sound.
        case `default`
        /// A long sound.
        case high
        /// A long sound and a pop-up.
        case max

        /// Reads `min`, `low`, `default`, `high`, `max`, `urgent`, or a number from 1 to 5; `nil` for anything else.
        public init?(_ text: String) {
            switch text {
            case "min", "1": self = .min
            case "low", "2": self = .low
            case "default", "3": self = .default
            case "high", "4": self = .high
            case "max", "urgent", "5": self = .max
            default: return nil
            }
        }
    }

    let address: TargetAddress
    let topic: Secret
    let token: Secret?
    /// The priority of what fires; `nil` for one that follows the severity: `critical` is max, `warning` high, `info`
    /// default. What is over has the default priority, or this one when it is lower.
    public let priority: Priority?
    /// How long a whole exchange may take.
    public let timeout: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - url: the address of the topic: `https://`, the server and the topic's name. It can have `user:password@`.
    ///   - token: an access token (`tk_…`); it wins over the login of the address.
    ///   - priority: the priority of what fires; `nil` for one that follows the severity.
    ///   - timeout: how long a whole exchange may take, 100 ms to 10 minutes.
    /// - Throws: when the address, the token or the time-out is none.
    public init(
        url: String,
        token: String? = nil,
        priority: Priority? = nil,
        timeout: Duration = .seconds(15)
    ) throws(NotifierConfigurationError) {
        let shape = "https://ntfy.example/topic"
        let address = try TargetAddress(url, "ntfy", shape)
        let topic = address.path.split(separator: "/").last.map(String.init) ?? ""
        let isName = topic.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
        guard isName, (1...64).contains(topic.utf8.count), address.query == nil else {
            throw NotifierConfigurationError(
                "the address of ntfy does not end with a topic: 1 to 64 letters, digits, - and _; it looks like \(shape)"
            )
        }
        self.address = address
        self.topic = Secret(topic)
        self.token = try token.map { value throws(NotifierConfigurationError) in
            Secret(try value.asHeaderValue("token of ntfy"))
        }
        self.priority = priority
        self.timeout = try TargetTimeout.checked(timeout)
    }

    /// `ntfy at ntfy.example`.
    public var description: String { "ntfy at \(address.authority)" }
}

/// Publishes on a topic of ntfy.
struct NtfyNotifier: RequestingNotifier {
    /// What a server takes as a message; it makes a longer one a file.
    private static let longestMessage = 4_096
    /// What a server takes as JSON is twice that.
    private static let longestJSON = 7_000

    let configuration: NtfyConfiguration
    let client: NotifierClient

    func request(for notification: AlertNotification, now: Timestamp) -> TargetRequest {
        let message = notification.safeBody
            .cut(to: Self.longestMessage) { UTF8.width($0) }
            .cut(to: Self.longestJSON - 1_500) { $0 == "\"" || $0 == "\\" || $0 == "\n" ? 2 : UTF8.width($0) }
        var members: [(String, JSONValue)] = [
            ("topic", .string(configuration.topic.text)),
            ("title", .string(notification.safeTitle.cut(to: 250) { UTF8.width($0) })),
            ("message", .string(message)),
            ("priority", JSONValue(priority(notification).rawValue)),
            ("tags", .array(Self.tags(notification).map { .string($0) })),
            ("sequence_id", .string(notification.id)),
        ]
        if let link = notification.link { members.append(("click", .string(link))) }
        let authorization = configuration.token.map { "Bearer \($0.text)" } ?? configuration.address.authorization
        let path = configuration.address.path.dropLast(configuration.topic.text.count)
        return TargetRequest(
            address: configuration.address,
            url: configuration.address.url(path: String(path)),
            contentType: "application/json",
            headers: authorization.map { [("Authorization", $0)] } ?? [],
            body: Array(JSONValue.object(JSONObject(members)).description.utf8),
            timeout: configuration.timeout,
            secrets: [configuration.token?.text, configuration.topic.text].compactMap { $0 }
        )
    }

    private func priority(_ notification: AlertNotification) -> NtfyConfiguration.Priority {
        if notification.isResolved {
            return (configuration.priority?.rawValue ?? 3) < 3 ? configuration.priority ?? .default : .default
        }
        if let priority = configuration.priority { return priority }
        switch notification.severity {
        case .critical: return .max
        case .warning: return .high
        case .info: return .default
        }
    }

    /// The tags: the first is shown as a symbol.
    private static func tags(_ notification: AlertNotification) -> [String] {
        let symbol =
            if notification.isResolved {
                "white_check_mark"
            } else {
                switch notification.severity {
                case .critical: "rotating_light"
                case .warning: "warning"
                case .info: "information_source"
                }
            }
        return [symbol, AlertJSON.status(notification).rawValue, notification.severity.rawValue]
            + (notification.isTest ? ["test"] : [])
    }
}
