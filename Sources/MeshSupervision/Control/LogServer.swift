import Foundation
public import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
public import NATSClient
import NIOCore

/// Lets others in the mesh read the logs of a node and its tools.
///
/// ```swift
/// let server = LogServer(logs: logs, supervisor: supervisor, node: "atelier", connection: transport.connection)
/// try await server.run()  // until the task is cancelled
/// ```
///
/// Every user who may publish on `mesh.logs.<node>` can read the logs: restrict that with the server's permissions. Of the
/// roles of `mesh-events auth`, operators and admins may. Secrets that ``Redaction`` knows are removed. ``RemoteLogs`` is
/// the reader.
///
/// A `LogFlow` decides how much is sent before it is acknowledged: no more than the link carries, so that logs delay
/// neither events nor answers, and a slow reader neither the tools nor other readers. What is removed from the ring before
/// it can be sent is counted, and said.
public final class LogServer: Sendable {
    /// How many readers there may be at once; more are refused.
    public static let maximumReaders = 16

    /// How long a reader and this node wait for each other.
    struct Timing: Sendable {
        /// After how long without an acknowledgement a reader is forgotten.
        var patience: Duration = .seconds(30)
        /// How often a reader that waits at the end of a log hears of its node.
        var heartbeat: Duration = .seconds(3)
        /// How long lines are gathered for a chunk.
        var gathering: Duration = .milliseconds(20)
    }

    /// A reader.
    private final class Session: Sendable {
        /// The subject of its receipts, below the node's.
        let subject: String
        let replyTo: String
        let reader: String?
        let wake = Wake()
        private let stopped = Locked(false)

        init(subject: String, replyTo: String, reader: String?) {
            self.subject = subject
            self.replyTo = replyTo
            self.reader = reader
        }

        var isStopped: Bool { stopped.withLock { $0 } }

        func stop() {
            stopped.withLock { $0 = true }
            wake.send()
        }
    }

    private let logs: ToolLogs
    private let supervisor: ToolSupervisor
    private let node: String
    private let connection: NATSConnection
    private let logger: Logger
    private let timing: Timing
    private let sessions = Locked<[String: Session]>([:])
    /// Its readers are the sessions, by their subjects.
    private let flow = Locked(LogFlow())

    /// Creates a server of logs; it answers requests while ``run()`` runs.
    ///
    /// - Parameters:
    ///   - logs: the logs.
    ///   - supervisor: runs the tools.
    ///   - node: the node's name in the mesh.
    ///   - connection: the connection for requests and chunks.
    ///   - logger: logs each reader.
    public convenience init(
        logs: ToolLogs,
        supervisor: ToolSupervisor,
        node: String,
        connection: NATSConnection,
        logger: Logger = Logger(label: "mesh-events.lifecycle")
    ) {
        self.init(logs, supervisor, node, connection, logger, Timing())
    }

    init(
        _ logs: ToolLogs,
        _ supervisor: ToolSupervisor,
        _ node: String,
        _ connection: NATSConnection,
        _ logger: Logger,
        _ timing: Timing
    ) {
        self.logs = logs
        self.supervisor = supervisor
        self.node = node
        self.connection = connection
        self.logger = logger
        self.timing = timing
    }

    /// How many readers there are.
    var readers: Int { sessions.withLock { $0.count } }

