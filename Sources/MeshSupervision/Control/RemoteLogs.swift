import Foundation
import MeshConcurrency
public import MeshEvents
import MeshEventsNATS
public import NATSClient
import NIOCore

/// The log of a tool or a node elsewhere in the mesh, as a sequence. The node answers with a ``LogServer``.
///
/// ```swift
/// let logs = RemoteLogs(node: "atelier", tool: "whisper", connection: transport.connection, follows: true)
/// for try await piece in logs {
///     if case .record(let record) = piece { print(record.time, record.line) }
/// }
/// ```
///
/// Secrets that the node knows are removed. Lines were written by others: escape them before you show them.
///
/// The node sends as fast as the records are taken. A reader that follows goes on when the tool, the node or the server
/// starts anew, where it was: no record comes twice, and what is missing is said.
public struct RemoteLogs: AsyncSequence, Sendable {
    /// A piece of a log, in order.
    public enum Element: Sendable, Hashable {
        /// A line, or a record about lines that are missing.
        case record(LogRecord)
        /// So many records were removed from the log before they could be read.
        case missed(UInt64)
        /// The log has begun anew: what was in it before is gone. Numbers begin anew, too.
        case begunAnew
        /// The node does not answer for now, for this reason. Only when following.
        case away(String)
        /// The node answers again.
        case back
    }

    /// The only error it throws.
    public typealias Failure = MeshEventsError

    /// The node's name.
    public let node: String
    /// The tool's name; `nil` for the node's own log.
    public let tool: String?
    /// Which records are read.
    public let query: LogQuery
    /// Whether reading goes on at the end of the log.
    public let follows: Bool
    private let connection: NATSConnection
    private let timing: RemoteLogTiming

    /// Names a log; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - node: the node's name.
    ///   - tool: the tool's name; `nil` for the node's own log.
    ///   - connection: the connection to the mesh.
    ///   - query: which records are read.
    ///   - follows: whether reading goes on at the end of the log, until the task is cancelled.
    public init(
        node: String,
        tool: String?,
        connection: NATSConnection,
        matching query: LogQuery = LogQuery(),
        follows: Bool = false
    ) {
        self.init(node, tool, connection, query, follows, RemoteLogTiming())
    }

    init(
        _ node: String,
        _ tool: String?,
        _ connection: NATSConnection,
        _ query: LogQuery,
        _ follows: Bool,
        _ timing: RemoteLogTiming
    ) {
        self.node = node
        self.tool = tool
        self.connection = connection
        self.query = query
        self.follows = follows
        self.timing = timing
    }

    /// A part of a log that was read at once.
    public struct Page: Sendable, Hashable {
        /// The records that match, oldest first.
        public var records: [LogRecord] = []
        /// How many records were removed from the log before they could be read.
        public var missed: UInt64 = 0
        /// Whether the log has begun anew since ``next`` of the page before.
        public var hasBegunAnew = false
        /// Where the next page begins; `nil` while there is no log.
        public var next: LogPosition?
    }

    /// The most bytes of a page, roughly.
    static let pageBytes = 1 << 20

    /// Reads what there is, and does not wait for more. It ends after five seconds, and has at most 1 MiB.
    ///
    /// - Parameters:
    ///   - position: the end of the page before; `nil` for the last lines of the query.
    ///   - limit: the most records; the next page has the others. Without a position also at most the lines of the query.
    /// - Throws: as the iterator.
    public func page(
        after position: LogPosition? = nil,
        limit: Int = 2_000
    ) async throws(MeshEventsError) -> Page {
        let log = RemoteLogs(node, tool, connection, query, false, timing)
        let reader = RemoteLogReader(log, connection, timing, at: position, until: .now + timing.page)
        var (page, bytes) = (Page(next: position), 0)
        while page.records.count < limit, bytes < Self.pageBytes {
            let piece: Element?
            do {
                piece = try await reader.next()
            } catch {
                // What came in time is a page.
                let place = await reader.place
                guard error.code == .timeout, !page.records.isEmpty || place != position else { throw error }
                if page.records.isEmpty { page.next = place ?? page.next }
                break
            }
            guard let piece else {
                page.next = await reader.place ?? page.next
                return page
            }
            switch piece {
            case .record(let record):
                page.records.append(record)
                bytes += record.line.utf8.count + 100
                let epoch = await reader.place?.epoch
                page.next = epoch.map { LogPosition(epoch: $0, next: record.number + 1) }
            case .missed(let count): page.missed.addSaturating(count)
            case .begunAnew: page.hasBegunAnew = true
            case .away, .back: break
            }
        }
        await reader.stop()
        return page
    }

