/// A line on standard error that counts, when that is a terminal.
struct ProgressLine: Sendable {
    private let isShown: Bool
    private let start = ContinuousClock.now

    init(isShown: Bool = Terminal.error.isTerminal) { self.isShown = isShown }

    /// Shows how far the work is, in the place of the last count.
    func show(stored: Int) {
        guard isShown else { return }
        Diagnostics.write("\r\u{1B}[K" + Self.text(stored: stored, elapsed: .now - start))
    }

    /// Leaves the last count standing.
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
