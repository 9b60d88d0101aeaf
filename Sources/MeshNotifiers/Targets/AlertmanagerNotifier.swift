import MeshAlerts
import MeshEvents

/// An Alertmanager of Prometheus, by its API v2.
///
/// Each alert has the labels `alertname` (the rule), `severity`, those of its group, and `test` for a test. Names of labels are
/// made valid: other characters become `_`, and a name that is taken gets `_2`. The annotation `summary` is the title,
/// `description` the body; `generatorURL` is the page.
///
/// Alertmanager takes an alert for over when its `endsAt` has passed. So that it does not end by itself, a firing alert is
/// sent with an `endsAt` as far away as ``expiry``, 7 days by default; with each repetition it is as far away again. When it
/// is over, the true end is sent. Of several reports about the same in one notification only the newest is sent. The
/// consequences:
/// - An alert whose end is never reported, because its rule or its mesh no longer exists, stays until then.
/// - An alert that fires for longer without being repeated is shown as over. Repeat it more often, or make this longer.
/// - Alertmanager keeps alerts in memory: after its restart it knows an alert again with the next repetition.
public struct AlertmanagerConfiguration: Sendable, Hashable, CustomStringConvertible {
    let address: TargetAddress
    let token: Secret?
    /// How long after a report a firing alert ends by itself.
    public let expiry: Duration
    /// How long a whole exchange may take.
    public let timeout: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - url: the server's address, without `/api/v2/alerts`; it can have a path and `user:password@`.
    ///   - token: a bearer token, for a proxy before it; it wins over the login of the address.
    ///   - expiry: how long after a report a firing alert ends by itself, 1 minute to 10 years.
    ///   - timeout: how long a whole exchange may take, 100 ms to 10 minutes.
    /// - Throws: when the address, the token or a time is none.
    public init(
        url: String,
        token: String? = nil,
        expiry: Duration = .seconds(7 * 86_400),
        timeout: Duration = .seconds(15)
    ) throws(NotifierConfigurationError) {
        let address = try TargetAddress(url, "alertmanager", "http://127.0.0.1:9093")
        guard address.query == nil else {
            throw NotifierConfigurationError(
                "the address of alertmanager has a ? in it; it looks like http://127.0.0.1:9093"
            )
        }
        guard expiry >= .seconds(60), expiry <= .seconds(10 * 366 * 86_400) else {
            throw NotifierConfigurationError(
                "the expiry of alertmanager is between 1 minute and 10 years, not \(expiry)"
            )
        }
        self.address = address
        self.token = try token.map { value throws(NotifierConfigurationError) in
            Secret(try value.asHeaderValue("token of alertmanager"))
        }
        self.expiry = expiry
        self.timeout = try TargetTimeout.checked(timeout)
    }

    /// `alertmanager at 127.0.0.1:9093`.
    public var description: String { "alertmanager at \(address.authority)" }
}

/// Posts alerts to Alertmanager.
struct AlertmanagerNotifier: RequestingNotifier {
    /// How long a test fires.
    private static let testDuration: Duration = .seconds(300)

    let configuration: AlertmanagerConfiguration
    let client: NotifierClient

    func request(for notification: AlertNotification, now: Timestamp) -> TargetRequest {
        let authorization = configuration.token.map { "Bearer \($0.text)" } ?? configuration.address.authorization
        let alerts = Self.newest(notification.alerts).map { alert(notification.about($0), $0, now: now) }
        return TargetRequest(
            address: configuration.address,
            url: configuration.address.url(path: configuration.address.path + "/api/v2/alerts"),
            contentType: "application/json",
            headers: authorization.map { [("Authorization", $0)] } ?? [],
            body: Array(JSONValue.array(alerts).description.utf8),
            timeout: configuration.timeout,
            secrets: [configuration.token?.text].compactMap { $0 }
        )
    }

    /// The newest report of each rule and group: Alertmanager knows them by their labels, and takes the last in the list for
    /// what is true now.
    private static func newest(_ alerts: [Alert]) -> [Alert] {
        struct Identity: Hashable {
            let rule: String
            let group: AlertGroup
            let severity: AlertSeverity
        }
        var newest: [Identity: Alert] = [:]
        var order: [Identity] = []
        for alert in alerts {
            let identity = Identity(rule: alert.rule, group: alert.group, severity: alert.severity)
            guard let other = newest[identity] else {
                newest[identity] = alert
                order.append(identity)
                continue
            }
            if isNewer(alert, other) { newest[identity] = alert }
        }
        return order.compactMap { newest[$0] }
    }

    /// Of two firings, the one that began later counts; of one firing its end, then its last repetition.
    private static func isNewer(_ alert: Alert, _ other: Alert) -> Bool {
        if alert.since != other.since { return alert.since > other.since }
        if alert.status != other.status { return alert.status == .resolved }
        return alert.at >= other.at
    }

    private func alert(_ notification: AlertNotification, _ alert: Alert, now: Timestamp) -> JSONValue {
        let end =
            switch alert.status {
            case .resolved: max(alert.at, alert.since)
            case .firing: now.adding(notification.isTest ? Self.testDuration : configuration.expiry)
            }
        var members: [(String, JSONValue)] = [
            ("labels", .object(JSONObject(Self.labels(alert, isTest: notification.isTest)))),
            (
                "annotations",
                ["summary": .string(notification.safeTitle), "description": .string(notification.safeBody)]
            ),
            ("startsAt", .string(alert.since.description)),
            ("endsAt", .string(max(end, alert.since).description)),
        ]
        if let link = notification.link { members.append(("generatorURL", .string(link))) }
        return .object(JSONObject(members))
    }

    /// The labels that identify the alert: the same for its end as for its beginning.
    static func labels(_ alert: Alert, isTest: Bool) -> [(String, JSONValue)] {
        var labels: [(String, JSONValue)] = [
            ("alertname", .string(alert.rule.oneLine.shortened)), ("severity", .string(alert.severity.rawValue)),
        ]
        if isTest { labels.append(("test", "true")) }
        for label in alert.group.labels {
            let name = valid(label.name)
            let isTaken = { name in labels.contains { $0.0 == name } }
            var free = name
            var number = 2
            while isTaken(free) {
                free = "\(name)_\(number)"
                number += 1
            }
            labels.append((free, .string(label.value.oneLine.shortened)))
        }
        return labels
    }

    /// The name with other characters than letters of ASCII, digits and `_` replaced; it begins with no digit and no `__`.
    private static func valid(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars.prefix(100) {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": result.unicodeScalars.append(scalar)
            default: result += "_"
            }
        }
        if result.first?.isNumber ?? true { result = "_\(result)" }
        while result.hasPrefix("__") { result.removeFirst() }
        return result == "_" ? "label" : result
    }
}
