public import Logging
import MeshConcurrency
import MeshLogging
public import NIOCore
import NIOPosix
import Synchronization

/// A connection to a NATS server or cluster: it publishes, subscribes and sends requests, and restores itself when
/// lost.
///
/// All methods may be called from any thread or actor. Releasing the last reference closes the connection.
public final class NATSConnection: Sendable {
    private let loop: ConnectionLoop
    /// How many requests are unanswered that were sent by ``requestUnawaited(_:timeout:)``.
    private let unawaited = Atomic<Int>(0)

    private init(loop: ConnectionLoop) { self.loop = loop }

    deinit { loop.close() }

    /// Connects; returns when the server has accepted the login.
    ///
    /// When one address asks for TLS (`tls://`, `wss://`), all servers must speak it. Every server is tried once; with
    /// ``Configuration/retriesInitialConnect`` they are tried until one accepts the login.
    ///
    /// - Throws: `connectionFailed`, `authenticationFailed`, `tlsFailed`, `invalidArgument`, `cancelled`.
    public static func connect(
        _ configuration: Configuration,
        logger: Logger = Logger(label: "nats")
    ) async throws(NATSError) -> NATSConnection {
        guard !configuration.servers.isEmpty else {
            throw NATSError(.invalidArgument, "no server address was given")
        }
        if let prefix = configuration.inboxPrefix { try SubjectRules.validatePublish(prefix) }
        if let prefix = configuration.jetStreamPrefix { try SubjectRules.validatePublish(prefix) }
        var configuration = configuration
        if configuration.tls == nil, configuration.servers.contains(where: \.usesTLS) {
            // One address that asks for TLS asks for all: otherwise an attacker need only keep that server from
            // answering.
            configuration.tls = NATSConnection.TLSConfiguration()
        }
        let group = configuration.eventLoopGroup ?? Self.sharedEventLoop
        let loop = ConnectionLoop(
            configuration: configuration,
            // A file that cannot be read is the user's mistake: it is reported at once.
            tlsContext: try configuration.tls.map { tls throws(NATSError) in try TLSContext(tls) },
            eventLoop: group.next(),
            logger: logger
        )
        let connection = NATSConnection(loop: loop)
        let started = loop.start()
        do {
            _ = try await withTaskCancellationHandler {
                try await started.get()
            } onCancel: {
                loop.close()
            }
        } catch let error as NATSError {
            if Task.isCancelled { throw .cancelled }
            throw error
        } catch {
            throw NATSError(.connectionFailed, "the event loop has ended", underlying: error)
        }
        return connection
    }

    /// Connects with the defaults: `NATSConnection.connect(to: "nats://127.0.0.1:4222")`.
    public static func connect(
        to servers: String,
        logger: Logger = Logger(label: "nats")
    ) async throws(NATSError) -> NATSConnection {
        try await connect(Configuration(servers: try ServerAddress.list(servers)), logger: logger)
    }

    /// One event loop for all connections that bring no group: on small machines a second one costs more than it gives,
    /// and one carries about a million messages a second.
    private static let sharedEventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// What the current server says of itself; without a connection, what the last one said.
    public var serverInfo: ServerInfo? {
        get async {
            let loop = loop
            return try? await loop.eventLoop.submit { loop.info }.get()
        }
    }

    /// The address of the server it is connected to; `nil` when it is not.
    public var currentAddress: ServerAddress? {
        get async {
            let loop = loop
            let address = try? await loop.eventLoop.submit { loop.machine.isConnected ? loop.machine.server : nil }
                .get()
            return address ?? nil
        }
    }

    /// Measures how long the server takes to answer a ping, which is sent at once.
    ///
    /// - Parameter timeout: how long no byte may come or go.
    /// - Throws: `connectionFailed` (retriable) when the connection is down, or is lost meanwhile; `timeout`, `closed`,
    ///   `cancelled`.
    public func roundTripTime(timeout: Duration = .seconds(10)) async throws(NATSError) -> Duration {
        let generation = loop.outbound.generation
        guard isClosed || isUp else { throw .notConnected }
        let start = ContinuousClock.now
        try await loop.waitOnLoop(timeout: timeout, what: "a ping") { loop, done in loop.ping(.early) { done($0) } }
        // The next connection has answered otherwise.
        guard loop.outbound.generation == generation else { throw .notConnected }
        return .now - start
    }

