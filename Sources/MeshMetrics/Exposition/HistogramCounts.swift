/// How many values fell into each part of a range. A pure value.
package struct HistogramCounts: Sendable, Equatable {
    /// The upper bound of each part but the last, rising.
    package let bounds: [Double]
    /// How many values are in each part: one more than there are bounds.
    package private(set) var counts: [UInt64]
    /// The sum of all values.
    package private(set) var sum = 0.0

    package init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// How many series it takes.
    package var seriesCount: Int { counts.count + 2 }

    /// Takes in a value; one that is no number is left out, because it would make a sum that is none, for ever.
    package mutating func record(_ value: Double) {
        guard value.isFinite else { return }
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] &+= 1
        sum += value
    }
}
