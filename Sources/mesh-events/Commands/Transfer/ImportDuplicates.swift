import MeshEvents

/// Lines whose message id the stream had when they were sent. The ids follow from the lines, so whoever has the file
/// could have used them for other messages: what the stream has is read and compared. A pure value.
struct ImportDuplicates: Sendable {
    /// When what waits to be compared should be: by count and by bytes.
    private static let limit = (lines: 1_024, bytes: 16 << 20)

    /// A line under way, or to be compared.
    struct Line: Sendable {
        let number: Int
        let message: PendingMessage
    }

    /// A line, by its number in the order of sending, and the sequence that the stream answered.
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

    /// A line is about to be sent.
    mutating func sending(_ line: Line) {
        underWay[sent] = line
        sent += 1
    }

    /// A line is acknowledged; whether it is known to be stored.
    mutating func acknowledged(_ index: Int, _ position: StoredPosition) -> Bool {
        guard let line = underWay.removeValue(forKey: index), position.isDuplicate else { return true }
        doubts.append(Doubt(index: index, line: line, sequence: position.sequence))
        bytes += line.message.payload.count
        return false
    }

    /// Keeps what could not be compared.
    mutating func giveBack(_ doubts: [Doubt]) {
        self.doubts += doubts
        bytes += doubts.reduce(0) { $0 + $1.line.message.payload.count }
    }

    /// What is to be compared, in the stream's order; it is no longer kept here.
    mutating func take() -> [Doubt] {
        defer { (doubts, bytes) = ([], 0) }
        return doubts.sorted { $0.sequence < $1.sequence }
    }
}

extension ImportDuplicates {
    /// What the stream has where it says a line is.
    enum Finding: Sendable {
        /// The line.
        case same
        /// Another message.
        case another
        /// Nothing any more: the stream's limits, or a purge, have dropped it.
        case gone
    }

    /// How many messages are read at once, and about how many bytes.
    private static let readSize = (messages: 128, bytes: 4 << 20)

    /// Compares lines with what the stream has.
    ///
    /// - Parameter doubts: in the stream's order.
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
