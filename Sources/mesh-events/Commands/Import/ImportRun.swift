import Foundation
import MeshEvents
import Synchronization

/// One import under way.
struct ImportRun {
    /// How many events may wait for their acknowledgement.
    static let window = 1_024
    /// The time between two notes of the progress.
    private static let noteInterval: Duration = .milliseconds(250)

    let store: any EventStore
    let format: LineFormat
    let server: String
    /// The file for notes of the progress; `nil` for standard input, which cannot be read again.
    let statePath: String?
    /// The size of the file in bytes; `nil` when it is not a regular file.
    let fileSize: Int?

    /// The result of an import.
    struct Outcome {
        /// Lines that this run stored.
        var stored = 0
        /// Lines that the stream had before.
        var skipped = 0
        /// Lines that the stream had before and no longer keeps.
        var gone = 0
    }

    private final class Progress: Sendable {
        private let marks: Mutex<ImportMarks>
        private let duplicates = Mutex(ImportDuplicates())

        init(_ state: ImportState) { marks = Mutex(ImportMarks(state)) }

        var state: ImportState { marks.withLock { $0.state } }
        /// The first line that is not known to be stored; `nil` when all that were taken are.
        var firstMissing: Int? { marks.withLock { $0.firstMissing } }
        var stored: Int { marks.withLock { $0.stored } }
        var hasManyDuplicates: Bool { duplicates.withLock { $0.isFull } }

        func update(_ change: (inout ImportMarks) -> Void) { marks.withLock { change(&$0) } }
        func sending(_ line: ImportDuplicates.Line) { duplicates.withLock { $0.sending(line) } }

        func acknowledged(_ index: Int, _ position: StoredPosition) {
            guard duplicates.withLock({ $0.acknowledged(index, position) }) else { return }
            update { $0.stored(index, at: position.sequence) }
        }

        func takeDuplicates() -> [ImportDuplicates.Doubt] { duplicates.withLock { $0.take() } }
        func giveBack(_ doubts: [ImportDuplicates.Doubt]) { duplicates.withLock { $0.giveBack(doubts) } }
    }

    /// Imports every line; returns when all are stored.
    ///
    /// - Throws: `CommandFailure` with the number of the line that was not stored; those before it are.
    func run(_ source: LineReader) async throws -> Outcome {
        var reader = source
        let stream = try await store.state()
        let found = try statePath.flatMap { try ImportState.read($0) }
        let state =
            found
            ?? ImportState(
                stream: stream.name,
                server: server,
                lines: 0,
                hash: StableHash().text,
                created: stream.created?.description,
                sequence: stream.lastSequence
            )
        if found != nil { try check(state, stream) }
        var hash = StableHash()
        var outcome = Outcome()
        var number = 0
        while number < state.lines {
            guard let line = try await reader.next() else { break }
            number = line.number
            hash.add(line.bytes)
            outcome.skipped += 1
        }
        guard number == state.lines, hash.text == state.hash else { throw changed() }
        let known = found == nil ? StoredLines() : try await StoredLines(store, behind: state.sequence)
        try note(state)
        return try await append(reader, hash, known, state, outcome, behind: stream.lastSequence)
    }

