import MeshAlerts
import MeshEvents

/// A notification as JSON, for the webhook and for commands.
///
/// ```json
/// {"id":"n-1","status":"firing","severity":"critical","title":"tool-down: whisper on pi","body":"exit code 1\nsince …",
///  "page":"https://mesh.example/","test":false,"omitted":0,
///  "alerts":[{"id":"a-1","rule":"tool-down","group":{"tool":"whisper","node":"pi"},"status":"firing",
///             "severity":"critical","since":"2026-11-24T09:04:34Z","at":"2026-11-24T09:04:34Z","count":1,
///             "sequences":[17],"reason":"exit code 1","repetition":0}]}
/// ```
///
/// `page` is null when it is not known, or no plain link. At most ``AlertJSON/longestList`` alerts are listed; `omitted` counts the others.
enum AlertJSON {
    /// The most alerts that are listed.
    static let longestList = 200
    private static let longestReason = 500

    /// The notification as an object.
    static func object(_ notification: AlertNotification) -> JSONObject {
        let listed = notification.alerts.prefix(longestList)
        return JSONObject([
            ("id", .string(notification.id)),
            ("status", .string(status(notification).rawValue)),
            ("severity", .string(notification.severity.rawValue)),
            ("title", .string(notification.title)),
            ("body", .string(notification.body)),
            ("page", notification.link.map { .string($0) } ?? .null),
            ("test", .bool(notification.isTest)),
            ("omitted", JSONValue(notification.omitted + notification.alerts.count - listed.count)),
            ("alerts", .array(listed.map { .object(object($0)) })),
        ])
    }

    /// Firing, when one of its alerts is.
    static func status(_ notification: AlertNotification) -> Alert.Status {
        notification.isResolved ? .resolved : .firing
    }

    private static func object(_ alert: Alert) -> JSONObject {
        JSONObject([
            ("id", .string(alert.id)),
            ("rule", .string(alert.rule.shortened)),
            (
                "group",
                .object(JSONObject(alert.group.labels.map { ($0.name.shortened, .string($0.value.shortened)) }))
            ),
            ("status", .string(alert.status.rawValue)),
            ("severity", .string(alert.severity.rawValue)),
            ("since", .string(alert.since.description)),
            ("at", .string(alert.at.description)),
            ("count", JSONValue(alert.count)),
            ("sequences", .array(alert.sequences.suffix(10).map { JSONValue($0) })),
            ("reason", .string(alert.reason.cut(to: longestReason))),
            ("repetition", JSONValue(alert.repetition)),
        ])
    }
}

extension String {
    /// The text, cut to the length of a label's value.
    var shortened: String { cut(to: AlertGroup.maximumValue) }
}
