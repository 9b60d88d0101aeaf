import MeshEvents

/// How far a reading from an end backwards has come. Messages come forwards: what is missing before the end is chosen so
/// that it will fill what is wanted, and read as a piece. A piece that is interrupted is kept, and read on. A pure value.
struct BackwardReading {
    /// Messages below the end, of which those behind `next` are still to come.
    private struct Piece {
        /// Every match from here up to `next` is in it.
        var start: UInt64
        /// Where it is read on.
        var next: UInt64
        /// How many messages it was to have.
        let wanted: Int
        var messages: [StoredMessage] = []
        var bytes = 0

        mutating func dropFirst(_ count: Int) {
            guard count > 0 else { return }
            bytes -= messages.prefix(count).reduce(0) { $0 + BackwardReading.size($1) }
            messages.removeFirst(count)
            start = messages.first?.sequence ?? next
        }

        /// Drops the first ones until the others take no more than so many bytes, or one is left.
        mutating func drop(downTo most: Int) {
            var (count, left) = (0, bytes)
            while left > most, count < messages.count - 1 {
                left -= BackwardReading.size(messages[count])
                count += 1
            }
            dropFirst(count)
        }
    }

    /// What is read before the size of the messages is known, in bytes.
    private static let firstBytes = 1 << 20

    private let limit: Int
    private let maximumBytes: Int
    private let before: UInt64?
    /// When the stream was created; `nil` before the first look, and when the server does not say.
    private(set) var created: Timestamp?
    /// Counts what comes; while it grows, there is no reason to give up.
    private(set) var progress = 0
    private var hasBegun = false
    /// The first sequence that the stream has.
    private var lower: UInt64 = 1
    /// One behind the last sequence that the stream has.
    private var streamEnd: UInt64 = 1
    /// Every match from here on, up to the end of the reading, is in `messages`.
    private var end: UInt64 = 1
    private var messages: [StoredMessage] = []
    private var bytes = 0
    private var piece: Piece?
    /// What a message takes: at first what those of the stream take.
    private var average = 1
    private var isAverageKnown = false

    /// - Parameters:
    ///   - limit: how many messages are wanted at most.
    ///   - maximumBytes: about how many bytes of them.
    ///   - before: where the reading ends; `nil` for the end of the stream.
    init(limit: Int, maximumBytes: Int, before: UInt64?) {
        self.limit = limit
        self.maximumBytes = maximumBytes
        self.before = before
    }

    // MARK: What to read

    /// Takes over where the stream begins and ends.
    ///
    /// - Returns: `false` when it is another stream than before, of which nothing may be read.
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

    /// Whether all that is wanted is there.
    var isDone: Bool { hasBegun && (messages.count >= limit || isFull || end <= lower) }

    /// Whether another message would be too much, as far as can be told.
    private var isFull: Bool { !messages.isEmpty && maximumBytes - bytes < average && maximumBytes < .max }

    /// The sequences that may hold what is missing.
    var range: Range<UInt64> { lower..<max(end, lower) }

    /// Whether they end where the stream does.
    var isAtEnd: Bool { end == streamEnd }

    /// Where a piece is read on; `nil` when another one is to be begun.
    var next: UInt64? { piece?.next }

    /// How many messages another piece should have.
    var wanted: Int { min(limit - messages.count, max(room / average, 1)) }

    /// How many messages a search for another piece may find at most: more are read than are wanted, which may take a
    /// megabyte or so; a search that has to be exact asks more.
    var foundAtMost: UInt64 {
        let (wanted, spare) = (UInt64(wanted), UInt64(min(room / 4, 1 << 20) / average))
        return wanted + min(max(spare, 1), wanted + 64)
    }

    /// How many messages are missing, if there is room for them.
    var missing: Int { limit - messages.count }

    /// How many bytes are read before ``take(_:isWhole:expected:)`` has to look at what has come.
    var readBytes: Int {
        guard maximumBytes < .max else { return .max }
        return isAverageKnown ? min(room, 1 << 40) * 3 / 2 : min(room, Self.firstBytes)
    }

    /// What was read. Whether it is cut short: there may be more before it, although it has fewer than the limit.
    var part: StoredPart {
        StoredPart(messages: messages, isCutShort: messages.count < limit && end > lower, created: created)
    }

    /// How many bytes there is room for; 1 at least.
    var room: Int { max(maximumBytes - bytes, 1) }

    // MARK: What has come

    /// Another piece is read from here on.
    mutating func begin(at start: UInt64) { piece = Piece(start: start, next: start, wanted: wanted) }

    /// Takes what has come of the piece.
    ///
    /// - Parameters:
    ///   - new: the messages, oldest first.
    ///   - isWhole: whether there is nothing between them and the end.
    ///   - expected: how many were to come, as far as was known.
    mutating func take(_ new: [StoredMessage], isWhole: Bool, expected: UInt64) {
        guard var piece else { return }
        let wasGuessed = !isAverageKnown
        progress += new.count
        piece.messages += new
        piece.bytes += new.reduce(0) { $0 + Self.size($1) }
        if let last = new.last { piece.next = last.sequence.nextSequence }
        if !piece.messages.isEmpty { (average, isAverageKnown) = (max(piece.bytes / piece.messages.count, 1), true) }
        // There were more than was thought.
        piece.dropFirst(piece.messages.count - (limit - messages.count))
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
            // The newer ones alone fill the room: only those are read. After the first time that is half as many at most.
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
