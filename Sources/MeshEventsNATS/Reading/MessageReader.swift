import MeshEvents
import NATSClient

/// Reads a stream message by message, with requests that change nothing on the server: for users who may not create
/// consumers.
///
/// Each request asks for the next match from a sequence on (`next_by_subj`). A range is cut into chunks, one a lane, and
/// the lanes ask at the same time, so that reading is not bound by the time of a round trip. What is handed over is what
/// lies before the first chunk that was not read to its end: it is complete up to there, whatever became of the others.
struct MessageReader: Sendable {
    /// The most requests under way at once.
    static let mostLanes = 64
    /// How many there are as long as the size of messages is not known.
    static let firstLanes = 16
    /// How many bytes of answers are to be under way: more would wait for each other on a slow link.
    private static let bytesUnderWay = 1 << 20
    /// The narrowest range worth a lane of its own, in sequences.
    private static let narrowestChunk: UInt64 = 4
    /// A range has at most one chunk more than this, however wide the stream's sequences are apart.
    private static let mostChunks: UInt64 = 4_096
    /// How long one message may take; a connection that is lost is noticed without it.
    private static let messageTimeout: Duration = .seconds(30)

    let jetStream: JetStream
    let stream: String
    /// How many requests to begin with.
    var lanes = Self.firstLanes

    /// What was read of a range.
    struct Reading: Sendable {
        /// The matches below ``reached``, oldest first.
        fileprivate(set) var messages: [StreamMessage] = []
        /// All below has been looked at.
        fileprivate(set) var reached: UInt64
        /// How many requests to go on with.
        fileprivate(set) var lanes: Int

        fileprivate mutating func append(_ message: StreamMessage) {
            messages.append(message)
            reached = message.sequence.nextSequence
        }
    }

    /// What one lane found.
    private struct Scan {
        let chunk: Range<UInt64>
        var messages: [StreamMessage] = []
        /// All below has been looked at; beyond the chunk's end when nothing lies between.
        var reached: UInt64
        var error: JetStreamError?

        var isComplete: Bool { reached >= chunk.upperBound }
    }

    // MARK: Forward

