import MeshEvents
import NATSClient

/// Decides where to ask for the next match, so that a range is read from one of its ends on. It keeps everything found,
/// also matches behind places whose answers are still missing. A pure value.
///
/// The answer to a request from a sequence on is the next match: nothing lies between. So each answer closes a part of
/// the range, and open parts are requested from the near end on. When every message matches, each request is for the
/// next sequence. When few do, requests are so far apart that two of them seldom bring the same match.
struct ReadingPlan {
    /// Which end of the range is the near one.
    enum Order: Sendable {
        case oldestFirst, newestFirst
    }

    /// A part of the range of which nothing is known.
    private struct Gap {
        var lower: UInt64
        var upper: UInt64
        /// Whether a request from `lower` on is under way.
        var isAsked = false
    }

    /// The result of a reading: complete from the near end of the range up to a place.
    struct Part: Sendable {
        /// The matches, oldest first.
        var messages: [StreamMessage]
        /// How far everything is known: all before it; when the newest come first, all from it on.
        var reached: UInt64
    }

    /// How many distances are kept.
    private static let mostDistances = 32
    /// How many bytes may come twice in any case.
    private static let spareBytes = 16 << 10
    /// The width of a piece at the end of the range while the density of the matches is unknown.
    private static let firstWidth: UInt64 = 64

    let order: Order
    /// How many requests are under way at once.
    private(set) var pace: RequestPace
    private(set) var underWay = 0
    /// The last request that was sent while no other was under way.
    private var lone: UInt64?
    private let lower: UInt64
    private(set) var end: UInt64
    /// Everything below it is known, also where it lies behind `end`.
    private var known: UInt64
    private var gaps: [Gap]
    /// The matches at the near end, the nearest first, without a gap before them.
    private var whole: [StreamMessage] = []
    private var wholeBytes = 0
    /// The matches behind a gap, oldest first.
    private var ahead: [StreamMessage] = []
    /// How far the last answers were from the start of their requests, in sequences.
    private var distances: [Double]
    private var receivedBytes = 0
    private var repeatedBytes = 0

    /// - Parameters:
    ///   - range: the sequences.
    ///   - order: which end is the near one.
    ///   - distance: how far apart matches are, when known.
    ///   - size: how many bytes a message takes, when known.
    init(_ range: Range<UInt64>, _ order: Order, distance: Double? = nil, size: Int? = nil) {
        self.order = order
        lower = range.lowerBound
        (end, known) = (range.upperBound, range.upperBound)
        gaps = range.isEmpty ? [] : [Gap(lower: range.lowerBound, upper: range.upperBound)]
        distances = distance.map { Array(repeating: max($0, 1), count: Self.mostDistances / 2) } ?? []
        pace = RequestPace(size: size)
    }

    /// Makes a plan for a stream; it assumes messages of the stream's average size.
    init(_ range: Range<UInt64>, _ order: Order, of stream: StreamInformation, matching pattern: EventPattern?) {
        let state = stream.state
        let matchesAll = pattern.map { JetStreamStore.matchesAll($0, of: stream) } ?? true
        let span = Double(state.lastSequence - min(state.firstSequence, state.lastSequence)) + 1
        let isKnown = matchesAll && state.messages > 0
        self.init(
            range,
            order,
            distance: isKnown ? span / Double(state.messages) : nil,
            size: state.messages > 0 ? Int(clamping: state.bytes / state.messages) : nil
        )
    }

    /// How far everything is known from the near end on.
    var reached: UInt64 {
        switch order {
        case .oldestFirst: min(gaps.first?.lower ?? end, end)
        case .newestFirst: gaps.last?.upper ?? lower
        }
    }

    /// Whether the whole range is known.
    var isDone: Bool { gaps.isEmpty }

    /// Whether there are matches at the near end.
    var hasMessages: Bool { !whole.isEmpty }

    /// The lowest sequence that was read and not taken yet.
    var firstHeld: UInt64? { [ahead.first, whole.first, whole.last].compactMap { $0?.sequence }.min() }

    /// Extends the range, because the stream has grown.
    mutating func extend(to newEnd: UInt64) {
        guard newEnd > end else { return }
        let start = max(end, known)
        end = newEnd
        known = max(known, newEnd)
        if start < newEnd { gaps.append(Gap(lower: start, upper: newEnd)) }
        settle()
    }

    /// Notes that the stream has nothing below a sequence.
    mutating func skip(below first: UInt64) {
        guard first > lower else { return }
        close(lower..<first)
        settle()
    }

    // MARK: Requests

