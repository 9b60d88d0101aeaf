import MeshEvents
import NATSClient

/// Reads a stream message by message, with requests that change nothing on the server: for users who may not create
/// consumers.
///
/// Each request asks for the next match from a sequence on (`next_by_subj`). A range is cut into chunks, and several
/// lanes ask at the same time, so that reading is not bound by the time of a round trip. No range is wider than what it
/// is expected to find, and matches that lie far apart are leapt to: a range without any costs one request.
struct MessageReader: Sendable {
    /// How many requests are under way at once.
    static let lanes = 16
    /// The narrowest range worth a lane of its own, in sequences.
    private static let narrowestChunk: UInt64 = 16
    /// A range has at most one chunk more than this, however wide the stream's sequences are apart.
    private static let mostChunks: UInt64 = 4_096

    let jetStream: JetStream
    let stream: String

    /// What one range held.
    private struct Scan {
        /// The matches, oldest first.
        var messages: [StoredMessage] = []
        /// Where the next match behind the range may be; `nil` when there is none.
        var next: UInt64?
    }

    // MARK: Forward

    /// The first `limit` messages that match, from `start` on, oldest first.
    ///
    /// - Returns: the messages, and whether the stream had no more: then fewer than `limit` may have been found.
    func first(
        _ limit: Int,
        matching pattern: EventPattern,
        from start: UInt64,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> (messages: [StoredMessage], isEnd: Bool) {
        var messages: [StoredMessage] = []
        var cursor = max(start, 1)
        var width = UInt64(min(max(limit, 1), 1_024))
        while messages.count < limit {
            // The one request that leaps over what does not match.
            guard let next = try await message(from: cursor, matching: pattern, deadline: deadline) else {
                return (messages, true)
            }
            messages.append(next)
            cursor = next.sequence &+ 1
            guard messages.count < limit, cursor > 0 else { break }
            let wanted = limit - messages.count
            let scan = try await scan(cursor..<cursor.addingClamped(width), matching: pattern, deadline: deadline)
            messages += scan.messages
            // What is beyond the limit is there, too.
            guard let reached = scan.next else { return (Array(messages.prefix(limit)), messages.count <= limit) }
            cursor = reached
            width = Self.width(wanted, found: scan.messages.count, in: width)
        }
        return (Array(messages.prefix(limit)), false)
    }

    /// The first sequence whose message was stored at `time` or later; the stream's next when there is none. Halves
    /// the stream: a few dozen requests, however large it is.
    func sequence(
        at time: Timestamp,
        in stream: StreamInformation,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> UInt64 {
        let last = stream.state.lastSequence
        var (low, high) = (max(stream.state.firstSequence, 1), last == .max ? last : last + 1)
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try await message(from: middle, matching: nil, deadline: deadline),
                found.sequence < high
            else {
                high = middle
                continue
            }
            if found.storedAt < time { low = found.sequence + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Backward

    /// The newest `limit` messages that match in a range, oldest first.
    func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        in range: Range<UInt64>,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StoredMessage] {
        var messages: [StoredMessage] = []
        var high = range.upperBound
        var width = UInt64(clamping: limit).addingClamped(UInt64(clamping: limit / 8 + 16))
        while messages.count < limit, high > range.lowerBound {
            let low = high - min(width, high - range.lowerBound)
            guard let first = try await message(from: low, matching: pattern, deadline: deadline),
                first.sequence < high
            else {
                high = low
                width = width.multipliedClamped(16)
                continue
            }
            let wanted = limit - messages.count
            let found = try await descend(first.sequence..<high, wanted, matching: pattern, deadline: deadline)
            messages = found + messages
            width = Self.width(limit - min(limit, messages.count), found: found.count, in: high - low)
            high = low
        }
        return Array(messages.suffix(limit))
    }

    // MARK: Ranges

    /// Every match in a range, oldest first.
    private func scan(
        _ range: Range<UInt64>,
        matching pattern: EventPattern,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> Scan {
        let size = range.upperBound - range.lowerBound
        let chunks = Self.chunks(of: range, width: size / UInt64(Self.lanes))
        let scans = try await each(chunks, matching: pattern, deadline: deadline) { _ in false }
        return Scan(messages: scans.flatMap(\.messages), next: scans.last?.next ?? nil)
    }

    /// The newest matches of a range, at least `limit` if it has as many: chunks from the top down, until that is so.
    private func descend(
        _ range: Range<UInt64>,
        _ limit: Int,
        matching pattern: EventPattern,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StoredMessage] {
        let size = range.upperBound - range.lowerBound
        let most = UInt64(clamping: limit).multipliedClamped(4).addingClamped(64)
        let chunks = Self.chunks(of: range, width: min(size / UInt64(Self.lanes), most)).reversed()
        let scans = try await each(Array(chunks), matching: pattern, deadline: deadline) { $0 >= limit }
        return scans.reversed().flatMap(\.messages)
    }

    /// Scans chunks in their order, several at a time; begins no more once those begun are known to hold enough.
    private func each(
        _ chunks: [Range<UInt64>],
        matching pattern: EventPattern,
        deadline: ContinuousClock.Instant,
        isEnough: (_ found: Int) -> Bool
    ) async throws(JetStreamError) -> [Scan] {
        let results = await withTaskGroup(of: (Int, Result<Scan, JetStreamError>).self) { group in
            var scans: [Int: Scan] = [:]
            var begun = 0
            var found = 0
            while begun < min(Self.lanes, chunks.count) {
                let number = begun
                group.addTask { (number, await self.result(chunks[number], matching: pattern, deadline: deadline)) }
                begun += 1
            }
            while let (number, result) = await group.next() {
                switch result {
                case .success(let scan):
                    scans[number] = scan
                    found += scan.messages.count
                case .failure(let error):
                    group.cancelAll()
                    return Result<[Scan], JetStreamError>.failure(error)
                }
                guard begun < chunks.count, !isEnough(found) else { continue }
                let next = begun
                group.addTask { (next, await self.result(chunks[next], matching: pattern, deadline: deadline)) }
                begun += 1
            }
            return .success(scans.sorted { $0.key < $1.key }.map(\.value))
        }
        return try results.get()
    }

    private func result(
        _ chunk: Range<UInt64>,
        matching pattern: EventPattern,
        deadline: ContinuousClock.Instant
    ) async -> Result<Scan, JetStreamError> {
        do throws(JetStreamError) {
            var scan = Scan(next: chunk.lowerBound)
            while let cursor = scan.next, chunk.contains(cursor) {
                let found = try await message(from: cursor, matching: pattern, deadline: deadline)
                guard let found, chunk.contains(found.sequence) else {
                    scan.next = found?.sequence
                    break
                }
                scan.messages.append(found)
                scan.next = found.sequence + 1
            }
            return .success(scan)
        } catch {
            return .failure(error)
        }
    }

    /// A range in pieces of about this width; never more than ``mostChunks``.
    private static func chunks(of range: Range<UInt64>, width: UInt64) -> [Range<UInt64>] {
        let size = range.upperBound - range.lowerBound
        let width = max(narrowestChunk, width, size / mostChunks)
        var chunks: [Range<UInt64>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(start.addingClamped(width), range.upperBound)
            chunks.append(start..<end)
            start = end
        }
        return chunks
    }

    /// How wide a range is that holds about as many matches as are wanted, when the last one held `found`.
    private static func width(_ wanted: Int, found: Int, in width: UInt64) -> UInt64 {
        let estimate = Double(width) * (Double(wanted) * 1.25 + 16) / (Double(found) + 0.5)
        return UInt64(min(max(estimate, 16), Double(width) * 16, 1e15))
    }

    // MARK: One message

    private func message(
        from sequence: UInt64,
        matching pattern: EventPattern?,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> StoredMessage? {
        guard .now < deadline else {
            throw JetStreamError(.timeout, "the messages did not arrive before the deadline")
        }
        let found = try await jetStream.message(
            atOrAfter: sequence,
            matching: pattern?.subject ?? ">",
            on: stream,
            timeout: JetStreamStore.remaining(deadline)
        )
        guard let found else { return nil }
        // Asked for from there on: anything else would be read for ever.
        guard found.sequence >= sequence else {
            throw JetStreamError(
                .invalidAnswer,
                "asked for a message from sequence \(sequence) on, the server answered sequence \(found.sequence)"
            )
        }
        return try StoredMessage(found)
    }
}

extension StoredMessage {
    fileprivate init(_ message: StreamMessage) throws(JetStreamError) {
        guard let time = try? Timestamp(rfc3339: message.time) else {
            throw JetStreamError(
                .invalidAnswer,
                "the server's time of a message is none: \(message.time.debugDescription)"
            )
        }
        self.init(
            subject: message.subject,
            payload: message.payload,
            sequence: message.sequence,
            storedAt: time,
            headers: message.headerBlock.withUnsafeBytes { MessageHeaders(block: $0) }
        )
    }
}

extension UInt64 {
    fileprivate func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    fileprivate func multipliedClamped(_ factor: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
