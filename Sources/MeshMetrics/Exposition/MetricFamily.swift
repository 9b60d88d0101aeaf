/// What the series of one metric have in common.
package struct MetricFamily: Sendable, Hashable {
    /// What the values of a metric are.
    package enum Kind: String, Sendable, Hashable {
        /// Only grows, but for a new beginning at 0. Its samples end with `_total`.
        case counter
        /// Goes up and down.
        case gauge
        /// How values are distributed. Its samples end with `_bucket`, `_count` and `_sum`.
        case histogram
        /// Texts, as labels of the value 1. Its samples end with `_info`.
        case info
    }

    /// Its name, without what the names of its samples end with.
    package let name: String
    /// What its values are.
    package let kind: Kind
    /// A sentence about it.
    package let help: String

    package init(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
    }

    /// What the name of its samples ends with, but for a histogram's.
    var suffix: String {
        switch kind {
        case .counter: "_total"
        case .info: "_info"
        case .gauge, .histogram: ""
        }
    }

    /// The names of its samples, and its own.
    var names: [String] {
        switch kind {
        case .counter: [name, name + suffix, name + "_created"]
        case .gauge: [name]
        case .histogram: [name, name + "_bucket", name + "_count", name + "_sum", name + "_created"]
        case .info: [name, name + suffix]
        }
    }

    /// The unit of its values, when its name ends with one.
    var unit: String? { Self.units.first { name.hasSuffix("_" + $0) } }

    private static let units = ["seconds", "bytes", "ratio", "celsius", "watts"]
}
