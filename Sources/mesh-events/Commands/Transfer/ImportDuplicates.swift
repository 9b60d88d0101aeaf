import MeshEvents

/// The lines that the stream acknowledged as duplicates. The message ids follow from the lines, so another client with
/// the file could have used them for other messages. So the stream's messages are read and compared. A pure value.
struct ImportDuplicates: Sendable {
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
