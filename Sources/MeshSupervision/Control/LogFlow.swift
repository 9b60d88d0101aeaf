/// How much of its logs a node has on their way to readers: no more than its link carries in about half a second, so that a
/// health event or an answer never waits long behind logs.
///
/// A reader asks for leave before each chunk, says how long the chunk was, and acknowledges it. From the time between, the
/// flow learns what the link carries. It begins with a little, grows while acknowledgements come quickly, and shrinks to
/// what has arrived in the time allowed when they come late. That is done twice: for all readers together, which share one
/// link, and for each alone, which may have a slower one of its own. Readers that wait take turns.
///
/// A value without a clock: each call gets the time.
struct LogFlow: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What a reader may send now.
    struct Grant: Sendable, Equatable {
        /// How many bytes of records to gather; a single record may have more.
        var bytes: Int
        /// The most bytes of a record; the rest of it is cut.
        var longest: Int
    }

    enum Admission: Sendable, Equatable {
        /// A chunk may be sent; ``LogFlow/sent(_:to:at:)`` says how long it was.
        case send(Grant)
        /// Not yet: ask again when woken, or at this time; `nil` when only the reader's own acknowledgement helps.
        case wait(until: Instant?)
    }

    /// How many chunks a reader may have that it has not acknowledged.
    static let maximumChunks = 4
    /// The bytes of records in a chunk.
    static let chunkBytes = 1_000...48 << 10
    /// The most bytes of a record on a link that was seen to be slow: the longest line of a tool, in most cases.
    static let longestWhenSlow = 16_000
    /// After this time a chunk no longer takes room from other readers: its own reader is slow, or gone.
    static let patience: Duration = .seconds(2)
    /// The longest way to a reader and back; what takes longer has met a queue.
    private static let longestDistance: Duration = .seconds(1)

    private struct Chunk {
        let bytes: Int
        let sent: Instant
        /// How many bytes were sent up to its end.
        let end: Int
        /// How many bytes had passed the link before, and had been acknowledged by all readers and by this one.
        let (passedBefore, nodeBefore, readerBefore): (Int, Int, Int)
        /// Whether nothing else was under way, so that it met no queue.
        let isAlone: Bool
    }

    private struct Reader {
        var window = Window(4_000...5 * LogFlow.chunkBytes.upperBound, from: 8_000, delay: .seconds(1))
        /// The chunks without an acknowledgement, the oldest first.
        var chunks: [Chunk] = []
        /// How many bytes are kept free for a chunk that is being made.
        var reserved = 0
        /// The number of the last chunk that was acknowledged.
        var last: UInt64 = 0
        var acknowledged = 0
        /// The shortest time to an acknowledgement, and that of chunks which met no queue.
        var (shortest, alone): (Duration?, Duration?)
        var owingSince: Instant?
    }

    private var window = Window(2_000...1 << 20, from: 8_000, delay: .milliseconds(500))
    private var readers: [String: Reader] = [:]
    /// The readers that wait for room before the link, the first to wait first.
    private var waiting: [String] = []
    /// What readers that are gone have left on its way.
    private var left: [String: [Chunk]] = [:]
    /// How many bytes were sent so far, how many of them have passed the link for certain, and how many were acknowledged.
    /// The link keeps the order: with a chunk, those before have passed, whether their readers acknowledge them or not.
    private var (sent, passed, acknowledged) = (0, 0, 0)
    /// The shortest time to an acknowledgement.
    private var shortest: Duration?

    /// How many bytes may be on their way to all readers now.
    var limit: Int { window.bytes }

    // MARK: Readers

    /// Takes in a reader that has nothing yet.
    mutating func join(_ reader: String) { readers[reader] = Reader() }

    /// A reader is gone. What is on its way to it takes room until ``forget(_:)``, or for a while.
    ///
    /// - Returns: whether there is such.
    mutating func leave(_ reader: String) -> Bool {
        waiting.removeAll { $0 == reader }
        guard let chunks = readers.removeValue(forKey: reader)?.chunks, !chunks.isEmpty else { return false }
        left[reader] = chunks
        return true
    }

    /// What a reader has left has passed the link.
    mutating func forget(_ reader: String) { left[reader] = nil }

    /// Since when a reader owes an acknowledgement; `nil` when it owes none.
    func owingSince(_ reader: String) -> Instant? { readers[reader]?.owingSince }

    // MARK: Chunks

    /// Whether a reader may send a chunk now. If so, ``sent(_:to:at:)`` has to follow soon: room is kept for it.
    mutating func admit(_ reader: String, at now: Instant) -> Admission {
        window.age(at: now)
        readers[reader]?.window.age(at: now)
        guard let state = readers[reader] else { return .wait(until: nil) }
        let size = chunkSize(for: reader, state, at: now)
        let own = state.chunks.reduce(0) { $0 + $1.bytes }
        guard state.chunks.count < Self.maximumChunks, own == 0 || own + size <= state.window.bytes else {
            waiting.removeAll { $0 == reader }
            return .wait(until: nil)
        }
        guard waiting.first ?? reader == reader, hasRoom(for: size, at: now) else {
            if !waiting.contains(reader) { waiting.append(reader) }
            return .wait(until: nextRoom(at: now))
        }
        waiting.removeAll { $0 == reader }
        let isSlow = window.isSlow || state.window.isSlow
        let longest = isSlow ? Self.longestWhenSlow : Self.chunkBytes.upperBound
        readers[reader]?.reserved = longest
        return .send(Grant(bytes: size, longest: longest))
    }

    /// Notes the chunk that a reader was allowed to send.
    ///
    /// - Parameter bytes: its length; 0 when there was nothing to send.
    mutating func sent(_ bytes: Int, to reader: String, at now: Instant) {
        guard var state = readers[reader] else { return }
        state.reserved = 0
        if bytes > 0 {
            if state.chunks.isEmpty { state.owingSince = now }
            let isAlone = underWay(at: now).isEmpty
            sent += bytes
            state.chunks.append(
                Chunk(
                    bytes: bytes,
                    sent: now,
                    end: sent,
                    passedBefore: passed,
                    nodeBefore: acknowledged,
                    readerBefore: state.acknowledged,
                    isAlone: isAlone
                )
            )
        }
        readers[reader] = state
    }

    /// Notes that a reader has processed the chunk with this number, and those before. Numbers that it cannot mean are
    /// ignored.
    mutating func acknowledge(_ number: UInt64, by reader: String, at now: Instant) {
        guard var state = readers[reader], number > state.last, number - state.last <= UInt64(state.chunks.count) else {
            return
        }
        let chunks = state.chunks.prefix(Int(number - state.last))
        guard let newest = chunks.last else { return }
        let bytes = chunks.reduce(0) { $0 + $1.bytes }
        state.chunks.removeFirst(chunks.count)
        state.last = number
        state.owingSince = state.chunks.isEmpty ? nil : now
        passed = max(passed, newest.end)
        acknowledged += bytes
        state.acknowledged += bytes
        let time = now - newest.sent
        let least = [state.shortest, time, Self.longestDistance].compactMap { $0 }.min() ?? time
        shortest = [shortest, least].compactMap { $0 }.min()
        state.shortest = least
        if newest.isAlone { state.alone = [state.alone, time, Self.longestDistance].compactMap { $0 }.min() }
        state.window.learn(bytes, of: state.acknowledged - newest.readerBefore, in: time, least, at: now)
        // The chunks of one that comes later have all met the queue of the others.
        let distance = state.alone ?? shortest ?? least
        let carried = max(newest.end - newest.passedBefore, acknowledged - newest.nodeBefore)
        window.learn(bytes, of: carried, in: time, distance, at: now)
        readers[reader] = state
    }

    /// The reader that waits for room and may send now. Wake it: it does not know.
    func next(at now: Instant) -> String? {
        guard let first = waiting.first, let state = readers[first] else { return nil }
        return hasRoom(for: chunkSize(for: first, state, at: now), at: now) ? first : nil
    }

    /// A part of the share of each reader that has something to send.
    private func chunkSize(for reader: String, _ state: Reader, at now: Instant) -> Int {
        let others = readers.count { name, other in
            // One that sends little, or acknowledges late, has no use for its share.
            let isQuick = other.chunks.last.map { now - $0.sent < .milliseconds(500) } ?? false
            return name != reader && (isQuick || other.reserved > 0 || waiting.contains(name))
        }
        let fair = min(window.bytes / (others + 1), state.window.bytes) / Self.maximumChunks
        return min(max(fair, Self.chunkBytes.lowerBound), Self.chunkBytes.upperBound)
    }

    private func hasRoom(for bytes: Int, at now: Instant) -> Bool {
        let reserved = readers.values.reduce(0) { $0 + $1.reserved }
        let taken = reserved + underWay(at: now).reduce(0) { $0 + $1.bytes }
        return taken == 0 || taken + bytes <= window.bytes
    }

    /// When the oldest chunk takes no more room.
    private func nextRoom(at now: Instant) -> Instant? { underWay(at: now).map { $0.sent + Self.patience }.min() }

    /// The chunks that may not have passed the link yet.
    private func underWay(at now: Instant) -> [Chunk] {
        let chunks = readers.values.map(\.chunks) + left.values
        return chunks.joined().filter { $0.end > passed && now - $0.sent < Self.patience }
    }
}

