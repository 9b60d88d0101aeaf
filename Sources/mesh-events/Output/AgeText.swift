import MeshEvents

/// Writes how long ago something was: `3s ago`, `2m ago`, `5h ago`, `4d ago`.
enum AgeText {
    /// The age of a moment; `-` when there is none.
    static func text(_ time: Timestamp?, now: Timestamp) -> String {
        guard let time else { return "-" }
        // Clocks differ: a time in the future counts as now.
        let seconds = max(0, now.duration(since: time).components.seconds)
        switch seconds {
        case ..<1: return "now"
        case ..<120: return "\(seconds)s ago"
        case ..<7_200: return "\(seconds / 60)m ago"
        case ..<172_800: return "\(seconds / 3_600)h ago"
        default: return "\(seconds / 86_400)d ago"
        }
    }
}
