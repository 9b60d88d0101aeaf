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