    /// Makes an iterator; each reads the log from the beginning of the query.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(reader: RemoteLogReader(self, connection, timing))
    }

    /// Asks the node at the first element.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let reader: RemoteLogReader

        /// The next piece; `nil` at the end, or when the task is cancelled.
        ///
        /// - Throws: `noResponders` when there is no such node, or it gives no logs: it does not run, it is of an older
        ///   version, or of the Go mesh; `permissionDenied`; `serverRefused` with the node's message; `protocolViolation`
        ///   when its answer is impossible; `timeout`; what sending throws.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(MeshEventsError) -> Element? {
            try await reader.next()
        }

        /// The next piece; `nil` at the end, or when the task is cancelled.
        public mutating func next() async throws(MeshEventsError) -> Element? { try await reader.next() }
    }
}

/// How long a reader of logs waits.
struct RemoteLogTiming: Sendable {
    /// How long the node may take for its first chunk.
    var answer: Duration = .seconds(15)
    /// After how long without a chunk the node is asked again; it sends one every three seconds.
    var silence: Duration = .seconds(8)
    /// How long after that time a node still remembers a reader that acknowledges nothing.
    var patience: Duration = .seconds(15)
    /// How long a page may take in all.
    var page: Duration = .seconds(5)
    /// How long a reader that does not follow waits for a record or the end, whatever else comes.
    var progress: Duration = .seconds(30)
    /// How long to wait before the node is asked again that did not answer.
    var pause: Duration = .seconds(1)
    /// How often a node that does not answer is asked again when not following.
    var attempts = 3
}