/// How many bytes may be on their way, by what has arrived so far.
private struct Window: Sendable {
    /// Without use, it is halved so often, down to where it began: the link may have become another one.
    private static let memory: Duration = .seconds(10)

    private(set) var bytes: Int
    /// Whether the link was seen to be slow, and not to be quick since.
    private(set) var isSlow = false
    private let range: ClosedRange<Int>
    private let start: Int
    /// How long what is on its way may wait.
    private let delay: Duration
    /// When much of what may be on its way was.
    private var used: LogFlow.Instant?

    init(_ range: ClosedRange<Int>, from start: Int, delay: Duration) {
        (self.range, self.start, self.delay, bytes) = (range, start, delay, start)
    }

    /// Learns of an acknowledgement.
    ///
    /// - Parameters:
    ///   - acknowledged: of how many bytes.
    ///   - carried: how many were carried since the newest of them was sent, those included.
    ///   - time: the time since then.
    ///   - shortest: how long it takes without a queue.
    mutating func learn(
        _ acknowledged: Int,
        of carried: Int,
        in time: Duration,
        _ shortest: Duration,
        at now: LogFlow.Instant
    ) {
        let isUsed = carried >= bytes / 4
        if isUsed { used = now }
        if time > shortest + delay {
            let fitting = Int(Double(carried) * ((shortest + delay) / time))
            bytes = max(min(bytes, fitting), range.lowerBound)
            isSlow = true
        } else if time < shortest + delay / 2, isUsed {
            bytes = min(bytes + acknowledged, range.upperBound)
            if bytes >= LogFlow.chunkBytes.upperBound { isSlow = false }
        }
    }

    /// Forgets what was learned long ago.
    mutating func age(at now: LogFlow.Instant) {
        guard let since = used else {
            used = now
            return
        }
        let periods = Int((now - since) / Self.memory)
        guard periods > 0 else { return }
        used = since + Self.memory * periods
        bytes = max(bytes >> min(periods, 32), min(bytes, start))
    }
}
