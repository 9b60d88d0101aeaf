import Foundation
import Synchronization

/// What became of the events of one fault: a row of the table that `make chaos` prints and the article Guarantees quotes.
struct ChaosRow {
    /// What went wrong.
    let fault: String
    /// How many events were handed over to be sent, without an error.
    var sent = 0
    /// How many of them were acknowledged; `nil` where none is asked for.
    var acknowledged: Int?
    /// How many the stream has; `nil` where there is none.
    var stored: Int?
    /// How many the subscriber, replay or handler got, each counted once.
    var received = 0
    /// How many were dropped and counted as such.
    var dropped = 0
    /// What else there is to say.
    var note = ""

    init(_ fault: String) { self.fault = fault }

    /// Prints it; Scripts/chaos.sh collects the rows.
    func report() {
        func figure(_ number: Int?) -> String { number.map(String.init) ?? "–" }
        let cells = [
            fault, "\(sent)", figure(acknowledged), figure(stored), "\(received)", "\(dropped)", note,
        ]
        FileHandle.standardOutput.write(Data("chaos| \(cells.joined(separator: " | ")) |\n".utf8))
    }
}
