import Foundation

/// The table that `make abuse` prints: what the abuse suites tried, and what came of it on each server.
///
/// ```swift
/// AbuseTable.note(suite: "RoleAbuse", act: "an observer deletes the stream", server: server, outcome: .refused)
/// ```
public enum AbuseTable {
    /// What came of an act.
    public enum Outcome: String, Sendable {
        /// It was turned down with an error, a status or a closed connection.
        case refused
        /// It was carried out, and harmed no other party: everything went on within its bounds.
        case held
        /// The server cannot enforce it; the guide says so.
        case open
    }

    /// Prints a row, which Scripts/abuse.sh collects.
    ///
    /// - Parameters:
    ///   - suite: who tried it: the suite's name.
    ///   - act: what was tried, in a few words.
    ///   - server: against which server; `nil` where none takes part.
    ///   - outcome: what came of it, as the test has just checked.
    ///   - note: what else there is to say, e.g. a figure.
    public static func note(
        suite: String,
        act: String,
        server: NATSServers.Binary? = nil,
        outcome: Outcome,
        note: String = ""
    ) {
        let cells = [suite, act, server?.path ?? "-", outcome.rawValue, note].map {
            String($0.map { $0 == "\t" || $0.isNewline || $0 == "|" ? " " : $0 })
        }
        FileHandle.standardOutput.write(Data("abuse|\(cells.joined(separator: "\t"))\n".utf8))
    }
}
