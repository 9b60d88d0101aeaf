import MeshAlerts
import MeshEvents

/// A channel of Slack, or of another server that takes Slack's incoming webhooks: Mattermost, Rocket.Chat.
///
/// The message has blocks of plain text, in which nothing is markup, a mention or a link, and a link to the page in a block of
/// its own. Servers that know no blocks take `text`: the same, with `&`, `<` and `>` escaped, in a code block, with a
/// zero-width space behind each `@`.
public struct SlackConfiguration: Sendable, Hashable, CustomStringConvertible {
    let address: TargetAddress
    /// How long a whole exchange may take.
    public let timeout: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - url: the webhook's address, which is a secret as a whole.
    ///   - timeout: how long a whole exchange may take, 100 ms to 10 minutes.
    /// - Throws: when the address or the time-out is none.
    public init(url: String, timeout: Duration = .seconds(15)) throws(NotifierConfigurationError) {
        address = try TargetAddress(url, "slack", "https://hooks.slack.com/services/…")
        self.timeout = try TargetTimeout.checked(timeout)
    }

    /// `slack at hooks.slack.com`.
    public var description: String { "slack at \(address.authority)" }
}

/// Posts to an incoming webhook of Slack.
struct SlackNotifier: RequestingNotifier {
    /// What a header block takes.
    private static let longestHeader = 150
    /// What a text object takes.
    private static let longestText = 3_000

    let configuration: SlackConfiguration
    let client: NotifierClient

    func request(for notification: AlertNotification, now: Timestamp) -> TargetRequest {
        TargetRequest(
            address: configuration.address,
            url: configuration.address.url,
            contentType: "application/json",
            headers: configuration.address.authorization.map { [("Authorization", $0)] } ?? [],
            body: Array(Self.message(notification).description.utf8),
            timeout: configuration.timeout
        )
    }

    private static func message(_ notification: AlertNotification) -> JSONValue {
        let (title, body) = (notification.safeTitle, notification.safeBody)
        let symbol = notification.isResolved ? "✅" : notification.severity == .info ? "ℹ️" : "🚨"
        var blocks: [JSONValue] = [
            ["type": "header", "text": plainText("\(symbol) \(title)".cut(toUTF16: longestHeader))]
        ]
        if !body.isEmpty {
            blocks.append(["type": "section", "text": plainText(body.cut(toUTF16: longestText))])
        }
        var text = "```\n\(escaped("\(title)\n\(body)".cut(toUTF16: longestText)))\n```"
        if let link = notification.link.map(escaped) {
            blocks.append([
                "type": "section",
                "text": ["type": "mrkdwn", "text": .string("<\(link)|Open the mesh's page>"), "verbatim": true],
            ])
            text += "\n<\(link)|Open the mesh's page>"
        }
        return [
            "text": .string(text), "blocks": .array(blocks), "link_names": false, "unfurl_links": false,
            "unfurl_media": false,
        ]
    }

    private static func plainText(_ text: String) -> JSONValue {
        ["type": "plain_text", "text": .string(text), "emoji": false]
    }

    /// The text, in which nothing is a link or a mention, and nothing ends a code block.
    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("`", with: "'").replacing("@", with: "@\u{200B}")
    }
}
