public import MeshAlerts

/// A target that alerts are sent to.
///
/// ```yaml
/// notify:
///   phone: {ntfy: "https://ntfy.example/lab", token: "${NTFY_TOKEN}", priority: high}
///   team:  {slack: "${SLACK_WEBHOOK}"}
///   chat:  {discord: "${DISCORD_WEBHOOK}"}
///   hook:  {webhook: "https://example.org/hook", secret: "${HOOK_SECRET}"}
///   ops:   {alertmanager: "http://127.0.0.1:9093"}
///   mail:  {command: [apprise, -t, "{title}", -b, "{body}"], environment: {APPRISE_URLS: "${MAIL_URL}"}}
/// ```
///
/// A configuration is checked when it is created. Addresses, tokens and secrets are in none of its descriptions, errors and
/// dumps: of an address, they show the host.
public enum NotifierConfiguration: Sendable, Hashable, CustomStringConvertible {
    /// A topic of an ntfy server, for phones.
    case ntfy(NtfyConfiguration)
    /// A channel of Slack, Mattermost or Rocket.Chat.
    case slack(SlackConfiguration)
    /// A channel of Discord.
    case discord(DiscordConfiguration)
    /// Any server that takes a POST: CloudEvents, signed.
    case webhook(WebhookConfiguration)
    /// An Alertmanager of Prometheus.
    case alertmanager(AlertmanagerConfiguration)
    /// A program of this machine.
    case command(CommandTargetConfiguration)

    /// The key of the kind in YAML: `ntfy`, `slack`, `discord`, `webhook`, `alertmanager` or `command`.
    public var kind: String {
        switch self {
        case .ntfy: "ntfy"
        case .slack: "slack"
        case .discord: "discord"
        case .webhook: "webhook"
        case .alertmanager: "alertmanager"
        case .command: "command"
        }
    }

    /// The kind and the host, or the program: `ntfy at ntfy.example`, `command apprise`.
    public var description: String {
        switch self {
        case .ntfy(let configuration): configuration.description
        case .slack(let configuration): configuration.description
        case .discord(let configuration): configuration.description
        case .webhook(let configuration): configuration.description
        case .alertmanager(let configuration): configuration.description
        case .command(let configuration): configuration.description
        }
    }

    /// What is worth a warning although it works, for people; no secret is in it.
    public var warnings: [String] {
        switch self {
        case .ntfy(let configuration): configuration.address.warnings(holdsSecret: configuration.token != nil)
        case .slack(let configuration): configuration.address.warnings(holdsSecret: true)
        case .discord(let configuration): configuration.address.warnings(holdsSecret: true)
        case .webhook(let configuration): configuration.address.warnings(holdsSecret: false)
        case .alertmanager(let configuration): configuration.address.warnings(holdsSecret: configuration.token != nil)
        case .command(let configuration): configuration.warnings
        }
    }

    /// Creates the notifier.
    ///
    /// - Parameter client: what sends by HTTP; one for all targets. It has to live longer than the notifier is used.
    public func makeNotifier(client: NotifierClient) -> any AlertNotifier {
        switch self {
        case .ntfy(let configuration): NtfyNotifier(configuration: configuration, client: client)
        case .slack(let configuration): SlackNotifier(configuration: configuration, client: client)
        case .discord(let configuration): DiscordNotifier(configuration: configuration, client: client)
        case .webhook(let configuration): WebhookNotifier(configuration: configuration, client: client)
        case .alertmanager(let configuration): AlertmanagerNotifier(configuration: configuration, client: client)
        case .command(let configuration): CommandNotifier(configuration: configuration)
        }
    }
}

extension TargetAddress {
    /// Warns of a secret that travels in clear.
    fileprivate func warnings(holdsSecret: Bool) -> [String] {
        let isLocal = host == "localhost" || host == "[::1]" || host.hasPrefix("127.")
        guard !isSecure, !isLocal, holdsSecret || authorization != nil else { return [] }
        return ["its address is http://: what lies between here and \(authority) can read its secret; use https://"]
    }
}
