import MeshAlerts
import MeshEvents
import MeshMonitoring

/// What fires now as JSON for browsers, bounded in size, with counts of what was left out.
struct AlertDigest: Sendable, Equatable {
    /// The most alerts: the worst count.
    static let maximumFiring = 500
    /// The most silences, and the most targets.
    static let maximumOthers = 200
    /// The most bytes for the alerts, and for the silences.
    static let maximumBytes = 1 << 20

    /// The member `alerts` of `/api/mesh`.
    let json: String

    /// Makes a digest.
    ///
    /// - Parameters:
    ///   - sighting: what is known of the lease of the process that watches.
    ///   - maximumBytes: the most bytes for the alerts; those after the first that does not fit are left out.
    init(_ overview: AlertOverview, _ sighting: LeaseSightings.Sighting, maximumBytes: Int = Self.maximumBytes) {
        let firing = Self.list(overview.firing, Self.maximumFiring, maximumBytes, Self.json)
        let silences = Self.list(overview.silences, Self.maximumOthers, maximumBytes / 4, Self.json)
        let targets = Self.list(overview.failingTargets, Self.maximumOthers, maximumBytes / 4) {
            ["target": .string(EventJSONFormatter.cut($0.name)), "since": .string($0.since.description)]
        }
        let leftOut: JSONValue = [
            "firing": JSONValue(firing.leftOut), "silences": JSONValue(silences.leftOut),
            "failing_targets": JSONValue(targets.leftOut),
        ]
        let watcher: JSONValue =
            overview.watcher.map { watcher in
                [
                    "node": .string(EventJSONFormatter.cut(watcher.node)),
                    "lost_since": sighting == .lost ? .string(watcher.lastSeen.description) : .null,
                ]
            } ?? .null
        json =
            #"{"watcher":\#(watcher),"firing":[\#(firing.text)],"silences":[\#(silences.text)],"failing_targets":[\#(targets.text)],"#
            + #""left_out":\#(leftOut)}"#
    }

    /// The JSON of the first elements, as many as fit.
    private static func list<Element>(
        _ elements: [Element],
        _ maximum: Int,
        _ maximumBytes: Int,
        _ json: (Element) -> JSONValue
    ) -> (text: String, leftOut: Int) {
        var text = ""
        for (number, element) in elements.enumerated() {
            let next = number < maximum ? json(element).description : ""
            guard !next.isEmpty, text.utf8.count + next.utf8.count < maximumBytes else {
                return (text, elements.count - number)
            }
            text += text.isEmpty ? next : ",\(next)"
        }
        return (text, 0)
    }

    private static func json(_ firing: AlertOverview.Firing) -> JSONValue {
        let alert = firing.alert
        return [
            "id": .string(alert.id), "rule": .string(alert.rule), "group": json(alert.group.labels),
            "severity": .string(alert.severity.rawValue), "since": .string(alert.since.description),
            "count": JSONValue(alert.count), "reason": .string(EventJSONFormatter.cut(alert.reason)),
            "sequences": .array(alert.sequences.map { JSONValue($0) }), "acknowledged": .bool(firing.isAcknowledged),
            "silenced_until": firing.silence.map { .string($0.until.description) } ?? .null,
        ]
    }

    private static func json(_ silence: AlertSilence) -> JSONValue {
        [
            "rule": .string(EventJSONFormatter.cut(silence.rule)), "group": json(silence.labels),
            "until": .string(silence.until.description), "by": .string(EventJSONFormatter.cut(silence.by)),
            "reason": .string(EventJSONFormatter.cut(silence.reason)),
        ]
    }

    private static func json(_ labels: [AlertGroup.Label]) -> JSONValue {
        .object(JSONObject(labels.map { ($0.name, .string(EventJSONFormatter.cut($0.value))) }))
    }
}
