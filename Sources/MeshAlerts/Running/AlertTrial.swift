public import MeshEvents

/// What a set of rules would have reported of events that are stored already. Nothing is emitted, and no target is told.
///
/// ```swift
/// var trial = AlertTrial(rules: rules, from: since)
/// for try await stored in history.events(since: since) { trial.take(stored).forEach(show) }
/// trial.finish(at: .now).forEach(show)
/// ```
public struct AlertTrial: Sendable {
    private var book = AlertBook()

    /// Begins a trial.
    ///
    /// - Parameters:
    ///   - rules: the rules.
    ///   - start: from when what is missing counts as missing.
    public init(rules: [AlertRule], from start: Timestamp) { book.use(rules, now: start) }

    /// Takes in the next event of the stream, and what happens before it because time passes.
    ///
    /// - Returns: the reports, in their order.
    public mutating func take(_ stored: StoredEvent) -> [Alert] {
        let before = finish(at: stored.storedAt)
        // What was reported then is not what these rules report.
        guard !EventPattern.allAlerts.matches(stored.event.type) || stored.event.type == .alertSilenced else {
            return before
        }
        book.take(stored)
        return before + reports(at: stored.storedAt)
    }

    /// Lets the time pass.
    ///
    /// - Returns: the reports, in their order.
    public mutating func finish(at time: Timestamp) -> [Alert] {
        var found: [Alert] = []
        while let due = book.nextDeadline, due <= time {
            book.advance(to: due)
            found += reports(at: due)
            // An alert that stays due is looked at once.
            if let next = book.nextDeadline, next <= due { break }
        }
        return found
    }

    private mutating func reports(at time: Timestamp) -> [Alert] {
        let reports = book.reports(.max)
        for (key, report) in reports { book.stored(key, report.alert.identity, at: time) }
        return reports.map(\.report.alert)
    }
}
