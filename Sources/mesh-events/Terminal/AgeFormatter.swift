import MeshEvents

/// Writes how long ago something was: `3s ago`, `2m ago`, `5h ago`, `4d ago`.
enum AgeFormatter {
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

    /// A span of time in its two largest units: `45s`, `3m 20s`, `5h 2m`, `4d 7h`.
    static func span(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        let units: [(size: Int64, name: String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
        guard let first = units.firstIndex(where: { seconds >= $0.size }) else { return "0s" }
        let large = "\(seconds / units[first].size)\(units[first].name)"
        guard first + 1 < units.count else { return large }
        let small = seconds % units[first].size / units[first + 1].size
        return small == 0 ? large : "\(large) \(small)\(units[first + 1].name)"
    }
}
