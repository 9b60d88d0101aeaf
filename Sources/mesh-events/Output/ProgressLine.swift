import Foundation

/// A line on standard error that counts, when that is a terminal; at most ten times a second.
struct ProgressLine {
    private let isShown: Bool
    private let start = ContinuousClock.now
    private var last: ContinuousClock.Instant?

    init(isShown: Bool = Terminal.error.isTerminal) { self.isShown = isShown }

    /// Shows how far the work is.
    mutating func show(stored: Int) {
        let now = ContinuousClock.now
        guard isShown, last.map({ now - $0 >= .milliseconds(100) }) ?? true else { return }
        last = now
        Diagnostics.write("\r\u{1B}[K" + Self.text(stored: stored, elapsed: now - start))
    }

    /// Leaves the last count standing.
    mutating func finish(stored: Int) {
        guard isShown else { return }
        Diagnostics.write("\r\u{1B}[K" + Self.text(stored: stored, elapsed: .now - start) + "\n")
    }

    static func text(stored: Int, elapsed: Duration) -> String {
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0.05 ? ", \(Int(Double(stored) / seconds)) a second" : ""
        return "\(stored) \(stored == 1 ? "event" : "events") stored\(rate)"
    }
}
