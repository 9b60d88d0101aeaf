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

    /// Reads what there is, and does not wait for more.
    ///
    /// - Parameters:
    ///   - position: the end of the page before; `nil` for the last lines of the query.
    ///   - limit: the most records; the next page has the others.
    /// - Throws: as the iterator.
    public func page(
        after position: LogPosition? = nil,
        limit: Int = 2_000
    ) async throws(MeshEventsError) -> Page {
        let log = RemoteLogs(node, tool, connection, query, false, timing)
        let reader = RemoteLogReader(log, connection, timing, at: position)
        var page = Page(next: position)
        while page.records.count < limit {
            guard let piece = try await reader.next() else {
                page.next = await reader.place ?? page.next
                return page
            }
            switch piece {
            case .record(let record):
                page.records.append(record)
                let epoch = await reader.place?.epoch
                page.next = epoch.map { LogPosition(epoch: $0, next: record.number + 1) }
            case .missed(let count): page.missed += count
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
        ///   version, or of the Go mesh; `permissionDenied`; `serverRefused` with the node's message; `timeout`; what
        ///   sending throws.
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

    /// Of the present request: the last chunk that was processed, whether it is acknowledged, and where to do that.
    private var chunk: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var receipts: String?
    private var deadline = ContinuousClock.now

    init(_ log: RemoteLogs, _ connection: NATSConnection, _ timing: RemoteLogTiming, at position: LogPosition? = nil) {
        self.log = log
        self.position = position
        self.connection = connection
        self.timing = timing
        name = String(connection.makeInbox(below: "reader").dropFirst(7))
    }

    deinit {
        inbox?.cancel()
        guard let receipts, !isOver else { return }
        try? connection.publish(LogMessage.encode(LogReceipt(stop: true)), to: receipts)
    }

    func next() async throws(MeshEventsError) -> RemoteLogs.Element? {
        while true {
            if let element = waiting.popFirst() { return element }
            if isOver { return nil }
            if Task.isCancelled { return end() }
            acknowledge()
            guard let inbox else {
                try await begin()
                continue
            }
            switch await inbox.next(until: deadline) {
            case .success(let message): try await take(message)
            case .failure(let error):
                end()
                throw error.cause.map { MeshEventsError($0) } ?? MeshEventsError(.closed, "the connection has ended")
            case nil:
                if Task.isCancelled { return end() }
                try await lose("node \(log.node.debugDescription) does not answer")
            }
        }
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
        if let receipts { try? connection.publish(LogMessage.encode(LogReceipt(stop: true)), to: receipts) }
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
        try? connection.publish(LogMessage.encode(LogReceipt(ack: chunk)), to: receipts)
    }

    // MARK: Asking

    private func begin() async throws(MeshEventsError) {
        (chunk, acknowledged, receipts) = (0, 0, nil)
        let query = log.query
        var request = LogRequest(tool: log.tool, reader: name, text: query.text, follow: log.follows)
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
        try? await Task.sleep(for: timing.pause * min(attempts, 5))
    }

    // MARK: Chunks

    private func take(_ message: NATSMessage) async throws(MeshEventsError) {
        let node = log.node.debugDescription
        if message.status == 503 {
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
            end()
            throw MeshEventsError(.protocolViolation, "the answer of node \(node) is no part of a log")
        }
        if let error = chunk.error {
            // A reader that was cut off may count as one for a while.
            if hasBegun, error.code == LogFailure.Code.busy.rawValue { return try await lose(error.message) }
            end()
            throw MeshEventsError(.serverRefused, error.message)
        }
        guard let number = chunk.chunk, number == self.chunk + 1 else {
            // A chunk was lost with a connection: asks for what comes after the last one.
            inbox?.cancel()
            inbox = nil
            try? await Task.sleep(for: .milliseconds(50))
            return
        }
        self.chunk = number
        receipts = message.replyTo ?? receipts
        (hasBegun, attempts) = (true, 0)
        deadline = .now + timing.silence
        if isAway {
            isAway = false
            waiting.append(.back)
        }
        if chunk.anew == true { waiting.append(.begunAnew) }
        if let missed = chunk.missed, missed > 0 { waiting.append(.missed(missed)) }
        for record in chunk.records ?? [] { waiting.append(.record(LogRecord(record))) }
        if let epoch = chunk.epoch, !epoch.isEmpty, let next = chunk.to {
            position = LogPosition(epoch: epoch, next: next)
        }
        if chunk.end == true {
            isOver = true
            inbox?.cancel()
            inbox = nil
        }
    }
}

/// Receives the chunks of one request. Their number is bounded by what the node may send without acknowledgements;
/// anything more is dropped, and its absence noticed.
private final class LogInbox: NATSMessageReceiver {
    private struct State: AwaitableState {
        var messages: [NATSMessage] = []
        var isEnded = false
        var error: NATSError?
        var handle: NATSSubscriptionHandle?

        mutating func takeAnswer() -> Result<NATSMessage, Ending>? {
            if !messages.isEmpty { return .success(messages.removeFirst()) }
            return isEnded ? .failure(Ending(cause: error)) : nil
        }
    }

    struct Ending: Error { let cause: NATSError? }

    private static let maximumMessages = 16

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
            if state.messages.count < Self.maximumMessages { state.messages.append(message) }
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
    fileprivate init(_ record: LogChunk.Record) {
        self.init(
            number: record.n,
            time: (try? Timestamp(rfc3339: record.t)) ?? .epoch,
            stream: Stream(rawValue: record.s) ?? .node,
            line: record.l,
            dropped: record.d ?? 0
        )
    }
}
