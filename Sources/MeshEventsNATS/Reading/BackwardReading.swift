import MeshEvents

/// The state of a reading backwards from an end; a pure value.
///
/// Messages come in forward order. So a start before the end is chosen such that the messages from there on fill what
/// is wanted, and they are read as one piece. A piece that is interrupted is kept, and reading goes on in it.
struct BackwardReading {
    /// Messages below the end; those from `next` on are still to come.
    private struct Piece {
        /// Every match from here up to `next` is in it.
        var start: UInt64
        /// The sequence at which reading goes on.
        var next: UInt64
        /// How many messages it should have.
        let wanted: Int
        var messages: [StoredMessage] = []
        var bytes = 0

        mutating func dropFirst(_ count: Int) {
            guard count > 0 else { return }
            bytes -= messages.prefix(count).reduce(0) { $0 + BackwardReading.size($1) }
            messages.removeFirst(count)
            start = messages.first?.sequence ?? next
        }

        /// Drops the first messages until the others take at most this many bytes, or one is left.
        mutating func drop(downTo most: Int) {
            var (count, left) = (0, bytes)
            while left > most, count < messages.count - 1 {
                left -= BackwardReading.size(messages[count])
                count += 1
            }
            dropFirst(count)
        }
    }

    /// How many bytes are read before the size of the messages is known.
    private static let firstBytes = 1 << 20

    private let limit: Int
    private let maximumBytes: Int
    private let before: UInt64?
    /// When the stream was created; `nil` before the first look, and when the server does not say.
    private(set) var created: Timestamp?
    /// Counts the messages that come; while it grows, there is no reason to give up.
    private(set) var progress = 0
    private var hasBegun = false
    /// The first sequence of the stream.
    private var lower: UInt64 = 1
    /// The sequence after the stream's last.
    private var streamEnd: UInt64 = 1
    /// Every match from here on, up to the end of the reading, is in `messages`.
    private var end: UInt64 = 1
    private var messages: [StoredMessage] = []
    private var bytes = 0
    private var piece: Piece?
    /// How many bytes a message takes: at first the average of the stream.
    private var average = 1
    private var isAverageKnown = false
    /// Whether a piece had far fewer messages than sequences: the stream has holes, so counts say where to begin.
    private(set) var isSparse = false

    /// - Parameters:
    ///   - limit: how many messages are wanted at most.
    ///   - maximumBytes: about how many bytes of messages are wanted.
    ///   - before: where the reading ends; `nil` for the end of the stream.
    init(limit: Int, maximumBytes: Int, before: UInt64?) {
        self.limit = limit
        self.maximumBytes = maximumBytes
        self.before = before
    }

    // MARK: What to read

    /// Takes over where the stream begins and ends.
    ///
    /// - Returns: `false` when the stream was created again, so that nothing may be read from it.
    mutating func look(at state: StreamState) -> Bool {
        guard !hasBegun || created == state.created else { return false }
        lower = max(state.firstSequence, 1)
        streamEnd = state.lastSequence.nextSequence
        guard !hasBegun else { return true }
        hasBegun = true
        created = state.created
        end = min(before ?? .max, streamEnd)
        if state.messages > 0 { average = max(Int(clamping: state.bytes / state.messages), 1) }
        return true
    }

    /// Whether everything wanted has come.
    var isDone: Bool { hasBegun && (messages.count >= limit || isFull || end <= lower) }

    /// Whether another message would probably exceed the bytes.
    private var isFull: Bool { !messages.isEmpty && maximumBytes - bytes < average && maximumBytes < .max }

    /// The sequences that may hold the missing messages.
    var range: Range<UInt64> { lower..<max(end, lower) }

    /// Whether ``range`` ends where the stream does.
    var isAtEnd: Bool { end == streamEnd }

    /// The sequence at which a piece is read on; `nil` when a new piece must begin.
    var next: UInt64? { piece?.next }

    /// How many messages the next piece should have.
    var wanted: Int { min(limit - messages.count, max(room / average, 1)) }

    /// How many messages a search for a piece may find at most. It may find more than are wanted, about a megabyte of
    /// them: an exact search needs more requests.
    var foundAtMost: UInt64 {
        let (wanted, spare) = (UInt64(wanted), UInt64(min(room / 4, 1 << 20) / average))
        return wanted + min(max(spare, 1), wanted + 64)
    }

    /// How many messages are missing, without regard to bytes.
    var missing: Int { limit - messages.count }

    /// How many bytes are read before ``take(_:isWhole:expected:)`` has to look at what has come.
    var readBytes: Int {
        guard maximumBytes < .max else { return .max }
        return isAverageKnown ? min(room, 1 << 40) * 3 / 2 : min(room, Self.firstBytes)
    }

    /// The messages read. It is cut short when it has fewer than the limit and there may be more before them.
    var part: StoredPart {
        StoredPart(messages: messages, isCutShort: messages.count < limit && end > lower, created: created)
    }

    /// For how many bytes there is room; at least 1.
    var room: Int { max(maximumBytes - bytes, 1) }

    // MARK: What has come

    /// Begins a piece at a sequence.
    mutating func begin(at start: UInt64) { piece = Piece(start: start, next: start, wanted: wanted) }

    /// Takes messages of the piece.
    ///
    /// - Parameters:
    ///   - new: the messages, oldest first.
    ///   - isWhole: whether nothing lies between them and the end.
    ///   - expected: how many were to come, as far as known.
    mutating func take(_ new: [StoredMessage], isWhole: Bool, expected: UInt64) {
        guard var piece else { return }
        let wasGuessed = !isAverageKnown
        progress += new.count
        piece.messages += new
        piece.bytes += new.reduce(0) { $0 + Self.size($1) }
        if let last = new.last { piece.next = last.sequence.nextSequence }
        if !piece.messages.isEmpty { (average, isAverageKnown) = (max(piece.bytes / piece.messages.count, 1), true) }
        // There were more than expected.
        piece.dropFirst(piece.messages.count - (limit - messages.count))
        if isWhole, UInt64(new.count) * 2 < expected { isSparse = true }
        guard !isWhole, piece.next < end else {
            messages = piece.messages + messages
            bytes += piece.bytes
            end = piece.start
            self.piece = nil
            return
        }
        let left = min(expected - min(UInt64(new.count), expected), end - piece.next)
        let fitting = max(room / average, 1)
        if UInt64(fitting) < left, wasGuessed || fitting <= piece.wanted / 2 {
            // The newer ones alone fill the room, so only those are read. After the first time that is at most half as
            // many.
            self.piece = nil
        } else {
            piece.drop(downTo: room)
            self.piece = piece
        }
    }

    /// Takes the newest matches of ``range``, read without a consumer: all from a sequence on.
    mutating func take(_ found: [StoredMessage], from reached: UInt64) {
        progress += found.count
        piece = nil
        let size = found.reduce(0) { $0 + Self.size($1) }
        if !found.isEmpty { (average, isAverageKnown) = (max(size / found.count, 1), true) }
        messages = found + messages
        bytes += size
        end = min(end, reached)
    }

    private static func size(_ message: StoredMessage) -> Int { message.payload.count + message.subject.utf8.count }
}