    /// Ends the connection to the present server and connects anew, for instance to log in with another certificate. It is
    /// restored as if it had been lost; does nothing while it is down.
    public func reconnect() {
        let loop = loop
        loop.eventLoop.execute {
            guard loop.machine.isConnected else { return }
            loop.fail(NATSError(.connectionFailed, "a new connection was asked for", isRetriable: true))
        }
    }

    /// Whether the connection is up at this moment.
    package var isUp: Bool { loop.outbound.isUp }

    /// The largest message the server accepts, in bytes, headers included.
    public var maximumPayload: Int? { loop.outbound.maximumPayload }

    /// What the subjects of JetStream's API begin with, unless a ``JetStream`` says otherwise.
    package var jetStreamPrefix: String? { loop.configuration.jetStreamPrefix }

    /// What the connection has counted so far.
    public var statistics: NATSStatistics {
        NATSStatistics(
            reconnects: loop.counts.reconnects,
            unconfirmed: loop.counts.unconfirmed,
            pendingBytes: loop.outbound.pendingBytes
        )
    }

    /// Whether the connection has ended for good.
    var isClosed: Bool { loop.status.isClosed }

    /// The current status, then every change of it; ends when the connection is closed for good.
    public func statusUpdates() -> AsyncStream<NATSStatus> { loop.status.updates() }

    // MARK: Publishing

    /// Queues a message for sending; never blocks. While the connection is down it is kept, up to
    /// ``Configuration/maximumPendingBytes``, and sent after the reconnect.
    ///
    /// A message that the server's permissions forbid is refused after this has returned: the next message to the same
    /// subject, or ``flush(timeout:)``, whichever comes first, throws that once.
    ///
    /// - Throws: `bufferFull` (retriable), `payloadTooLarge`, `invalidSubject`, `invalidHeader`, `permissionDenied`,
    ///   `closed`. Nothing was sent then.
    public func publish(
        _ payload: ByteBuffer,
        to subject: String,
        replyTo: String? = nil,
        headers: NATSHeaders = [:]
    ) throws(NATSError) {
        try SubjectRules.validatePublish(subject)
        if let replyTo { try SubjectRules.validatePublish(replyTo) }
        try headers.validate()
        try send(payload, to: subject, replyTo: replyTo ?? "", headers: headers)
    }

