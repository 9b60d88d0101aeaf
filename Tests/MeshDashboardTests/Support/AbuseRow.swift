import TestSupport

/// What became of one kind of attack on the page: a row of the table of abuse. A test notes it when the page has held.
struct AbuseRow {
    /// What was tried.
    let act: String
    /// How often.
    let times: Int
    /// What held against it.
    let held: String

    /// Adds it to the table.
    func report() { AbuseTable.note(suite: "page", act: act, outcome: .held, note: "\(times) times: \(held)") }
}
