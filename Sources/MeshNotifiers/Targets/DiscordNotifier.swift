import MeshAlerts
import MeshEvents

/// A channel of Discord.
///
/// Nothing in the message mentions anyone (`allowed_mentions` is empty), all marks of Markdown in foreign text are escaped, and
/// links are not expanded. A message has at most 2000 characters; a longer one is cut. The webhook is asked to wait until the
/// message is stored.
public struct DiscordConfiguration: Sendable, Hashable, CustomStringConvertible {
    let address: TargetAddress
    /// How long a whole exchange may take.
    public let timeout: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - url: the webhook's address, which is a secret as a whole; `?thread_id=…` is kept.
    ///   - timeout: how long a whole exchange may take, 100 ms to 10 minutes.
    /// - Throws: when the address or the time-out is none.
    public init(url: String, timeout: Duration = .seconds(15)) throws(NotifierConfigurationError) {
        address = try TargetAddress(url, "discord", "https://discord.com/api/webhooks/…")
        self.timeout = try TargetTimeout.checked(timeout)
    }

    /// `discord at discord.com`.
    public var description: String { "discord at \(address.authority)" }
}

/// Posts to a webhook of Discord.
struct DiscordNotifier: RequestingNotifier {
    private static let longestMessage = 2_000
    /// A message's flag: links in it are not expanded.
    private static let suppressesEmbeds = 4

    let configuration: DiscordConfiguration
    let client: NotifierClient

    func request(for notification: AlertNotification, now: Timestamp) -> TargetRequest {
        let address = configuration.address
        let parameters = (address.query ?? "").split(separator: "&").filter { !$0.hasPrefix("wait=") } + ["wait=true"]
        return TargetRequest(
            address: address,
            url: address.url(path: address.path) + "?" + parameters.joined(separator: "&"),
            contentType: "application/json",
            headers: address.authorization.map { [("Authorization", $0)] } ?? [],
            body: Array(Self.message(notification).description.utf8),
            timeout: configuration.timeout,
            retryAfter: Self.delay
        )
    }

    private static func message(_ notification: AlertNotification) -> JSONValue {
        let symbol = notification.isResolved ? "✅" : notification.severity == .info ? "ℹ️" : "🚨"
        // It has its place before the text is cut.
        let end = notification.link.map { "\n<\($0)>" } ?? ""
        let title = "\(symbol) **\(escaped(notification.safeTitle, limit: 800))**\n"
        let limit = longestMessage - title.utf16.count - end.utf16.count
        let content = title + escaped(notification.safeBody, limit: limit) + end
        return [
            "content": .string(content), "allowed_mentions": ["parse": []], "flags": JSONValue(suppressesEmbeds),
            "tts": false,
        ]
    }

    /// The text with all marks of Markdown escaped, those of links (`:`) and mentions (`@`, `<`) too; at most so many UTF-16
    /// units.
    private static func escaped(_ text: String, limit: Int) -> String {
        let text = text.cut(to: limit) { $0.utf16.count + (marks.contains($0) ? 1 : 0) }
        var result = ""
        for scalar in text.unicodeScalars {
            if marks.contains(scalar) { result.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    private static let marks = Set(#"\*_~`|>#-+[]()<:@!"#.unicodeScalars)

    /// Reads `{"retry_after": 0.64}`, in seconds.
    static func delay(_ body: [UInt8]) -> Duration? {
        guard let seconds = (try? EventData(json: body))?["retry_after"]?.value.double, seconds.isFinite else {
            return nil
        }
        return RetryAfter.bounded(.seconds(min(max(seconds, 0), 1e6)))
    }
}
