import Foundation

/// A progress bar on standard error, when that is a terminal; updated at most ten times per second.
struct ProgressBar {
    private static let barWidth = 24

    private let verb: String
    private let terminal: Terminal
    private let start = ContinuousClock.now
    private var last: ContinuousClock.Instant?

    /// - Parameter verb: what happens to the events, as `stored`.
    init(verb: String, terminal: Terminal = .error) {
        self.verb = verb
        self.terminal = terminal
    }

    /// Shows the progress.
    ///
    /// - Parameters:
    ///   - count: how many events are done.
    ///   - fraction: which part of all events that is, 0 to 1; `nil` when the total is not known.
    mutating func show(_ count: Int, fraction: Double?) {
        let now = ContinuousClock.now
        guard terminal.isTerminal, last.map({ now - $0 >= .milliseconds(100) }) ?? true else { return }
        last = now
        write(count, fraction, now - start, end: "")
    }

    /// Shows the last state and ends the line.
    mutating func finish(_ count: Int, fraction: Double?) {
        guard terminal.isTerminal else { return }
        write(count, fraction, .now - start, end: "\n")
    }

    private func write(_ count: Int, _ fraction: Double?, _ elapsed: Duration, end: String) {
        let text = Self.text(count, verb, fraction: fraction, elapsed: elapsed)
        Diagnostics.write("\r\u{1B}[K" + TextWidth.cut(text, within: terminal.width) + end)
    }

    /// `[######      ]  50 %  1200 events stored, 600 a second`.
    static func text(_ count: Int, _ verb: String, fraction: Double?, elapsed: Duration) -> String {
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0.05 ? ", \(Int(Double(count) / seconds)) a second" : ""
        let tail = "\(count) \(count == 1 ? "event" : "events") \(verb)\(rate)"
        guard let fraction else { return tail }
        let share = min(max(fraction, 0), 1)
        let filled = Int((share * Double(barWidth)).rounded(.down))
        let percent = "\(Int((share * 100).rounded(.down)))"
        let bar = String(repeating: "#", count: filled) + String(repeating: " ", count: barWidth - filled)
        return "[\(bar)] \(String(repeating: " ", count: 3 - percent.count))\(percent) %  \(tail)"
    }
}

extension TextWidth {
    /// The text, cut when a terminal has fewer columns.
    fileprivate static func cut(_ text: String, within width: Int?) -> String {
        guard let width, columns(of: text) > width else { return text }
        return cut(text, to: width)
    }
}

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
