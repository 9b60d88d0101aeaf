/// Metrics as text for a scraper: add samples, then read ``text``. A pure value.
///
/// The samples of a family stand together, in the order in which they were added; families in the order of their first
/// samples. There are at most ``maximumSeries``, in at most ``maximumBytes``; what goes beyond is counted in ``leftOut``.
package struct Exposition: Sendable {
    /// The lines of one family.
    private struct Block: Sendable {
        let family: MetricFamily
        var lines: [UInt8] = []
    }

    /// The most bytes of an answer, in any case.
    package static let maximumBytes = 16 << 20

    package let format: ExpositionFormat
    package let maximumSeries: Int
    private let maximumBytes: Int
    private var blocks: [Block] = []
    private var indices: [String: Int] = [:]
    private var bytes = 0
    /// How many series it has. Each line of a histogram is one.
    package private(set) var series = 0
    /// How many series did not fit.
    package private(set) var leftOut = 0

    package init(_ format: ExpositionFormat, maximumSeries: Int, maximumBytes: Int = Exposition.maximumBytes) {
        self.format = format
        self.maximumSeries = maximumSeries
        self.maximumBytes = maximumBytes
    }

    /// For how many more series there is room. 0 also when the bytes are used up.
    package var room: Int { bytes < maximumBytes ? max(0, maximumSeries - series) : 0 }

    /// Adds a sample of a counter, a gauge or an info.
    ///
    /// - Parameters:
    ///   - labels: its labels; the caller adds each set of labels once to a family.
    ///   - isOwed: whether it is added even when there is no room: for a bounded number of samples.
    package mutating func add(
        _ value: Double,
        to family: MetricFamily,
        _ labels: MetricLabels = MetricLabels(),
        isOwed: Bool = false
    ) {
        guard isOwed || room > 0 else {
            leftOut += 1
            return
        }
        append(family, series: 1) { lines in
            Self.write(family.name + family.suffix, labels.text, value, to: &lines)
        }
    }

    /// Adds a histogram with its buckets, its count and its sum; as a whole or not at all.
    package mutating func add(_ histogram: HistogramCounts, to family: MetricFamily, _ labels: MetricLabels) {
        let size = histogram.seriesCount
        guard room >= size else {
            leftOut += size
            return
        }
        append(family, series: size) { lines in
            var below: UInt64 = 0
            let prefix = labels.text.isEmpty ? "" : labels.text + ","
            for (bound, count) in zip(histogram.bounds + [.infinity], histogram.counts) {
                below &+= count
                let label = "\(prefix)le=\"\(bound == .infinity ? "+Inf" : "\(bound)")\""
                Self.write(family.name + "_bucket", label, Double(below), to: &lines)
            }
            Self.write(family.name + "_count", labels.text, Double(below), to: &lines)
            Self.write(family.name + "_sum", labels.text, histogram.sum, to: &lines)
        }
    }

    private mutating func append(_ family: MetricFamily, series count: Int, _ body: (inout [UInt8]) -> Void) {
        let index: Int
        if let known = indices[family.name] {
            index = known
        } else {
            index = blocks.count
            indices[family.name] = index
            blocks.append(Block(family: family))
        }
        let before = blocks[index].lines.count
        body(&blocks[index].lines)
        bytes += blocks[index].lines.count - before
        series += count
    }

    // MARK: Text

    /// The whole text.
    package var text: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes + blocks.count * 160)
        for block in blocks {
            let family = block.family
            // The older format has no infos, and names a counter as its samples.
            let name = format == .openMetrics ? family.name : family.name + family.suffix
            let kind = format == .text && family.kind == .info ? "gauge" : family.kind.rawValue
            text += "# HELP \(name) \(escapedHelp(family.help))\n# TYPE \(name) \(kind)\n".utf8
            if format == .openMetrics, let unit = family.unit { text += "# UNIT \(name) \(unit)\n".utf8 }
            text += block.lines
        }
        if format == .openMetrics { text += "# EOF\n".utf8 }
        return text
    }

    private func escapedHelp(_ help: String) -> String {
        var text = ""
        for scalar in help.unicodeScalars {
            switch scalar {
            case "\\": text += #"\\"#
            case "\n": text += #"\n"#
            case "\"" where format == .openMetrics: text += #"\""#
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private static func write(_ name: String, _ labels: String, _ value: Double, to lines: inout [UInt8]) {
        lines += name.utf8
        if !labels.isEmpty {
            lines.append(UInt8(ascii: "{"))
            lines += labels.utf8
            lines.append(UInt8(ascii: "}"))
        }
        lines.append(UInt8(ascii: " "))
        lines += number(value).utf8
        lines.append(UInt8(ascii: "\n"))
    }

    /// A value as both formats have it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Up to here every whole number is exact.
        return value == value.rounded() && abs(value) < 0x1p53 ? "\(Int64(value))" : "\(value)"
    }
}