/// Reads a log over the mesh: asks the node, acknowledges chunks, and asks again when they cease to come.
private actor RemoteLogReader {
    private let log: RemoteLogs
    private let connection: NATSConnection
    private let timing: RemoteLogTiming
    /// Names this reader to the node, which forgets an earlier request of it.
    private let name: String

    private var waiting: ArraySlice<RemoteLogs.Element> = []
    private var inbox: LogInbox?
    private var isOver = false
    /// Where to go on; `nil` until a chunk has said where the log is.
    private var position: LogPosition?
    private var hasBegun = false
    private var isAway = false
    private var attempts = 0
    /// How often chunks were missing since one came.
    private var gaps = 0
    /// How many records may come yet; `nil` for any number.
    private var remaining: Int?
    /// When the reading ends in any case.
    private let limit: ContinuousClock.Instant?
    /// How long was waited since the last record.
    private var waited: Duration = .zero
    /// Whether the present message has brought a record.
    private var hasProgress = false

    /// Of the present request: the last chunk that was processed, whether it is acknowledged, and where to do that.
    private var chunk: UInt64 = 0
    private var session = ""
    private var acknowledged: UInt64 = 0
    private var receipts: String?
    private var deadline = ContinuousClock.now

    init(
        _ log: RemoteLogs,
        _ connection: NATSConnection,
        _ timing: RemoteLogTiming,
        at position: LogPosition? = nil,
        until limit: ContinuousClock.Instant? = nil
    ) {
        self.log = log
        self.position = position
        self.connection = connection
        self.timing = timing
        self.limit = limit
        remaining = position == nil && !log.follows ? log.query.lines : nil
        name = String(connection.makeInbox(below: "reader").dropFirst(7))
    }

    deinit {
        inbox?.cancel()
        guard let receipts, !isOver else { return }
        try? connection.publish(LogMessage.encode(LogReceipt(stop: true, reader: name)), to: receipts)
    }

    func next() async throws(MeshEventsError) -> RemoteLogs.Element? {
        while true {
            if let element = waiting.popFirst() { return element }
            if isOver { return nil }
            if Task.isCancelled { return end() }
            let start = ContinuousClock.now
            defer {
                waited = hasProgress ? .zero : waited + (.now - start)
                hasProgress = false
            }
            let last = try lastMoment()
            acknowledge()
            guard let inbox else {
                try await begin()
                continue
            }
            switch await inbox.next(until: min(deadline, last ?? deadline)) {
            case .success(let message): try await take(message)
            case .failure(let error):
                end()
                throw error.cause.map { MeshEventsError($0) } ?? MeshEventsError(.closed, "the connection has ended")
            case nil:
                if Task.isCancelled { return end() }
                if let last, last <= .now { continue }
                try await lose("node \(log.node.debugDescription) does not answer")
            }
        }
    }

    /// Until when a record or the end must come; `nil` when there is time.
    private func lastMoment() throws(MeshEventsError) -> ContinuousClock.Instant? {
        let stalls = log.follows ? nil : ContinuousClock.now + timing.progress - waited
        guard let last = [limit, stalls].compactMap({ $0 }).min() else { return nil }
        guard last > .now else {
            end()
            let what = hasBegun ? "does not send the end of its log" : "does not answer"
            throw MeshEventsError(
                .timeout,
                "node \(log.node.debugDescription) \(what); try again, or see `mesh-events status`",
                isRetriable: true
            )
        }
        return last
    }

    /// Waits, but not beyond the end of the reading.
    private func pause(_ duration: Duration) async {
        let end = ContinuousClock.now + duration
        try? await Task.sleep(until: min(end, limit ?? end), clock: .continuous)
    }

    /// The place after the last chunk.
    var place: LogPosition? { position }

    /// Ends the reading.
    func stop() { end() }

    /// Ends the reading, and says so to the node.
    @discardableResult
    private func end() -> RemoteLogs.Element? {
        inbox?.cancel()
        inbox = nil
        if let receipts {
            try? connection.publish(LogMessage.encode(LogReceipt(stop: true, reader: name)), to: receipts)
        }
        receipts = nil
        isOver = true
        return nil
    }

    private func acknowledge() {
        guard chunk > acknowledged, let receipts else { return }
        guard .now - deadline < timing.patience else {
            // The records were taken so slowly that the node has forgotten this reader: it is asked anew.
            inbox?.cancel()
            inbox = nil
            return
        }
        acknowledged = chunk
        deadline = .now + timing.silence
        try? connection.publish(LogMessage.encode(LogReceipt(ack: chunk, reader: name)), to: receipts)
    }

    // MARK: Asking

    private func begin() async throws(MeshEventsError) {
        (chunk, acknowledged, receipts) = (0, 0, nil)
        let query = log.query
        var request = LogRequest(tool: log.tool, reader: name, text: query.text, follow: log.follows)
        session = String(connection.makeInbox(below: "session").dropFirst(8))
        request.session = session
        if query.streams.count < LogRecord.Stream.allCases.count {
            request.streams = query.streams.map(\.rawValue).sorted()
        }
        if let position {
            request.after = LogRequest.Position(epoch: position.epoch, next: position.next)
        } else {
            request.lines = query.lines
            request.withinSeconds = query.within.map { $0 / .seconds(1) }
        }
        let subject = connection.makeInbox(below: ControlSubject.answers)
        let inbox = LogInbox(subject: subject)
        do {
            inbox.hold(try await connection.subscribe(to: subject, receiver: inbox))
            try connection.publish(LogMessage.encode(request), to: ControlSubject.logs(of: log.node), replyTo: subject)
            // A server that denies permission reports that before it answers the ping.
            try await connection.flush()
        } catch {
            inbox.cancel()
            if Task.isCancelled { return }
            guard hasBegun, error.code != .permissionDenied, error.code != .closed else { throw MeshEventsError(error) }
            return try await lose(error.message)
        }
        self.inbox = inbox
        deadline = .now + (hasBegun ? timing.silence : timing.answer)
    }

    /// The node does not answer: asks again, or gives up.
    private func lose(_ reason: String) async throws(MeshEventsError) {
        inbox?.cancel()
        inbox = nil
        attempts += 1
        guard hasBegun, log.follows || attempts < timing.attempts else {
            isOver = true
            throw MeshEventsError(.timeout, "\(reason); try again, or see `mesh-events status`", isRetriable: true)
        }
        if log.follows, !isAway {
            isAway = true
            waiting.append(.away(reason))
        }
        await pause(timing.pause * min(attempts, 5))
    }

    // MARK: Chunks

    private func take(_ message: NATSMessage) async throws(MeshEventsError) {
        let node = log.node.debugDescription
        if message.status == 503, chunk == 0 {
            let reason = "no node \(node) in this mesh gives logs"
            guard hasBegun, log.follows || attempts < timing.attempts else {
                isOver = true
                throw MeshEventsError(
                    .noResponders,
                    "\(reason): it does not run, it has another name, its version is older than this one, or it is a node of "
                        + "the Go mesh, which gives none; `mesh-events status` shows what is known"
                )
            }
            return try await lose(reason)
        }
        guard let chunk = LogMessage.decode(message.payload, as: LogChunk.self) else {
            let address = LogMessage.decode(message.payload, as: LogChunkAddress.self)
            guard address?.session == session, address?.node == log.node else { return }
            end()
            throw MeshEventsError(.protocolViolation, "the answer of node \(node) is no part of a log")
        }
        // Others can make nodes answer here.
        guard chunk.session == session, chunk.node == log.node else { return }
        guard chunk.isPossible else {
            end()
            throw MeshEventsError(.protocolViolation, "node \(node) sends numbers that no log has")
        }
        if let error = chunk.error {
            let message = error.message.abridged(bytes: 1_000)
            // A reader that was cut off may count as one for a while.
            if hasBegun, error.code == LogFailure.Code.busy.rawValue { return try await lose(message) }
            end()
            throw MeshEventsError(.serverRefused, message)
        }
        guard let number = chunk.chunk, number == self.chunk + 1 else {
            // A chunk was lost with a connection: asks for what comes after the last one.
            inbox?.cancel()
            inbox = nil
            gaps = min(gaps + 1, 20)
            await pause(.milliseconds(50) * gaps * gaps)
            return
        }
        self.chunk = number
        // The node must not make the reader publish elsewhere.
        if let replyTo = message.replyTo, replyTo.hasPrefix(ControlSubject.logs(of: log.node) + ".") {
            receipts = replyTo
        }
        (hasBegun, attempts, gaps) = (true, 0, 0)
        deadline = .now + timing.silence
        if isAway {
            isAway = false
            waiting.append(.back)
        }
        if chunk.anew == true { waiting.append(.begunAnew) }
        if let missed = chunk.missed, missed > 0 { waiting.append(.missed(missed)) }
        let records = chunk.records ?? []
        let taken = records.prefix(remaining ?? .max)
        for record in taken {
            waiting.append(.record(LogRecord(record, line: record.l.abridged(bytes: Self.lineBytes))))
        }
        hasProgress = !taken.isEmpty
        remaining = remaining.map { $0 - taken.count }
        if let epoch = chunk.epoch, !epoch.isEmpty, let next = chunk.to {
            // Records beyond the lines that were asked for are left for the next time.
            let last = taken.count < records.count ? taken.last : nil
            position = LogPosition(epoch: epoch, next: last.map { $0.n + 1 } ?? next)
        }
        if chunk.end == true {
            isOver = true
            inbox?.cancel()
            inbox = nil
        } else if remaining == 0 {
            end()
        }
    }

    /// The longest line that is taken. A tool's has at most 8 KiB, with an older node and words about what was cut.
    private static let lineBytes = (8 << 10) + 64
}

