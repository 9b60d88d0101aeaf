/// How bad it is when an alert fires.
public enum AlertSeverity: String, Sendable, Hashable, CaseIterable, Comparable {
    /// Good to know.
    case info
    /// To be looked at.
    case warning
    /// To be looked at now.
    case critical

    /// Whether one is less bad than another.
    public static func < (left: AlertSeverity, right: AlertSeverity) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .info: 0
        case .warning: 1
        case .critical: 2
        }
    }
}
