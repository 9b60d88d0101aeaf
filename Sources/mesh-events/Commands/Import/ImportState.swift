import FileReading
import Foundation
import MeshEvents
import NATSClient

/// The progress of an import, kept in a file beside the imported one.
struct ImportState: Codable, Equatable, Sendable {
    /// The name of the stream.
    var stream: String
    /// The servers, without a login.
    var server: String
    /// The lines up to this number are stored or blank.
    var lines: Int
    /// The hash over the lines that are stored.
    var hash: String
    /// When the stream was created, RFC 3339: another stream of that name lacks the lines. `nil` in older notes.
    var created: String?
    /// A sequence of the stream; none of the remaining lines is stored at or below it.
    var sequence: UInt64

    /// The servers without their login, for notes: readers of the file must not see a login, and it may change.
    static func server(_ servers: String) -> String {
        let addresses = (try? ServerAddress.list(servers)) ?? []
        return addresses.map(\.description).joined(separator: ",")
    }

    /// Reads a state.
    ///
    /// - Returns: `nil` when there is no file.
    /// - Throws: `CommandFailure`, usage.
    static func read(_ path: String) throws -> ImportState? {
        let bytes: [UInt8]
        do throws(RegularFile.Failure) {
            bytes = try RegularFile(path).read().bytes
        } catch {
            if error.code == .missing { return nil }
            throw CommandFailure(.usage, "the file of --state, \(path), cannot be read: it \(error.problem)")
        }
        do {
            return try JSONDecoder().decode(ImportState.self, from: Data(bytes))
        } catch {
            throw CommandFailure(
                .usage,
                "\(path) is no note of an import's progress; delete it to begin anew, or name another with --state"
            )
        }
    }

    /// Writes the state atomically.
    func write(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(
                .usage,
                "cannot write the import's progress to \(path); name a writable file with --state"
            )
        }
    }
}

/// Tracks which lines of an import are stored, noted in any order. The state covers the first lines up to the first one
/// that is not stored. A pure value.
struct ImportMarks: Sendable {
    private struct Mark {
        let line: Int
        let hash: String
        /// The highest sequence known when the line was sent: the line's own is above that.
        let above: UInt64
        var isStored: Bool
    }

    private(set) var state: ImportState
    private var marks: [Mark] = []
    private var head = 0
    /// How many marks were removed.
    private var base = 0
    /// The lines under way, by their number in the order of sending.
    private var sent: [Int: Int] = [:]
    private var sentCount = 0
    private var highest: UInt64
    /// How many lines were stored, by this import.
    private(set) var stored = 0

    /// The first line taken that is not known to be stored; `nil` when all are.
    var firstMissing: Int? { head < marks.count ? marks[head].line : nil }

    init(_ state: ImportState) {
        self.state = state
        highest = state.sequence
    }

    /// Notes a line that is about to be sent, or that the stream already has.
    ///
    /// - Parameters:
    ///   - hash: the hash over all lines up to this one.
    ///   - isKnown: whether the stream already has it.
    mutating func take(line: Int, hash: String, isKnown: Bool) {
        marks.append(Mark(line: line, hash: hash, above: highest, isStored: isKnown))
        if isKnown {
            advance()
        } else {
            sent[sentCount] = base + marks.count - 1
            sentCount += 1
        }
    }

    /// Notes that a line is stored.
    ///
    /// - Parameters:
    ///   - index: its number in the order of sending.
    ///   - isNew: whether this import has stored it.
    mutating func stored(_ index: Int, at sequence: UInt64, isNew: Bool = true) {
        guard let mark = sent.removeValue(forKey: index) else { return }
        marks[mark - base].isStored = true
        highest = max(highest, sequence)
        if isNew { stored += 1 }
        advance()
    }

    private mutating func advance() {
        while head < marks.count, marks[head].isStored {
            state.lines = marks[head].line
            state.hash = marks[head].hash
            head += 1
        }
        state.sequence = head < marks.count ? marks[head].above : highest
        guard head >= 4_096 else { return }
        marks.removeFirst(head)
        base += head
        head = 0
    }
}
