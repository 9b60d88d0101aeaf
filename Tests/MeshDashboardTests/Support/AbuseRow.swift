import Foundation

/// What became of one kind of attack on the page: a row of a table. A test prints it when the page has held.
struct AbuseRow {
    /// What was tried.
    let act: String
    /// How often.
    let times: Int
    /// What held against it.
    let held: String

    /// Prints it, as a line that begins with `abuse|`.
    func report() {
        FileHandle.standardOutput.write(Data("abuse| page | \(act) | \(times) | \(held) |\n".utf8))
    }
}