    /// Publishes for callers within the package that have validated subject and headers. The headers are a block in
    /// wire format; empty: no headers.
    package func publish(
        subject: UnsafeRawBufferPointer,
        headerBlock: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        payload: UnsafeRawBufferPointer
    ) throws(NATSError) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        try loop.outbound.append(subject: subject, reply: none, headers: headerBlock, payload: payload)
    }

    /// Suspends until less than half of ``Configuration/maximumPendingBytes`` waits to be sent.
    ///
    /// - Throws: `closed`, `cancelled`.
    public func waitUntilWritable() async throws(NATSError) {
        try await loop.outbound.waitUntilWritable()
    }

    /// Suspends until the server has processed everything published before: it has answered a ping that followed.
    ///
    /// - Parameter timeout: how long nothing may come or go on the connection. A slow link may take longer for what is
    ///   published.
    /// - Throws: `timeout`; `permissionDenied` when the server refused a message since the last flush;
    ///   `messagesUnconfirmed` when the connection was lost since then with messages on their way; `closed`.
    public func flush(timeout: Duration = .seconds(10)) async throws(NATSError) {
        try await loop.flush(timeout: timeout)
    }

    // MARK: Requests

    /// Sends a request and returns the first answer.
    ///
    /// - Throws: `timeout`, `noResponders`, `permissionDenied`, `connectionFailed` (retriable: the connection was lost
    ///   before the answer came), and what ``publish(_:to:replyTo:headers:)`` throws.
    public func request(
        _ payload: ByteBuffer = ByteBuffer(),
        to subject: String,
        headers: NATSHeaders = [:],
        timeout: Duration = .seconds(5)
    ) async throws(NATSError) -> NATSMessage {
        try await request(payload, to: subject, headers: headers, timeout: timeout, silence: nil)
    }

    /// The same for a request that, like its answer, may be under way for long on a slow link.
    ///
    /// - Parameters:
    ///   - timeout: how long the server may take once it has the request.
    ///   - silence: how long no byte may come or go while it is unknown whether the server has the request; `nil`: only
    ///     `timeout` counts.
    package func request(
        _ payload: ByteBuffer,
        to subject: String,
        headers: NATSHeaders = [:],
        timeout: Duration,
        silence: Duration?
    ) async throws(NATSError) -> NATSMessage {
        try SubjectRules.validatePublish(subject)
        try headers.validate()
        let promise = loop.eventLoop.makePromise(of: NATSMessage.self)
        let once = SinglePromise(promise)
        return try await answer(promise, once) { () throws(NATSError) in
            try startRequest(payload, to: subject, headers: headers, timeout: timeout, silence: silence) { result in
                switch result {
                case .success(let message): once.complete(.success(message.copied()))
                case .failure(let error): once.complete(.failure(error))
                }
            }
        }
    }

    /// Sends a request and returns the first answer for which `read` returns a value.
    ///
    /// `read` is called on the event loop and must do little. It also sees later answers (`isFurther`), as long as few
    /// requests have followed. `silence` is as above; with `onlyNow` the request goes out on the present connection or
    /// not at all.
    ///
    /// - Throws: as ``request(_:to:headers:timeout:)``.
    package func request<Answer: Sendable>(
        _ payload: ByteBuffer,
        to subject: String,
        headers: NATSHeaders,
        timeout: Duration,
        silence: Duration? = nil,
        onlyNow: Bool = false,
        read: @escaping @Sendable (_ answer: NATSMessageView, _ isFurther: Bool) -> Answer?
    ) async throws(NATSError) -> Answer {
        try SubjectRules.validatePublish(subject)
        try headers.validate()
        let promise = loop.eventLoop.makePromise(of: Answer.self)
        let once = SinglePromise(promise)
        let progress = RequestProgress()
        return try await answer(promise, once) { () throws(NATSError) in
            try startRequest(
                payload,
                to: subject,
                headers: headers,
                timeout: timeout,
                silence: silence,
                onlyNow: onlyNow
            ) { result in
                // Only failures come here.
                if case .failure(let error) = result { once.complete(.failure(error)) }
            } taker: { message in
                guard let answer = read(message, progress.isAnswered), !progress.isAnswered else { return false }
                progress.isAnswered = true
                once.complete(.success(answer))
                return true
            }
        }
    }

    /// Starts a request and waits for what completes it.
    private func answer<Answer: Sendable>(
        _ promise: EventLoopPromise<Answer>,
        _ once: SinglePromise<Answer>,
        _ start: () throws(NATSError) -> UInt64
    ) async throws(NATSError) -> Answer {
        let id: UInt64
        do throws(NATSError) {
            id = try start()
        } catch {
            once.complete(.failure(error))
            throw error
        }
        do {
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                loop.requests.complete(id, .failure(.cancelled))
            }
        } catch let error as NATSError {
            throw error
        } catch {
            throw NATSError(.closed, "the connection's event loop has ended", underlying: error)
        }
    }

    /// Suspends until the server has answered a ping that follows everything published so far. Then it has processed
    /// that, and everything it sent before has come.
    ///
    /// - Parameter silence: how long no byte may come or go.
    /// - Throws: `timeout`, `closed`, `cancelled`.
    package func roundTrip(silence: Duration) async throws(NATSError) {
        try await loop.waitOnLoop(timeout: silence, what: "a ping") { loop, done in loop.ping { done($0) } }
    }

    /// How many bytes have come and gone so far; while this grows, the link is slow but alive.
    package var movedBytes: UInt64 { loop.counts.moved }

    /// How many bytes have come so far. Unlike sent bytes, these do not lie in a buffer of this machine.
    package var receivedBytes: UInt64 { loop.counts.received }

    /// Sends a request without a task: `completion` is called exactly once, mostly on the event loop, and must do
    /// little.
    ///
    /// - Throws: what ``publish(_:to:replyTo:headers:)`` throws; `completion` is not called then.
    @discardableResult
    package func startRequest(
        _ payload: ByteBuffer,
        to subject: String,
        headers: NATSHeaders,
        timeout: Duration,
        silence: Duration? = nil,
        onlyNow: Bool = false,
        completion: @escaping @Sendable (Result<NATSMessageView, NATSError>) -> Void,
        taker: (@Sendable (NATSMessageView) -> Bool)? = nil
    ) throws(NATSError) -> UInt64 {
        let block = headers.block
        let result = payload.withUnsafeReadableBytes { payload in
            block.withUnsafeBytes { block in
                Result { () throws(NATSError) in
                    try startRequest(
                        payload,
                        to: subject,
                        headerBlock: block,
                        timeout: timeout,
                        silence: silence,
                        onlyNow: onlyNow,
                        completion: completion,
                        taker: taker
                    )
                }
            }
        }
        return try result.get()
    }

    /// Sends a request and does not wait for the answer: the request may get lost.
    func requestUnawaited(_ subject: String, timeout: Duration) {
        unawaited.add(1, ordering: .relaxed)
        do throws(NATSError) {
            _ = try startRequest(ByteBuffer(), to: subject, headers: [:], timeout: timeout) { [weak self] _ in
                self?.unawaited.subtract(1, ordering: .relaxed)
            }
        } catch {
            unawaited.subtract(1, ordering: .relaxed)
        }
    }

    /// Gives the server time to take the requests that were sent without waiting, before the connection is closed.
    package func flushUnawaited(timeout: Duration = .seconds(1)) async {
        guard unawaited.load(ordering: .relaxed) > 0 else { return }
        try? await flush(timeout: timeout)
    }

    /// Sends a request whose header block is in wire format; empty: no headers.
    private func startRequest(
        _ payload: UnsafeRawBufferPointer,
        to subject: String,
        headerBlock: UnsafeRawBufferPointer,
        timeout: Duration,
        silence: Duration?,
        onlyNow: Bool,
        completion: @escaping @Sendable (Result<NATSMessageView, NATSError>) -> Void,
        taker: (@Sendable (NATSMessageView) -> Bool)?
    ) throws(NATSError) -> UInt64 {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        // Read first: when the connection is lost in between, the buffer refuses the message.
        let generation = onlyNow ? loop.outbound.generation : nil
        let id = try loop.requests.insert(
            subject: subject,
            deadline: deadline,
            silence: silence.map { TimeAmount($0) },
            isPerishable: onlyNow,
            completion: completion,
            taker: taker
        )
        loop.requestSweeper.schedule(on: loop)
        do throws(NATSError) {
            let sent = loop.replySubjects.withSubject(of: id) { replyTo in
                Result { () throws(NATSError) in
                    try send(payload, to: subject, replyTo: replyTo, headerBlock: headerBlock, onlyOn: generation)
                }
            }
            loop.requests.sent(id, as: try sent.get())
        } catch {
            // The code that has ended the request meanwhile has called `completion` too.
            guard !loop.requests.remove(id) else { throw error }
        }
        return id
    }

    /// Opens a reply subject for several messages on the present connection.
    ///
    /// `handler` is called on the event loop, for each answer and when no more can come, and must do little.
    /// ``closeReply(_:)`` ends that.
    ///
    /// - Parameters:
    ///   - owner: the object whose replies ``endReplies(of:error:)`` ends.
    ///   - hasMessage: whether one of the messages has this subject; when the server forbids the subject, the reply
    ///     subject ends.
    ///   - late: called for messages that come after ``closeReply(_:)``, as long as few others have been closed since.
    /// - Throws: `closed`; `permissionDenied` when the server forbids the inbox.
    package func openReply(
        owner: ObjectIdentifier,
        hasMessage: @escaping @Sendable (_ subject: String) -> Bool,
        handler: @escaping @Sendable (SharedAnswer) -> Void,
        late: @escaping @Sendable (NATSMessageView) -> Void = { _ in }
    ) throws(NATSError) -> SharedReply {
        // Read first: when the connection is lost in between, the buffer refuses the messages.
        let generation = loop.outbound.generation
        let id = try loop.sharedReplies.open(owner: owner, hasMessage: hasMessage, handler: handler, late: late)
        return SharedReply(id: id, generation: generation)
    }

    /// Closes a shared reply subject: its handler is not called any more.
    package func closeReply(_ reply: SharedReply) { loop.sharedReplies.close(reply.id) }

    /// Ends every shared reply of an owner, with an error.
    package func endReplies(of owner: ObjectIdentifier, error: NATSError) {
        loop.sharedReplies.end(of: owner, error: error)
    }

    /// Publishes a message that is answered on a shared reply subject. It goes out on the reply's connection or not at
    /// all.
    ///
    /// - Throws: `connectionFailed` (retriable) when that connection is gone, and what
    ///   ``publish(_:to:replyTo:headers:)`` throws.
    func publish(
        _ payload: UnsafeRawBufferPointer,
        to subject: String,
        replyTo reply: SharedReply,
        headerBlock: UnsafeRawBufferPointer
    ) throws(NATSError) {
        let sent = loop.replySubjects.withSubject(of: reply.id, isShared: true) { replyTo in
            Result { () throws(NATSError) in
                try send(
                    payload,
                    to: subject,
                    replyTo: replyTo,
                    headerBlock: headerBlock,
                    onlyOn: reply.generation
                )
            }
        }
        _ = try sent.get()
    }

    /// Makes a subject to receive answers on; no other client uses it.
    public func makeInbox() -> String { "\(loop.inboxRoot).\(UniqueToken.make())" }

    /// Makes a subject below another one that no other client uses: for answers whose sender may publish only there.
    package func makeInbox(below subject: String) -> String { "\(subject).\(UniqueToken.make())" }

    // MARK: Subscribing

    /// Subscribes with a receiver that is called on the event loop; returns when the server has the subscription.
    ///
    /// - Throws: `invalidSubject`, `permissionDenied`, `timeout`, `closed`, `cancelled`.
    public func subscribe(
        to subject: String,
        queueGroup: String? = nil,
        receiver: any NATSMessageReceiver,
        timeout: Duration = .seconds(10)
    ) async throws(NATSError) -> NATSSubscriptionHandle {
        try SubjectRules.validateSubscribe(subject)
        if let queueGroup { try SubjectRules.validateQueueGroup(queueGroup) }
        let sid = try await loop.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver, timeout: timeout)
        return NATSSubscriptionHandle(subject: subject, sid: sid, loop: loop)
    }

    /// Subscribes and returns the messages as a sequence; when this returns, the server has the subscription.
    ///
    /// - Parameters:
    ///   - subject: may have wildcards: `*` for a token, `>` for the rest.
    ///   - queueGroup: members of a group share the messages: each goes to one of them.
    ///   - maximumMessages: how many messages may wait for the reader before newer ones are dropped and counted.
    ///   - maximumBytes: the same in bytes of memory; a message takes about 256 more than it holds.
    ///   - timeout: how long no byte may come or go before the server answers.
    /// - Throws: `invalidSubject`, `permissionDenied`, `timeout`, `closed`, `cancelled`.
    public func subscribe(
        to subject: String,
        queueGroup: String? = nil,
        maximumMessages: Int = 65_536,
        maximumBytes: Int = 64 << 20,
        timeout: Duration = .seconds(10)
    ) async throws(NATSError) -> NATSSubscription {
        let status = loop.status
        let buffer = MessageBuffer(maximumMessages: maximumMessages, maximumBytes: maximumBytes) {
            status.send(.slowConsumer(subject: subject))
        }
        let handle = try await subscribe(to: subject, queueGroup: queueGroup, receiver: buffer, timeout: timeout)
        return NATSSubscription(handle: handle, buffer: buffer)
    }

    // MARK: Ending

    /// Ends every subscription after it has received what was sent to it, sends what waits, then closes.
    ///
    /// - Throws: `timeout` when the server does not answer in time; the connection is closed all the same.
    public func drain(timeout: Duration = .seconds(10)) async throws(NATSError) {
        try await loop.drain(timeout: timeout)
    }

    /// Closes at once: requests and subscriptions end, later calls throw `closed`. Use ``drain(timeout:)`` or
    /// ``flush(timeout:)`` first when what was published must arrive.
    public func close() async {
        await loop.closeNow()
    }

    /// Reports an error that leaves the connection up, to the log and to the listeners of the status.
    package func report(_ error: NATSError) {
        loop.logger.warning("unexpected answers from the server", [.error: "\(error.message)"])
        loop.status.send(.serverError(error))
    }

    private func send(
        _ payload: ByteBuffer,
        to subject: String,
        replyTo: String,
        headers: NATSHeaders
    ) throws(NATSError) {
        let block = headers.block
        let result = payload.withUnsafeReadableBytes { payload in
            replyTo.withBytes { replyTo in
                block.withUnsafeBytes { block in
                    Result { () throws(NATSError) in
                        try send(payload, to: subject, replyTo: replyTo, headerBlock: block)
                    }
                }
            }
        }
        _ = try result.get()
    }

    /// Appends a message to what is written next; returns its number.
    private func send(
        _ payload: UnsafeRawBufferPointer,
        to subject: String,
        replyTo: UnsafeRawBufferPointer,
        headerBlock: UnsafeRawBufferPointer,
        onlyOn generation: UInt64? = nil
    ) throws(NATSError) -> UInt64 {
        let result = subject.withBytes { subject in
            Result { () throws(NATSError) in
                try loop.outbound.append(
                    subject: subject,
                    reply: replyTo,
                    headers: headerBlock,
                    payload: payload,
                    onlyOn: generation
                )
            }
        }
        return try result.get()
    }
}

/// Whether a request has been answered; touched on the event loop only.
private final class RequestProgress: @unchecked Sendable {
    var isAnswered = false
}

extension String {
    /// Passes the string's UTF-8 to `body`, without a copy when the string stores it contiguously.
    fileprivate func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var text = self
        return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