    /// The first `limit` messages of a range that match.
    ///
    /// - Parameters:
    ///   - limit: how many messages at most.
    ///   - pattern: which messages; `nil` for all, events or not.
    ///   - range: the sequences; its end has to be in the stream already, so that what comes meanwhile is not taken for
    ///     a part of it.
    ///   - pause: when to hand over what there is, if there is something; `nil` to go on to the end.
    ///   - deadline: when to give up.
    func read(
        _ limit: Int,
        matching pattern: EventPattern?,
        in range: Range<UInt64>,
        until pause: ContinuousClock.Instant? = nil,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> Reading {
        var reading = Reading(reached: range.lowerBound, lanes: lanes)
        var width = UInt64(min(max(limit, 1), 1_024))
        while reading.messages.count < limit, reading.reached < range.upperBound {
            if let pause, !reading.messages.isEmpty, .now >= pause { break }
            let (begin, known) = (reading.reached, reading.messages.count)
            do throws(JetStreamError) {
                // The one request that leaps over what does not match.
                let next = try await message(from: begin, matching: pattern, deadline: deadline)
                guard let next, next.sequence < range.upperBound else {
                    reading.reached = range.upperBound
                    break
                }
                reading.append(next)
                let end = min(reading.reached.addingClamped(width), range.upperBound)
                guard reading.messages.count < limit, reading.reached < end else { continue }
                let wanted = limit - reading.messages.count
                let start = reading.reached
                let error = await scan(start..<end, wanted, matching: pattern, pause, deadline, into: &reading)
                let found = reading.messages.count - known
                let size = reading.reached - start
                width = Self.width(limit - reading.messages.count, found: found, in: size, last: width)
                if let error { throw error }
            } catch {
                let hasMoved = reading.messages.count > known
                let isSlow = error.kind == .timeout && .now < deadline
                if pause != nil, !reading.messages.isEmpty {
                    reading.lanes = max(1, reading.lanes / 2)
                    break
                }
                guard isSlow, hasMoved || reading.lanes > 1 else { throw error }
                reading.lanes = max(1, reading.lanes / 2)
            }
        }
        if reading.messages.count > limit {
            reading.messages.removeLast(reading.messages.count - limit)
            reading.reached = reading.messages.last?.sequence.nextSequence ?? range.lowerBound
        }
        return reading
    }

    /// The first sequence whose message was stored at `time` or later; the stream's next when there is none. Halves
    /// the stream: a few dozen requests, however large it is.
    func sequence(
        at time: Timestamp,
        in stream: StreamInformation,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> UInt64 {
        var (low, high) = (max(stream.state.firstSequence, 1), stream.state.lastSequence.nextSequence)
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try await message(from: middle, matching: nil, deadline: deadline),
                found.sequence < high
            else {
                high = middle
                continue
            }
            if try StoredMessage(found).storedAt < time { low = found.sequence + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Backward

    /// Reads the newest matches, until there are as many as are wanted. What came before an error is kept, and the error only
    /// thrown when nothing came.
    func newest(
        _ reading: inout BackwardReading,
        matching pattern: EventPattern,
        patience: Duration
    ) async throws(JetStreamError) {
        let begun = reading.progress
        do throws(JetStreamError) {
            while !reading.isDone {
                let count = reading.wantedAtOnce
                // Requests that are lost with their connection are noticed by time: fewer are made while there is some left.
                let deadline = ContinuousClock.now + (count > 1 ? patience / 4 : patience)
                let found = try await newest(count, matching: pattern, in: reading.range, deadline: deadline)
                reading.take(try StoredMessage.all(found), of: count)
            }
        } catch {
            reading.hasFailed()
            guard reading.progress > begun else { throw error }
        }
    }

    /// The newest `limit` messages that match in a range, oldest first.
    private func newest(
        _ limit: Int,
        matching pattern: EventPattern,
        in range: Range<UInt64>,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StreamMessage] {
        var messages: [StreamMessage] = []
        var high = range.upperBound
        var lanes = lanes
        var width = UInt64(clamping: limit)
        if pattern != .all { width = width.addingClamped(UInt64(clamping: limit / 8 + 16)) }
        while messages.count < limit, high > range.lowerBound {
            let low = high - min(width, high - range.lowerBound)
            do throws(JetStreamError) {
                guard let first = try await message(from: low, matching: pattern, deadline: deadline),
                    first.sequence < high
                else {
                    high = low
                    width = width.multipliedClamped(16)
                    continue
                }
                let wanted = limit - messages.count
                let found = try await descend(first.sequence..<high, wanted, lanes, matching: pattern, deadline)
                messages = found + messages
                lanes = Self.lanes(for: found) ?? lanes
                let left = limit - min(limit, messages.count)
                width = Self.width(left, found: found.count, in: high - low, last: width)
                high = low
            } catch {
                guard error.kind == .timeout, .now < deadline, lanes > 1 else { throw error }
                lanes /= 2
            }
        }
        return Array(messages.suffix(limit))
    }

    // MARK: Ranges

    /// Reads a range with all lanes at once, and takes what is complete.
    ///
    /// - Returns: why the first lane that is not complete stopped, when that was an error.
    private func scan(
        _ range: Range<UInt64>,
        _ wanted: Int,
        matching pattern: EventPattern?,
        _ pause: ContinuousClock.Instant?,
        _ deadline: ContinuousClock.Instant,
        into reading: inout Reading
    ) async -> JetStreamError? {
        let size = range.upperBound - range.lowerBound
        let lanes = UInt64(reading.lanes)
        let chunks = Self.chunks(of: range, width: size / lanes + (size % lanes == 0 ? 0 : 1))
        // A lane that finds more than its share stops: the next range is narrower then, and has more lanes for it.
        let share = max(8, 2 * wanted / chunks.count + 1)
        let scans = await withTaskGroup(of: (Int, Scan).self) { group in
            for (number, chunk) in chunks.enumerated() {
                group.addTask {
                    (number, await self.scan(chunk, share, matching: pattern, pause: pause, deadline: deadline))
                }
            }
            return await group.reduce(into: [Int: Scan]()) { $0[$1.0] = $1.1 }
        }
        reading.lanes = Self.lanes(for: scans.values.flatMap(\.messages)) ?? reading.lanes
        for scan in scans.sorted(by: { $0.key < $1.key }).map(\.value) {
            reading.messages += scan.messages
            reading.reached = max(reading.reached, min(scan.reached, range.upperBound))
            guard scan.isComplete else { return scan.error }
        }
        return nil
    }

    /// The newest matches of a range, at least `limit` if it has as many: chunks from the top down, until that is so.
    private func descend(
        _ range: Range<UInt64>,
        _ limit: Int,
        _ lanes: Int,
        matching pattern: EventPattern,
        _ deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> [StreamMessage] {
        let size = range.upperBound - range.lowerBound
        let most = UInt64(clamping: limit).multipliedClamped(4).addingClamped(64)
        let chunks = Array(Self.chunks(of: range, width: min(size / UInt64(lanes), most)).reversed())
        let result = await withTaskGroup(of: (Int, Scan).self) { group in
            var scans: [Int: Scan] = [:]
            var (begun, ended, found) = (0, 0, 0)
            // No more at once than have what is wanted when every message matches; more when there is less.
            var most = min(lanes, max(1, limit / Int(Self.narrowestChunk)))
            func begin() {
                while begun < chunks.count, found < limit, begun - ended < most {
                    let (number, chunk) = (begun, chunks[begun])
                    begun += 1
                    group.addTask {
                        (number, await self.scan(chunk, .max, matching: pattern, pause: nil, deadline: deadline))
                    }
                }
            }
            begin()
            while let (number, scan) = await group.next() {
                ended += 1
                if scan.messages.isEmpty { most = min(lanes, most * 2) }
                if let error = scan.error {
                    group.cancelAll()
                    return Result<[Scan], JetStreamError>.failure(error)
                }
                scans[number] = scan
                found += scan.messages.count
                begin()
            }
            return .success(scans.sorted { $0.key > $1.key }.map(\.value))
        }
        return try result.get().flatMap(\.messages)
    }

    /// One lane: reads a chunk until it has its share.
    private func scan(
        _ chunk: Range<UInt64>,
        _ share: Int,
        matching pattern: EventPattern?,
        pause: ContinuousClock.Instant?,
        deadline: ContinuousClock.Instant
    ) async -> Scan {
        var scan = Scan(chunk: chunk, reached: chunk.lowerBound)
        while !scan.isComplete, scan.messages.count < share {
            if let pause, !scan.messages.isEmpty, .now >= pause { break }
            do throws(JetStreamError) {
                let found = try await message(from: scan.reached, matching: pattern, deadline: deadline)
                guard let found, chunk.contains(found.sequence) else {
                    // Of what comes while this is read nothing is known here.
                    scan.reached = chunk.upperBound
                    break
                }
                scan.messages.append(found)
                scan.reached = found.sequence.nextSequence
            } catch {
                scan.error = error
                break
            }
        }
        return scan
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

    /// How wide a range is that holds about as many matches as are wanted, when one of `size` held `found`.
    private static func width(_ wanted: Int, found: Int, in size: UInt64, last: UInt64) -> UInt64 {
        let estimate = Double(size) * (Double(wanted) * 1.25 + 16) / (Double(found) + 0.5)
        return UInt64(min(max(estimate, 16), Double(max(last, 16)) * 16, 1e15))
    }

    /// How many requests to have under way for messages like these; `nil` when there are none.
    private static func lanes(for messages: [StreamMessage]) -> Int? {
        guard !messages.isEmpty else { return nil }
        let bytes = messages.reduce(0) { $0 + $1.payload.count + 256 }
        return min(max(bytesUnderWay / (bytes / messages.count), 1), mostLanes)
    }

    // MARK: One message

    private func message(
        from sequence: UInt64,
        matching pattern: EventPattern?,
        deadline: ContinuousClock.Instant
    ) async throws(JetStreamError) -> StreamMessage? {
        guard .now < deadline else {
            throw JetStreamError(.timeout, "the messages did not arrive before the deadline")
        }
        let found = try await jetStream.message(
            atOrAfter: sequence,
            matching: pattern?.subject ?? ">",
            on: stream,
            timeout: max(min(deadline - .now, Self.messageTimeout), .milliseconds(1))
        )
        guard let found else { return nil }
        // Asked for from there on: anything else would be read for ever.
        guard found.sequence >= sequence else {
            throw JetStreamError(
                .invalidAnswer,
                "asked for a message from sequence \(sequence) on, the server answered sequence \(found.sequence)"
            )
        }
        return found
    }
}

extension StoredMessage {
    /// Messages of a stream as the store hands them over.
    static func all(_ messages: [StreamMessage]) throws(JetStreamError) -> [StoredMessage] {
        var stored: [StoredMessage] = []
        stored.reserveCapacity(messages.count)
        for message in messages { stored.append(try StoredMessage(message)) }
        return stored
    }

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
