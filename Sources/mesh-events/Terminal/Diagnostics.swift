import Foundation
import MeshConcurrency
import MeshEvents
import NATSClient
import Synchronization

/// Prints a command's messages on standard error.
enum Diagnostics {
    /// Prints a message as one line, even when it has line breaks.
    static func say(_ message: String) {
        write("mesh-events: \(oneLine(message))\n")
        copy.withLock { $0 }?(message)
    }

    /// Gets the messages, too: the log of a node.
    private static let copy = Mutex<(@Sendable (String) -> Void)?>(nil)

    /// Passes on all messages from now on.
    static func copyMessages(to receiver: @escaping @Sendable (String) -> Void) { copy.withLock { $0 = receiver } }

    /// The text as one line that is safe on a terminal; cut when it is too long, as texts of other clients can be.
    static func oneLine(_ message: String) -> String {
        SafeText.escaped(message.split(whereSeparator: \.isNewline).joined(separator: " "), columns: longestLine)
    }

    private static let longestLine = 4_096

    /// Clears the `^C` that a terminal shows at the beginning of the line, so that the next row begins there.
    static func clearInterrupt() {
        if Terminal.error.isTerminal { write("\r\u{1B}[K") }
    }

    /// Writes the text unchanged; text that cannot be written is lost.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// Limits the reports in a period and counts the rest, so that a peer cannot fill a log.
struct RepeatLimit: Sendable {
    /// What to do with a report.
    enum Decision: Sendable, Equatable {
        /// Print it. When the number is not 0, first print that this many were left out since the last one.
        case say(leftOut: Int)
        /// Leave it out.
        case leaveOut
    }

    private let maximum: Int
    private let period: Duration
    private var begin: ContinuousClock.Instant?
    private var said = 0
    private var leftOut = 0

    /// Allows `maximum` reports in each `period`.
    init(_ maximum: Int = 10, each period: Duration = .seconds(10)) {
        self.maximum = maximum
        self.period = period
    }

    /// Counts a report.
    mutating func decide(at now: ContinuousClock.Instant = .now) -> Decision {
        if begin.map({ now - $0 >= period }) ?? true {
            begin = now
            said = 0
        }
        guard said < maximum else {
            leftOut += 1
            return .leaveOut
        }
        said += 1
        defer { leftOut = 0 }
        return .say(leftOut: leftOut)
    }
}

/// Reports on standard error that messages were skipped because they are not events: at most one line per second.
final class MalformedReport: Sendable {
    private struct State {
        var count = 0
        var said = 0
        var limit = RepeatLimit(1, each: .seconds(1))
    }

    private let state = Mutex(State())

    func report(_ malformed: MalformedEvent) {
        let count = state.withLock { state -> Int? in
            state.count += 1
            guard case .say = state.limit.decide() else { return nil }
            state.said = state.count
            return state.count
        }
        guard let count else { return }
        let total = count == 1 ? "" : " (\(count) so far)"
        Diagnostics.say("skipped a message on \(malformed.subject) that is not an event: \(malformed.reason)\(total)")
    }

    /// Reports the total, when the last report did not include all.
    func finish() {
        let (count, said) = state.withLock { ($0.count, $0.said) }
        guard count > said else { return }
        Diagnostics.say("skipped \(count) messages that are not events")
    }

    /// Reports how many stored messages were skipped.
    static func sayStored(_ count: some BinaryInteger) {
        guard count > 0 else { return }
        Diagnostics.say(
            "skipped \(count) stored \(count == 1 ? "message that is no event" : "messages that are not events")"
        )
    }
}

/// Reports on standard error when a connection is lost and when it is restored.
struct ConnectionReport {
    /// How many errors of a server are remembered until the connection is lost, so that each is reported once.
    private static let mostErrors = 100

    let connection: NATSConnection
    /// The text about events during the outage.
    var missing = "events from meanwhile are not shown"

    /// Reports until the connection is closed or the task is cancelled.
    func run() async {
        // Limited, because a server can send any number of errors, and end each connection at once.
        var limit = RepeatLimit()
        var changes = RepeatLimit(40)
        var lastFailure: String?
        // A server repeats an error as often as the client repeats the request.
        var saidErrors: Set<String> = []
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, let unconfirmed):
                let lost = unconfirmed == 0 ? "" : "; \(unconfirmed) messages may not have arrived"
                say("the connection is lost (\(reason.message))\(lost); connecting again, \(missing)", &changes)
            case .reconnectFailed(_, let error):
                guard error.message != lastFailure else { continue }
                lastFailure = error.message
                say("not connected yet: \(error.message)", &limit)
            case .reconnected(let address):
                lastFailure = nil
                saidErrors = []
                say("connected again to \(address)", &changes)
            case .lameDuck(let address):
                say("the server \(address) is about to shut down", &limit)
            case .serverError(let error):
                guard !saidErrors.contains(error.message) else { continue }
                if saidErrors.count < Self.mostErrors { saidErrors.insert(error.message) }
                say("the server says: \(error.message)", &limit)
            case .connected, .slowConsumer, .closed:
                break
            }
        }
    }

    private func say(_ text: String, _ limit: inout RepeatLimit) {
        guard case .say(let leftOut) = limit.decide() else { return }
        if leftOut > 0 { Diagnostics.say("\(leftOut) more reports were left out") }
        Diagnostics.say(text)
    }

    /// Runs `body`, and reports meanwhile.
    func during<Result, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        try await withBackgroundTask({ await run() }, body)
    }
}

/// Reports on standard error when the stream does not answer and when it answers again.
struct TroubleReport: Sendable {
    /// The text about events meanwhile.
    let missing: String

    /// Reports the reason; `nil`: that the stream answers again.
    @Sendable func tell(_ error: MeshEventsError?) {
        Diagnostics.say(error.map(text) ?? "the stream answers again")
    }

    /// The report.
    func text(_ error: MeshEventsError) -> String {
        "the stream does not answer (\(error.reason)); trying again, \(missing)"
    }
}

/// Checks whether this process is the first one of a container.
enum ProcessOne {
    /// Warns when this process is process 1, in the place of an init. A process whose parent has ended becomes a child
    /// of process 1, and stays a zombie until process 1 waits for it.
    static func warn() {
        guard getpid() == 1 else { return }
        Diagnostics.say(
            "mesh-events is process 1, and does not wait for the processes that its children leave behind: start it under an "
                + "init (docker run --init, or tini)"
        )
    }
}