    /// Where the next request begins; `nil` when no request is due.
    ///
    /// - Parameters:
    ///   - limit: how many matches are wanted at the near end.
    ///   - maximumBytes: about how many bytes of them.
    mutating func next(limit: Int, maximumBytes: Int) -> UInt64? {
        let allowed = distances.isEmpty ? 1 : distances.count * 4
        guard underWay < min(pace.width, allowed), whole.count < limit else { return nil }
        let isForward = order == .oldestFirst
        let found = isForward ? gaps.firstIndex { !$0.isAsked } : gaps.lastIndex { !$0.isAsked }
        guard let index = found, isWanted(index, limit, maximumBytes) else { return nil }
        let gap = gaps[index]
        let width = pieceWidth
        var start = gap.lower
        if gap.upper - gap.lower <= width {
            gaps[index].isAsked = true
        } else {
            let cut = isForward ? gap.lower + width : gap.upper - width
            gaps[index] = Gap(lower: gap.lower, upper: cut, isAsked: isForward)
            gaps.insert(Gap(lower: cut, upper: gap.upper, isAsked: !isForward), at: index + 1)
            if !isForward { start = cut }
        }
        if underWay == 0 { lone = start }
        underWay += 1
        return start
    }

    /// Whether the messages nearer than a gap, read or requested, leave room for those in the gap.
    private func isWanted(_ index: Int, _ limit: Int, _ maximumBytes: Int) -> Bool {
        let isForward = order == .oldestFirst
        let nearer = isForward ? gaps[..<index] : gaps[(index + 1)...]
        var (count, bytes) = (whole.count, wholeBytes)
        let gap = gaps[index]
        for message in ahead where isForward ? message.sequence < gap.lower : message.sequence >= gap.upper {
            count += 1
            bytes += message.payload.count
        }
        for gap in nearer {
            let expected = max(1, Int(min(Double(gap.upper - gap.lower) / (distance ?? 1), 1_024)))
            count += expected
            bytes += expected * min(pace.average ?? 0, 1 << 30)
        }
        return count < limit && (count == 0 || bytes < maximumBytes)
    }

    /// Takes an answer to a request.
    ///
    /// - Parameters:
    ///   - message: the first match at or behind `start`; `nil` when the stream has none.
    ///   - start: where the request began.
    ///   - took: how long it took.
    mutating func answer(_ message: StreamMessage?, to start: UInt64, after took: Duration) {
        if let message {
            let size = message.payload.count
            pace.answered(after: took, size: size, underWay: underWay, wasAlone: start == lone)
        }
        release(start)
        guard let message else {
            note(distance: Double(end - min(start, end)) * 4)
            close(start..<max(start, known))
            return settle()
        }
        let (sequence, size) = (message.sequence, message.payload.count)
        note(distance: Double(sequence - start) + 1)
        receivedBytes += size
        let isNew = sequence >= known || gaps.contains { $0.lower <= sequence && sequence < $0.upper }
        let isKept = isNew && (sequence < end || order == .oldestFirst)
        if isKept {
            ahead.insert(message, at: (ahead.lastIndex { $0.sequence < sequence } ?? -1) + 1)
        } else {
            repeatedBytes += size
        }
        close(start..<sequence.nextSequence)
        settle()
    }

    /// Notes that a request has failed.
    mutating func fail(_ start: UInt64) { release(start) }

    /// Makes fewer requests at once, because some were not answered in time.
    mutating func slowDown() { pace.hasFailed() }

    /// Takes the matches at the near end.
    mutating func take(_ limit: Int = .max) -> Part {
        let isCut = whole.count > limit
        let messages = isCut ? Array(whole.prefix(limit)) : whole
        whole.removeFirst(messages.count)
        wholeBytes = whole.reduce(0) { $0 + $1.payload.count }
        switch order {
        case .oldestFirst:
            let last = messages.last?.sequence.nextSequence
            return Part(messages: messages, reached: isCut ? last ?? reached : reached)
        case .newestFirst:
            return Part(messages: messages.reversed(), reached: isCut ? messages.last?.sequence ?? reached : reached)
        }
    }

    // MARK: Parts

    /// How far apart matches are; `nil` as long as that is not known.
    private var distance: Double? {
        distances.isEmpty ? nil : distances.reduce(0, +) / Double(distances.count)
    }

    /// How many sequences are read by requests one after the other. Its last request brings the first match of the next
    /// piece once more. Pieces with more matches bring fewer messages twice; pieces with fewer are read sooner.
    private var pieceWidth: UInt64 {
        guard let distance else { return order == .oldestFirst ? .max : Self.firstWidth }
        guard distance > 1.15 else { return 1 }
        let matches: Double = repeatedBytes > Self.spareBytes + receivedBytes / 8 ? 8 : 2
        return UInt64(min(distance * matches, 1e15))
    }

    private mutating func note(distance: Double) {
        if distances.count == Self.mostDistances { distances.removeFirst() }
        distances.append(max(distance, 1))
    }

    private mutating func release(_ start: UInt64) {
        underWay -= 1
        if lone == start { lone = nil }
        if let index = gaps.firstIndex(where: { $0.lower == start && $0.isAsked }) { gaps[index].isAsked = false }
    }