    /// Answers requests until the task is cancelled or the connection is closed.
    ///
    /// - Throws: what subscribing throws: `permissionDenied`, `timeout`, `closed`.
    public func run() async throws(NATSError) {
        let subject = ControlSubject.logs(of: node)
        let receipts = try await connection.subscribe(to: "\(subject).*", maximumMessages: 10_000)
        let requests = try await connection.subscribe(to: subject, maximumMessages: 1_000)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.take(receipts) }
            do {
                for try await request in requests {
                    // A stream can be made to deliver messages here, under their own subjects.
                    guard let replyTo = request.replyTo, request.subject == subject,
                        ControlSubject.isForAnswers(replyTo)
                    else { continue }
                    begin(request.payload, replyTo) { session, request, query in
                        group.addTask { await self.serve(session, request, query, to: replyTo) }
                    }
                }
            } catch {
                self.logger.warning("requests about logs are no longer received", [.error: "\(error)"])
            }
            group.cancelAll()
        }
        requests.cancel()
        receipts.cancel()
    }

    private func take(_ receipts: NATSSubscription) async {
        do {
            for try await message in receipts {
                guard let session = sessions.withLock({ $0[message.subject] }),
                    let receipt = LogMessage.decode(message.payload, as: LogReceipt.self),
                    // Who sees the chunks of others does not know their readers.
                    session.reader == nil || receipt.reader == session.reader
                else { continue }
                if let number = receipt.ack {
                    change { $0.acknowledge(number, by: session.subject, at: $1) }
                    session.wake.send()
                }
                if receipt.stop == true { session.stop() }
            }
        } catch {
            // The requests end, too, and say why.
        }
    }

    /// Changes the flow, and wakes the reader whose turn it is then.
    private func change<Output>(_ body: (inout LogFlow, ContinuousClock.Instant) -> Output) -> Output {
        let (output, next) = flow.withLock { flow in
            let now = ContinuousClock.now
            return (body(&flow, now), flow.next(at: now))
        }
        if let next { sessions.withLock { $0[next] }?.wake.send() }
        return output
    }

    // MARK: Beginning

    private func begin(
        _ payload: ByteBuffer,
        _ replyTo: String,
        _ start: (Session, LogRequest, LogQuery) -> Void
    ) {
        // A subject has one request: another comes from one who disturbs that reader, and gets no answer there.
        guard !sessions.withLock({ $0.values.contains { $0.replyTo == replyTo } }) else { return }
        let address = LogMessage.decode(payload, as: LogChunkAddress.self)?.session
        do throws(LogFailure) {
            guard let request = LogMessage.decode(payload, as: LogRequest.self) else {
                throw LogFailure(code: .invalidRequest, message: "the request must be a JSON object about a log")
            }
            let query = try request.query()
            if let tool = request.tool { try check(tool) }
            let session = Session(
                subject: connection.makeInbox(below: ControlSubject.logs(of: node)),
                replyTo: replyTo,
                reader: request.reader.flatMap { $0.utf8.count <= LogMessage.maximumName ? $0 : nil }
            )
            let isAdmitted = sessions.withLock { sessions in
                if let reader = session.reader {
                    for (subject, other) in sessions where other.reader == reader {
                        other.stop()
                        sessions[subject] = nil
                    }
                }
                guard sessions.count < Self.maximumReaders else { return false }
                sessions[session.subject] = session
                return true
            }
            guard isAdmitted else {
                let message = "node \(node) has \(Self.maximumReaders) readers of logs already; try again later"
                throw LogFailure(code: .busy, message: message)
            }
            start(session, request, query)
        } catch {
            let session = address.flatMap { $0.utf8.count <= LogMessage.maximumName ? $0 : nil }
            send(LogChunk(error: error, session: session, node: node), to: replyTo)
        }
    }

    private func check(_ tool: String) throws(LogFailure) {
        let isName = ToolSpecification.problem(inName: tool) == nil
        let specification = supervisor.specification(of: tool)
        // Without its specification nothing is known of the secrets in its log.
        guard isName, let specification else {
            throw LogFailure(
                code: .notInstalled,
                message: "node \(node) has no tool \(tool.prefix(64).debugDescription)"
            )
        }
        guard specification.logs.isKept || logs.hasLog(ofTool: tool) else {
            let message = "node \(node) keeps no output of the tool \(tool): its manifest says `logs: false`"
            throw LogFailure(code: .notKept, message: message)
        }
    }

    // MARK: Serving

    private func serve(_ session: Session, _ request: LogRequest, _ query: LogQuery, to replyTo: String) async {
        let what = request.tool ?? "the node"
        logger.info("a log is read over the mesh", [.tool: "\(what)"])
        let ring = request.tool.map { logs.ring(ofTool: $0) } ?? logs.node
        let secrets = LogSecrets(supervisor, tool: request.tool)
        var filter = LogFilter(query, now: .now, redaction: secrets.redaction)
        var cursor = LogCursor(
            directory: ring.directory,
            at: request.after.map { LogPosition(epoch: $0.epoch, next: $0.next) }
        )
        if request.after == nil, let lines = query.lines { await cursor.skip(to: lines, filter) }
        filter.approach(cursor)
        flow.withLock { $0.join(session.subject) }
        await ring.waking(session.wake) { [filter] in
            await self.stream(session, &cursor, filter, secrets, request, to: replyTo)
        }
        sessions.withLock { $0[session.subject] = nil }
        guard change({ flow, _ in flow.leave(session.subject) }) else { return }
        // Who is gone acknowledges no more: the server does, for the way to it.
        try? await connection.roundTrip(silence: LogFlow.patience)
        change { flow, _ in flow.forget(session.subject) }
    }

    private func stream(
        _ session: Session,
        _ cursor: inout LogCursor,
        _ filter: LogFilter,
        _ secrets: LogSecrets,
        _ request: LogRequest,
        to replyTo: String
    ) async {
        var (filter, secrets, sent): (LogFilter, LogSecrets, UInt64) = (filter, secrets, 0)
        var lastSent: ContinuousClock.Instant?
        // What happened while no chunk could be sent.
        var pending = LogCursor.Step()
        while !Task.isCancelled, !session.isStopped {
            let (admission, owingSince) = change { flow, now in
                (flow.admit(session.subject, at: now), flow.owingSince(session.subject))
            }
            let givesUpAt = owingSince.map { $0 + timing.patience }
            if let givesUpAt, givesUpAt <= .now {
                return logger.info("a reader of logs is gone: it acknowledged nothing for \(timing.patience)")
            }
            guard case .send(let grant) = admission else {
                guard case .wait(let room) = admission else { return }
                let end = [room, givesUpAt].compactMap { $0 }.min()
                await session.wake.wait(until: end ?? .now + timing.patience)
                continue
            }
            let from = cursor.next
            var (chunk, step) = collect(&cursor, &filter, &secrets, grant)
            pending.missed.addSaturating(step.missed)
            pending.hasBegunAnew = pending.hasBegunAnew || step.hasBegunAnew
            step.missed = pending.missed
            step.hasBegunAnew = pending.hasBegunAnew
            let isLast = step.isAtEnd && request.follow != true
            let isDue = lastSent.map { .now - $0 >= timing.heartbeat } ?? true
            let hasNews = chunk.records?.isEmpty == false || step.missed > 0 || step.hasBegunAnew
            guard hasNews || isLast || isDue else {
                change { $0.sent(0, to: session.subject, at: $1) }
                if step.isAtEnd {
                    let next = (lastSent ?? .now) + timing.heartbeat
                    await session.wake.wait(until: min(next, givesUpAt ?? next))
                    // More lines may come at once, and are one chunk then.
                    try? await Task.sleep(for: timing.gathering)
                } else {
                    await Task.yield()
                }
                continue
            }
            sent += 1
            chunk.chunk = sent
            chunk.epoch = cursor.epoch
            chunk.from = from ?? cursor.next
            chunk.to = cursor.next
            chunk.missed = step.missed > 0 ? min(step.missed, LogMessage.maximumNumber) : nil
            chunk.anew = step.hasBegunAnew ? true : nil
            chunk.end = isLast ? true : nil
            (chunk.session, chunk.node) = (request.session, node)
            pending = LogCursor.Step()
            lastSent = .now
            let message = LogMessage.encode(chunk)
            let bytes = message.readableBytes + replyTo.utf8.count + session.subject.utf8.count
            change { $0.sent(bytes, to: session.subject, at: $1) }
            guard await send(message, to: replyTo, from: session.subject), !isLast else { return }
        }
    }

    /// Reads as many records as fit into a chunk.
    private func collect(
        _ cursor: inout LogCursor,
        _ filter: inout LogFilter,
        _ secrets: inout LogSecrets,
        _ grant: LogFlow.Grant
    ) -> (LogChunk, LogCursor.Step) {
        let largest = (connection.maximumPayload ?? 1 << 20) / 2
        let (limit, longest) = (min(grant.bytes, largest), min(grant.longest, largest))
        var (records, bytes): ([LogChunk.Record], Int) = ([], 0)
        let step = cursor.read { raw in
            // Before the filter sees it: it sees each record once.
            guard records.isEmpty || bytes + Self.cost(raw.line) <= limit else { return false }
            // After it was read from the file: what a tool writes was a secret of its specification before.
            if let redaction = secrets.renewed() { filter.use(redaction) }
            guard var record = filter.record(raw) else { return true }
            let cost = Self.cost(record.line.utf8)
            if cost > longest { record.line = Self.cut(record.line, to: longest) }
            bytes += min(cost, longest)
            records.append(
                LogChunk.Record(
                    n: record.number,
                    t: record.time.description,
                    s: record.stream.rawValue,
                    l: record.line,
                    d: record.dropped > 0 ? min(record.dropped, LogMessage.maximumNumber) : nil
                )
            )
            return true
        }
        return (LogChunk(records: records), step)
    }

    /// How many bytes a record takes in JSON beside its line, roughly.
    private static let frame = 100

    /// How many bytes a record takes in JSON, roughly.
    private static func cost(_ line: some Sequence<UInt8>) -> Int { line.reduce(frame) { $0 + cost($1) } }

    /// Control characters take six bytes.
    private static func cost(_ byte: UInt8) -> Int {
        byte < 0x20 || byte == 0x7F ? 6 : byte == 0x22 || byte == 0x5C ? 2 : 1
    }

    /// What of a line fits into so many bytes of a chunk.
    private static func cut(_ line: String, to limit: Int) -> String {
        let text = line.abridged(bytes: limit - frame)
        // A byte takes up to six in JSON.
        return cost(text.utf8) <= limit ? text : line.abridged(bytes: (limit - frame) / 6)
    }

    /// Sends a chunk; `false` when the connection takes no more.
    private func send(_ chunk: ByteBuffer, to subject: String, from session: String) async -> Bool {
        do {
            try await connection.waitUntilWritable()
            try connection.publish(chunk, to: subject, replyTo: session)
            return true
        } catch {
            if error.code != .closed, error.code != .cancelled {
                logger.warning("a part of a log could not be sent", [.error: "\(error)"])
            }
            return false
        }
    }

    private func send(_ chunk: LogChunk, to subject: String) {
        do {
            try connection.publish(LogMessage.encode(chunk), to: subject)
        } catch {
            logger.warning("a request about logs could not be answered", [.error: "\(error)"])
        }
    }
}