/// Receives the chunks of one request. Their number is bounded by what the node may send without acknowledgements;
/// anything more is dropped, and its absence noticed.
private final class LogInbox: NATSMessageReceiver {
    private struct State: AwaitableState {
        var messages: [NATSMessage] = []
        var bytes = 0
        var isEnded = false
        var error: NATSError?
        var handle: NATSSubscriptionHandle?

        mutating func takeAnswer() -> Result<NATSMessage, Ending>? {
            if !messages.isEmpty {
                bytes -= messages[0].payload.readableBytes
                return .success(messages.removeFirst())
            }
            return isEnded ? .failure(Ending(cause: error)) : nil
        }
    }

    struct Ending: Error { let cause: NATSError? }

    private static let maximumMessages = 16
    /// The most bytes of them: four chunks of a node have fewer.
    private static let maximumBytes = 2 << 20

    private let subject: String
    private let state = Awaitable(State())

    init(subject: String) { self.subject = subject }

    func hold(_ handle: NATSSubscriptionHandle) { state.withLock { $0.handle = handle } }

    func cancel() { state.withLock { $0.handle }?.cancel() }

    func next(until deadline: ContinuousClock.Instant) async -> Result<NATSMessage, Ending>? {
        await state.next(until: deadline)
    }

    func receive(_ message: NATSMessageView) {
        let message = message.copied()
        // A stream can be made to deliver messages here, under their own subjects.
        guard message.subject == subject else { return }
        state.update { state in
            let bytes = state.bytes + message.payload.readableBytes
            guard state.messages.count < Self.maximumMessages, bytes <= Self.maximumBytes else { return }
            state.messages.append(message)
            state.bytes = bytes
        }
    }

    func receiveBatchEnd() {}

    func receiveEnd(_ error: NATSError?) {
        state.update { state in
            state.isEnded = true
            state.error = error
        }
    }
}

extension LogRecord {
    fileprivate init(_ record: LogChunk.Record, line: String) {
        self.init(
            number: record.n,
            time: (try? Timestamp(rfc3339: record.t)) ?? .epoch,
            stream: Stream(rawValue: record.s) ?? .node,
            line: line,
            dropped: record.d ?? 0
        )
    }
}
