/// A line with a count on standard error, when that is a terminal.
struct ProgressLine: Sendable {
    private let isShown: Bool
    private let start = ContinuousClock.now

    init(isShown: Bool = Terminal.error.isTerminal) { self.isShown = isShown }

    /// Replaces the last count by this one.
    func show(stored: Int) {
        guard isShown else { return }
        Diagnostics.write("\r\u{1B}[K" + Self.text(stored: stored, elapsed: .now - start))
    }

    /// Shows the last count and ends the line.
    func finish(stored: Int) {
        show(stored: stored)
        if isShown { Diagnostics.write("\n") }
    }

    static func text(stored: Int, elapsed: Duration) -> String {
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0.05 ? ", \(Int(Double(stored) / seconds)) a second" : ""
        return "\(stored) \(stored == 1 ? "event" : "events") stored\(rate)"
    }
}