    private func append(
        _ source: LineReader,
        _ begun: StableHash,
        _ stored: StoredLines,
        _ state: ImportState,
        _ before: Outcome,
        behind last: UInt64
    ) async throws -> Outcome {
        var (reader, hash, known, outcome) = (source, begun, stored, before)
        let progress = Progress(state)
        let appender = store.makeAppender(window: Self.window, deadline: .seconds(30)) { first, positions in
            for (index, position) in zip(first..., positions) { progress.acknowledged(index, position) }
        }
        var bar = ProgressBar(verb: "stored")
        var noted = ContinuousClock.now
        do {
            while let line = try await reader.next() {
                let message = try message(line)
                hash.add(line.bytes)
                let isKnown = known.take(message)
                let text = hash.text
                progress.update { $0.take(line: line.number, hash: text, isKnown: isKnown) }
                if isKnown {
                    outcome.skipped += 1
                } else {
                    progress.sending(.init(number: line.number, message: message))
                    try await appender.append(message)
                }
                if progress.hasManyDuplicates { try await settleDuplicates(progress, &outcome, behind: last) }
                bar.show(progress.stored, fraction: fileSize.map { Double(reader.consumed) / Double(max($0, 1)) })
                if .now - noted >= Self.noteInterval {
                    try note(progress.state)
                    noted = .now
                }
            }
            try await appender.finish()
            try await settleDuplicates(progress, &outcome, behind: last)
        } catch {
            let isSettled = await isSettled(appender)
            // Duplicates are known to be stored only after the comparison.
            let isCompared = (try? await settleDuplicates(progress, &outcome, behind: last)) != nil
            outcome.stored = progress.stored
            bar.finish(outcome.stored, fraction: nil)
            try note(progress.state)
            throw failure(error, progress.firstMissing, outcome, isExact: isSettled && isCompared)
        }
        try await checkStream(state)
        outcome.stored = progress.stored
        bar.finish(outcome.stored, fraction: 1)
        if let statePath { try? FileManager.default.removeItem(atPath: statePath) }
        return outcome
    }

    /// Waits until all sent messages are stored or refused.
    ///
    /// - Returns: whether the result of each message is known: after a refusal of the server yes, after a timeout no.
    private func isSettled(_ appender: any EventAppender) async -> Bool {
        do throws(MeshEventsError) {
            try await appender.finish()
            return true
        } catch {
            return [.storageFull, .serverRefused, .payloadTooLarge, .permissionDenied].contains(error.code)
        }
    }

    /// Compares duplicates with the stream's messages.
    ///
    /// - Parameter last: the stream's last sequence when the import began: this import has stored what is after it.
    /// - Throws: `CommandFailure` when the stream has another message with the id. The line is not stored then.
    private func settleDuplicates(_ progress: Progress, _ outcome: inout Outcome, behind last: UInt64) async throws {
        let doubts = progress.takeDuplicates()
        let findings: [(ImportDuplicates.Doubt, ImportDuplicates.Finding)]
        do {
            findings = try await ImportDuplicates.compare(doubts, with: store)
        } catch {
            progress.giveBack(doubts)
            throw error
        }
        for (doubt, finding) in findings {
            let isNew = finding == .same && doubt.sequence > last
            switch finding {
            case .same: outcome.skipped += isNew ? 0 : 1
            case .gone: outcome.gone += 1
            case .another:
                throw CommandFailure(
                    .unavailable,
                    "line \(doubt.line.number) is not stored: the stream has another message with its message id, at "
                        + "sequence \(doubt.sequence); another client has used the id. Find out which, and import "
                        + "again after the stream's duplicate window"
                )
            }
            progress.update { $0.stored(doubt.index, at: doubt.sequence, isNew: isNew) }
        }
    }

    private func message(_ line: LineReader.Line) throws -> PendingMessage {
        do throws(MeshEventsError) {
            return try ImportLine(line, format).message
        } catch {
            throw CommandFailure(.badData, "line \(line.number): \(error.message)")
        }
    }

    private func failure(_ error: any Error, _ line: Int?, _ outcome: Outcome, isExact: Bool) -> CommandFailure {
        let more = statePath == nil ? "" : "; the same command goes on from there"
        let stored = isExact ? "\(outcome.stored) stored" : "at least \(outcome.stored) stored"
        let failure = CommandFailure(describing: error).suffixed("; \(stored)\(more)")
        // An error in a line itself already names the line.
        guard let line, !(error is CommandFailure) else { return failure }
        return failure.prefixed("line \(line) is the first that is not \(isExact ? "stored" : "known to be stored"): ")
    }

    private func note(_ state: ImportState) throws {
        if let statePath { try state.write(statePath) }
    }

    private func check(_ state: ImportState, _ stream: StreamState) throws {
        let isOther = state.created != nil && state.created != stream.created?.description
        guard !isOther else {
            throw CommandFailure(
                .streamReplaced,
                "the stream was deleted and created anew since the import began; delete \(statePath ?? "") to "
                    + "import from the beginning"
            )
        }
        // Notes of former versions have the servers unchanged from the option.
        let noted = ImportState.server(state.server)
        guard state.stream == stream.name, noted == server, state.sequence <= stream.lastSequence else {
            throw CommandFailure(
                .usage,
                "\(statePath ?? "") belongs to an import into another stream, on \(noted); delete it to import "
                    + "from the beginning, or name another file with --state"
            )
        }
    }

