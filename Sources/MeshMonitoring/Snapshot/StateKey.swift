/// The keys of the table in which the state of the mesh is kept.
package enum StateKey {
    /// Says how far the entries are complete: a ``Checkpoint``.
    static let checkpoint = "checkpoint"
    /// Says who keeps the state: a ``Lease/Holder``.
    static let keeper = "keeper"
    private static let nodePrefix = "node."
    /// The first token of the keys in which the state of alerts is kept: a keeper of the state of the mesh leaves them
    /// alone.
    package static let alerts = "alert"

    /// The key of a node's entry: `node.*` matches all nodes.
    static func node(_ name: String) -> String { nodePrefix + token(name) }

    /// A text as a token of a key. Bytes that a key must not have are written as `=` and two hexadecimal digits, a dot too.
    package static func token(_ text: String) -> String {
        var key = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"):
                key.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                key += digits.count == 1 ? "=0\(digits)" : "=\(digits)"
            }
        }
        return key
    }

    /// Whether it is one of the keys with which the keeper itself is concerned.
    static func isKeepers(_ key: String) -> Bool { key == checkpoint || key == keeper }

    /// Whether it is a key of alerts.
    static func isOfAlerts(_ key: String) -> Bool { key.hasPrefix(alerts + ".") }

    /// Whether it is the key of a node's entry.
    static func isNode(_ key: String) -> Bool { key.hasPrefix(nodePrefix) }
}
