/// A text format in which metrics are answered to a scraper.
public enum ExpositionFormat: Sendable, Hashable, CaseIterable {
    /// OpenMetrics 1.0.
    case openMetrics
    /// Prometheus's own text format, version 0.0.4.
    case text

    /// The media type of an answer in this format.
    public var contentType: String {
        switch self {
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        }
    }

    /// The format that a client likes best.
    ///
    /// - Parameter accept: its `Accept` header (RFC 9110, section 12.5.1); `nil` for none. OpenMetrics is chosen when it is
    ///   named, in a version 1 or 0, and is not less wanted than plain text; else it is ``text``.
    public init(accept: String?) {
        var (openMetrics, text) = (0.0, 0.0)
        // A client's text: only a bounded number of ranges is read.
        for range in (accept ?? "").split(separator: ",", maxSplits: 32).prefix(32) {
            let parts = range.split(separator: ";").map { $0.lowercased().filter { $0 != " " && $0 != "\t" } }
            guard let type = parts.first else { continue }
            let weight = Self.parameter("q", parts).map { Double($0) ?? 0 } ?? 1
            switch type {
            case "application/openmetrics-text":
                let version = Self.parameter("version", parts) ?? "1.0.0"
                if version.hasPrefix("1.") || version.hasPrefix("0.") { openMetrics = max(openMetrics, weight) }
            case "text/plain": text = max(text, weight)
            default: break
            }
        }
        self = openMetrics > 0 && openMetrics >= text ? .openMetrics : .text
    }

    private static func parameter(_ name: String, _ parts: [String]) -> String? {
        parts.dropFirst().first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.utf8.count + 1)) }
    }
}
