import MeshEvents
import MeshMonitoring

/// The keys of the table in which the state of alerts is saved.
enum StateKeys {
    /// The tokens with which all of them begin.
    static let prefix = StateKey.alerts
    /// Says who watches: a ``/MeshMonitoring/Lease``.
    static let lease = "\(prefix).lease"
    /// Says up to which sequence the rest is complete.
    static let position = "\(prefix).position"
    static let silences = "\(prefix).silences"
    static let states = "\(prefix).state"
    static let targets = "\(prefix).target"
    /// The longest token of a group that is its text.
    private static let longestToken = 200

    /// The key of an alert's state. A group with a long text is told by a hash, so that the key stays short.
    static func state(_ key: AlertKey) -> String {
        var hash = StableHash()
        var token = ""
        for label in key.group.labels {
            hash.add(label.name.utf8)
            hash.add(label.value.utf8)
            // No token has these: in it two digits come behind each `=`.
            token += (token.isEmpty ? "" : "=_") + StateKey.token(label.name) + "=-" + StateKey.token(label.value)
        }
        if token.isEmpty { token = "-" }
        return "\(states).\(key.rule).\(token.utf8.count > longestToken ? "=\(hash.text)" : token)"
    }

    /// The key of a target's place.
    static func target(_ name: String) -> String { "\(targets).\(StateKey.token(name))" }
}
