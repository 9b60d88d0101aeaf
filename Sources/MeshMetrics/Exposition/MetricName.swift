import MeshEvents

/// Names as Prometheus takes them, made of any text.
package enum MetricName {
    /// The longest name of a metric or a label, in bytes.
    static let maximumBytes = 128

    /// A metric's name: letters, digits and underscores; the rest becomes an underscore.
    package static func metric(_ text: String) -> String { valid(text) }

    /// A label's name. Names that begin with two underscores, and those that a histogram needs, are not free.
    package static func label(_ text: String) -> String {
        var name = valid(text)
        while name.hasPrefix("__") { name.removeFirst() }
        return name == "le" || name == "quantile" ? name + "_" : name
    }

    private static func valid(_ text: String) -> String {
        var name = String(
            decoding: text.utf8.prefix(maximumBytes).map { isWord($0) ? $0 : UInt8(ascii: "_") },
            as: UTF8.self
        )
        if name.utf8.first.map({ digits.contains($0) }) ?? true { name = "_" + name }
        return name
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        digits.contains(byte) || byte == UInt8(ascii: "_")
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
}