    /// Throws when the stream was replaced during the import: the new one lacks the lines stored before.
    private func checkStream(_ state: ImportState) async throws {
        guard let created = state.created, let found = try await store.state().created?.description, found != created
        else { return }
        let advice = statePath.map { "delete \($0) and import" } ?? "import"
        throw CommandFailure(
            .streamReplaced,
            "the stream was deleted and created anew during the import, and lacks the lines stored before; \(advice) again"
        )
    }

    private func changed() -> CommandFailure {
        CommandFailure(
            .usage,
            "the file is not the one whose import was interrupted; delete \(statePath ?? "") to import this one from "
                + "the beginning"
        )
    }
}

/// The lines that the stream acknowledged as duplicates. The message ids follow from the lines, so another client with
/// the file could have used them for other messages. So the stream's messages are read and compared. A pure value.
private struct ImportDuplicates: Sendable {
    /// From how many waiting lines or bytes on they should be compared.
    private static let limit = (lines: 1_024, bytes: 16 << 20)

    /// A line that was sent.
    struct Line: Sendable {
        let number: Int
        let message: PendingMessage
    }

    /// A line that the stream acknowledged as a duplicate, with its number in the order of sending and the sequence
    /// from the acknowledgement.
    struct Doubt: Sendable {
        let index: Int
        let line: Line
        let sequence: UInt64
    }

    private var underWay: [Int: Line] = [:]
    private var sent = 0
    private var doubts: [Doubt] = []
    private var bytes = 0

    /// Whether it is time to compare.
    var isFull: Bool { doubts.count >= Self.limit.lines || bytes >= Self.limit.bytes }

    /// Notes a line that is about to be sent.
    mutating func sending(_ line: Line) {
        underWay[sent] = line
        sent += 1
    }

    /// Notes an acknowledgement; returns whether the line is known to be stored.
    mutating func acknowledged(_ index: Int, _ position: StoredPosition) -> Bool {
        guard let line = underWay.removeValue(forKey: index), position.isDuplicate else { return true }
        doubts.append(Doubt(index: index, line: line, sequence: position.sequence))
        bytes += line.message.payload.count
        return false
    }

    /// Takes back lines that could not be compared.
    mutating func giveBack(_ doubts: [Doubt]) {
        self.doubts += doubts
        bytes += doubts.reduce(0) { $0 + $1.line.message.payload.count }
    }

    /// Removes and returns the lines to compare, in the order of their sequences.
    mutating func take() -> [Doubt] {
        defer { (doubts, bytes) = ([], 0) }
        return doubts.sorted { $0.sequence < $1.sequence }
    }
}

extension ImportDuplicates {
    /// What the stream has at the sequence of a duplicate.
    enum Finding: Sendable {
        /// The line.
        case same
        /// Another message.
        case another
        /// No message any more: the stream's limits, or a purge, have dropped it.
        case gone
    }

    /// How many messages, and about how many bytes, are read at once.
    private static let readSize = (messages: 128, bytes: 4 << 20)

    /// Compares lines with the stream's messages.
    ///
    /// - Parameter doubts: the lines in the order of their sequences.
    static func compare(_ doubts: [Doubt], with store: some EventStore) async throws -> [(Doubt, Finding)] {
        var findings: [(Doubt, Finding)] = []
        var read: [StoredMessage] = []
        for doubt in doubts {
            if read.last.map({ $0.sequence < doubt.sequence }) ?? true {
                read = try await store.first(
                    Self.readSize.messages,
                    maximumBytes: Self.readSize.bytes,
                    matching: .all,
                    from: .sequence(doubt.sequence),
                    timeout: .seconds(30)
                ).messages
            }
            let found = read.first { $0.sequence == doubt.sequence }
            let message = doubt.line.message
            let isSame = found.map { $0.subject == message.subject && $0.payload == message.payload }
            findings.append((doubt, isSame.map { $0 ? .same : .another } ?? .gone))
        }
        return findings
    }
}