    /// Notes that everything in a range is known.
    private mutating func close(_ range: Range<UInt64>) {
        if range.lowerBound <= known { known = max(known, range.upperBound) }
        gaps = gaps.flatMap { gap -> [Gap] in
            guard gap.lower < range.upperBound, range.lowerBound < gap.upper else { return [gap] }
            var left: [Gap] = []
            if gap.lower < range.lowerBound {
                left.append(Gap(lower: gap.lower, upper: range.lowerBound, isAsked: gap.isAsked))
            }
            if range.upperBound < gap.upper { left.append(Gap(lower: range.upperBound, upper: gap.upper)) }
            return left
        }
    }

    /// Moves matches that have no gap before them any more to `whole`.
    private mutating func settle() {
        let reached = reached
        let count =
            switch order {
            case .oldestFirst: ahead.firstIndex { $0.sequence >= reached } ?? ahead.count
            case .newestFirst: ahead.count - (ahead.firstIndex { $0.sequence >= reached } ?? ahead.count)
            }
        guard count > 0 else { return }
        switch order {
        case .oldestFirst:
            append(ahead.prefix(count))
            ahead.removeFirst(count)
        case .newestFirst:
            append(ahead.suffix(count).reversed())
            ahead.removeLast(count)
        }
    }

    private mutating func append(_ messages: some Sequence<StreamMessage>) {
        for message in messages {
            whole.append(message)
            wholeBytes += message.payload.count
        }
    }
}

/// Decides how many requests are under way at once, by how long answers take. A pure value.
///
/// While answers come about as soon as a single one would, more requests do no harm. When answers take longer, they
/// wait for each other on the link or at the server, and more requests would only wait longer.
struct RequestPace {
    /// The most requests under way at once.
    static let most = 64
    /// How many requests there are at first.
    private static let first = 16
    /// How many bytes of answers should be under way at first, when the size of messages is known.
    private static let firstBytes = 64 << 10
    /// How many bytes of answers may be under way.
    private static let mostBytes = 1 << 20
    /// Up to this average wait for other answers, the number of requests grows.
    private static let waitAllowed = Duration.milliseconds(250)
    /// From this average wait on, the number of requests shrinks.
    private static let waitTolerated = Duration.seconds(1)
    /// How many bytes an answer has beside the message.
    private static let answerSize = 256

    /// How many requests may be under way.
    private(set) var width: Int
    /// How long the quickest answer took: it did not wait for others.
    private(set) var quickest: Duration?
    /// How many bytes a message takes; `nil` as long as unknown.
    private(set) var average: Int?
    /// The answers since `width` was last checked.
    private var round = (count: 0, took: Duration.zero, isFull: false)
    /// How many answers are still to come from the time with more requests.
    private var left = 0

    /// - Parameter size: how many bytes a message takes; `nil` when unknown.
    init(size: Int? = nil) {
        average = size
        width = size.map { min(max(Self.firstBytes / Self.answer($0), 1), Self.first) } ?? Self.first
    }

    /// Takes an answer into account.
    ///
    /// - Parameters:
    ///   - took: how long after its request it came.
    ///   - size: how many bytes its message takes.
    ///   - underWay: how many requests were under way, including this one.
    ///   - wasAlone: whether no other was under way when it was sent: then `took` is how long an answer takes now.
    mutating func answered(after took: Duration, size: Int, underWay: Int, wasAlone: Bool) {
        // Larger messages count at once: too many of them on the way make the server take the client for a slow consumer.
        average = average.map { max(($0 * 7 + size) / 8, size) } ?? size
        width = min(width, largestWidth)
        quickest = wasAlone ? took : min(quickest ?? took, took)
        guard left == 0 else { return left -= 1 }
        round.count += 1
        round.took += took
        round.isFull = round.isFull || underWay >= width
        guard round.count >= width, let quickest else { return }
        let waited = round.took / round.count - quickest
        if waited > Self.waitTolerated {
            let factor = (Self.waitTolerated / 2) / waited
            width = max(1, min(width - 1, Int(Double(width) * factor)))
            left = underWay - 1
        } else if waited < Self.waitAllowed, round.isFull {
            width *= 2
        }
        width = min(width, largestWidth)
        round = (0, .zero, false)
    }

    /// Halves the number of requests, because some were not answered in time.
    mutating func hasFailed() {
        width = max(1, width / 2)
        (round, left) = ((0, .zero, false), 0)
    }

    /// How many requests may be under way for messages of the present size.
    private var largestWidth: Int { min(Self.most, max(1, Self.mostBytes / Self.answer(average ?? 0))) }

    /// The size of an answer in bytes: messages come as base64 in JSON.
    private static func answer(_ size: Int) -> Int { size / 3 * 4 + answerSize }
}
