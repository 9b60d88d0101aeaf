import Logging
import MeshConcurrency
import MeshLogging
import NIOCore
import NIOTLS

/// The engine of one connection: everything here runs on its event loop, unless its comment says otherwise.
///
/// It is `@unchecked Sendable` because mutable members are used on `eventLoop` only (checked in debug builds). What
/// other threads need has its own lock (`outbound`, `requests`, `status`).
final class ConnectionLoop: @unchecked Sendable {
    let configuration: NATSConnection.Configuration
    let eventLoop: any EventLoop
    let outbound: OutboundBuffer
    let requests = RequestTable()
    let requestSweeper = RequestSweeper()
    let sharedReplies = SharedReplyTable()
    let subscriptions: SubscriptionTable
    let status = StatusBroadcaster()
    let counts = ConnectionCounts()
    /// What all inboxes of this user begin with.
    let inboxRoot: String
    /// The subjects that the answers to this connection's requests come to.
    let replySubjects: ReplySubjects
    let logger: Logger

    private(set) var machine: ConnectionStateMachine
    private(set) var info: ServerInfo?
    private let opener: ChannelOpener
    private let callbacks: LoginCallbacks
    /// What the callbacks of the login have answered for the present attempt.
    private var answer: LoginFields?
    /// Whether `CONNECT` has been sent in the present attempt.
    private var isLoginSent = false
    private(set) var channel: (any Channel)?
    /// Ends the present attempt when nothing has come for ``NATSConnection/Configuration/connectTimeout``.
    private var attemptTimeout: Scheduled<Void>?
    /// When the present attempt ends at the latest.
    private var attemptEnd = NIODeadline.now()
    /// When the connection became ready.
    private var connectedSince = NIODeadline.now()
    /// Completed when the first connection is up, or when there will be none.
    private var started: EventLoopPromise<ServerInfo>?
    /// Why the last attempt failed.
    private var lastFailure: String?
    /// Whether this was reported: once for each connection, however often the server says it.
    private var isLameDuckReported = false

    private var incoming = IncomingBytes()
    private var isParsing = false
    private var pongs = OwedPongs()

    private let writer: OutboundWriter
    private var keepAlive: RepeatedTask?
    private var silence = ServerSilence()

    init(
        configuration: NATSConnection.Configuration,
        tlsContext: TLSContext?,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        inboxRoot = configuration.inboxPrefix ?? configuration.authentication.inboxPrefix
        replySubjects = ReplySubjects(prefix: "\(inboxRoot).\(UniqueToken.make())")
        opener = ChannelOpener(configuration, tlsContext: tlsContext)
        callbacks = LoginCallbacks(eventLoop)
        let flusher = Flusher()
        outbound = OutboundBuffer(highWaterMark: configuration.maximumPendingBytes) { flusher.schedule() }
        writer = OutboundWriter(outbound)
        machine = ConnectionStateMachine(
            servers: configuration.servers,
            randomizes: configuration.randomizesServers,
            takesAnnounced: !configuration.ignoresAnnouncedServers,
            delay: configuration.reconnectDelay,
            retriesInitially: configuration.retriesInitialConnect,
            maximumPasses: configuration.maximumReconnectPasses,
            tlsFirst: configuration.tls?.handshakeFirst ?? false,
            tlsRequired: configuration.tls != nil
        )
        subscriptions = SubscriptionTable(
            inbox: SubscriptionEntry(
                sid: 0,
                subject: replySubjects.wildcard,
                queueGroup: nil,
                receiver: RequestInbox(replySubjects, requests: requests, sharedReplies: sharedReplies)
            )
        )
        flusher.loop = self
    }

    func start() -> EventLoopFuture<ServerInfo> {
        eventLoop.flatSubmit {
            let promise = self.eventLoop.makePromise(of: ServerInfo.self)
            self.started = promise
            self.perform(self.machine.start())
            return promise.futureResult
        }
    }

    /// From any thread: closes, and returns when that is done.
    func closeNow() async {
        try? await eventLoop.submit { self.perform(self.machine.close()) }.get()
    }

    /// From any thread: closes, without waiting for that.
    func close() {
        eventLoop.execute { self.perform(self.machine.close()) }
    }

    /// Carries out what the state machine decided.
    private func perform(_ actions: [ConnectionStateMachine.Action]) {
        eventLoop.assertInEventLoop()
        for action in actions {
            switch action {
            case .connect(let server, let attempt): openChannel(to: server, attempt: attempt)
            case .wait(let duration): wait(duration)
            case .startTLS: startTLS()
            case .login: login()
            case .ready(let isReconnect): becomeReady(isReconnect: isReconnect)
            case .closeChannel: closeChannel()
            case .attemptFailed(let server): attemptFailed(server)
            case .lost: connectionLost()
            case .end: end()
            }
        }
    }

    func fail(_ error: NATSError) {
        perform(machine.failed(error, uptime: Duration(NIODeadline.now() - connectedSince)))
    }

    private func wait(_ duration: Duration) {
        eventLoop.scheduleTask(in: TimeAmount(duration)) { self.perform(self.machine.waitElapsed()) }
    }

    /// A new reason that waiting does not remove, such as a file that cannot be read, is logged as a warning, once.
    private func attemptFailed(_ server: ServerAddress) {
        guard let error = machine.lastError else { return }
        let needsAction = error.code == .tlsFailed || error.code == .authenticationFailed
        if needsAction, lastFailure != error.message {
            logger.warning("connecting failed", [.server: "\(server)", .error: "\(error)"])
        } else {
            logger.debug("connecting failed", [.server: "\(server)", .error: "\(error)"])
        }
        lastFailure = error.message
        status.send(.reconnectFailed(server, error))
    }

    /// Starts using the first connection, or a new one: restores subscriptions, then sends what waits.
    private func becomeReady(isReconnect: Bool) {
        attemptTimeout?.cancel()
        opener.loginAccepted()
        lastFailure = nil
        guard let info, let server = machine.server else { return }
        restoreSubscriptions()
        outbound.connected(info)
        startKeepAlive()
        connectedSince = .now()
        flush()
        logger.debug("connected", [.server: "\(server)", .version: "\(info.version)"])
        if isReconnect {
            counts.countReconnect()
            status.send(.reconnected(server))
        } else {
            status.send(.connected(server))
            started?.succeed(info)
            started = nil
        }
    }

    /// Handles the loss of an established connection: counts the messages on their way, and keeps those that wait.
    private func connectionLost() {
        let error = machine.lastError ?? NATSError(.connectionFailed, "the connection was lost", isRetriable: true)
        let underWay = writer.sent.connectionLost()
        counts.countUnconfirmed(underWay)
        logger.warning(
            "connection lost, reconnecting",
            [.error: "\(error.message)", .unconfirmed: "\(underWay)"]
        )
        requests.connectionLost(lastWritten: writer.sent.lastWritten, error: error)
        sharedReplies.connectionLost(error: error)
        status.send(.disconnected(reason: error, unconfirmed: underWay))
    }

    /// No attempt follows: every waiting caller gets the error.
    private func end() {
        let error = machine.lastError
        attemptTimeout?.cancel()
        let reason = error ?? .closed
        outbound.close(reason)
        requests.block(reason)
        sharedReplies.block(reason)
        for answer in writer.pings.takeWaiters() { answer(.failure(reason)) }
        subscriptions.endAll(error: error)
        started?.fail(reason)
        started = nil
        status.send(.closed(error))
    }

    // MARK: The channel

    private func openChannel(to server: ServerAddress, attempt: Int) {
        incoming.reset()
        pongs = OwedPongs()
        isLameDuckReported = false
        isLoginSent = false
        answer = nil
        info = nil
        guard let question = configuration.question(for: server) else {
            return openChannel(to: server, attempt: attempt, headers: [:])
        }
        // Before the connection is opened: a server gives its clients little time to log in.
        callbacks.ask(within: configuration.connectTimeout, question) { result in
            guard self.isOpening(attempt) else { return }
            switch result {
            case .success(let provided):
                self.answer = provided.login
                self.openChannel(to: server, attempt: attempt, headers: provided.webSocketHeaders)
            case .failure(let error): self.fail(error)
            }
        }
    }

    private func openChannel(to server: ServerAddress, attempt: Int, headers: [String: String]) {
        attemptEnd = NIODeadline.now() + TimeAmount(longestAttempt)
        attemptMoved(attempt)
        opener.open(to: server, attempt: attempt, headers: headers, for: self)
    }

    /// How long an attempt may take, whatever comes: a server that sends a byte now and then must not keep the client from
    /// the others. Connecting through a proxy, with TLS and over a WebSocket, is at most eight round trips.
    private var longestAttempt: Duration { configuration.connectTimeout * 10 }

    /// Notes that an attempt goes on, because bytes have come or the login is sent. The server has the whole time again: on a
    /// link with a long delay, all round trips together take longer than any of them may.
    ///
    /// - Returns: whether the attempt is under way.
    @discardableResult
    func attemptMoved(_ attempt: Int) -> Bool {
        guard machine.attempt == attempt, case .connecting = machine.state else { return false }
        attemptTimeout?.cancel()
        let deadline = min(NIODeadline.now() + TimeAmount(configuration.connectTimeout), attemptEnd)
        attemptTimeout = eventLoop.scheduleTask(deadline: deadline) { self.attemptLate(attempt) }
        return true
    }

    private func attemptLate(_ attempt: Int) {
        guard machine.attempt == attempt, case .connecting(let server, let stage) = machine.state else { return }
        guard NIODeadline.now() < attemptEnd else {
            let text = "\(server) sends something now and then, but has not let this client in within \(longestAttempt)"
            return fail(NATSError(.connectionFailed, text, isRetriable: true))
        }
        fail(opener.silence(of: server, at: stage))
    }

    /// Whether the channel of this attempt is still to be opened.
    func isOpening(_ attempt: Int) -> Bool {
        guard machine.attempt == attempt, case .connecting(_, .tcp) = machine.state else { return false }
        return true
    }

    /// Takes over the channel that was opened for an attempt, or the reason why there is none.
    func opened(_ result: Result<any Channel, any Error>, to server: ServerAddress, attempt: Int) {
        switch result {
        case .success(let channel):
            guard isOpening(attempt) else {
                channel.close(promise: nil)
                return
            }
            self.channel = channel
            ChannelOpener.limitSystemBuffer(of: channel)
            perform(machine.tcpConnected())
            // INFO may have come before this callback.
            parse()
        case .failure(let error):
            guard machine.attempt == attempt else { return }
            fail(error as? NATSError ?? tlsFailure(error) ?? opener.failure(to: server, error))
        }
    }

    private func startTLS() {
        guard let channel, let server = machine.server else { return }
        do {
            try opener.startTLS(on: channel, to: server, for: self)
        } catch {
            fail(NATSError(.tlsFailed, "TLS with \(server) cannot be set up", underlying: error))
        }
    }

    fileprivate func tlsEstablished(attempt: Int) {
        guard machine.attempt == attempt else { return }
        perform(machine.tlsEstablished())
    }

    private func tlsFailure(_ error: any Error) -> NATSError? {
        opener.tlsFailure(error, with: machine.server, isRetriable: machine.isConnected)
    }

    private func login() {
        guard let info, let server = machine.server else { return }
        do throws(NATSError) {
            let login = try configuration.authentication.login(for: server, nonce: info.nonce, answer: answer)
            switch login {
            case .ready(let fields): sendLogin(fields, to: server, info)
            case .unsigned(let question):
                let attempt = machine.attempt
                // The callback has a deadline of its own.
                attemptTimeout?.cancel()
                callbacks.ask(within: configuration.connectTimeout, question) { result in
                    guard self.machine.attempt == attempt, self.machine.isLoggingIn else { return }
                    switch result {
                    case .success(let fields): self.sendLogin(fields, to: server, info)
                    case .failure(let error): self.fail(error)
                    }
                }
            }
        } catch {
            fail(error)
        }
    }

    private func sendLogin(_ fields: LoginFields, to server: ServerAddress, _ info: ServerInfo) {
        guard let channel else { return }
        attemptMoved(machine.attempt)
        let usesTLS = configuration.tls != nil || server.usesTLS || info.requiresTLS
        let command = ConnectCommand(
            name: configuration.name,
            tls: usesTLS,
            echo: configuration.receivesOwnMessages,
            info: info,
            login: fields
        )
        let inbox = subscriptions.inbox
        do {
            var buffer = ByteBuffer(string: try command.line())
            CommandWriter.subscribe(into: &buffer, subject: inbox.subject, queueGroup: nil, sid: inbox.sid)
            buffer.writeStaticString("PING\r\n")
            inbox.failure = nil
            requests.block(nil)
            sharedReplies.block(nil)
            isLoginSent = true
            channel.writeAndFlush(buffer, promise: nil)
        } catch {
            fail(NATSError(.authenticationFailed, "the login cannot be written", underlying: error))
        }
    }

    /// Handles a channel that has closed by itself, or on which an error was caught.
    fileprivate func channelClosed(attempt: Int, error: (any Error)?) {
        guard attempt == machine.attempt, !machine.isClosed else { return }
        let server = machine.server.map(String.init(describing:)) ?? "the server"
        if let error, let failure = tlsFailure(error) {
            fail(failure)
        } else if case .connecting(_, .login) = machine.state, usesClientTLS {
            // TLS 1.3 refuses a client certificate only after the handshake, by closing.
            let isGiven = configuration.tls?.certificateFile != nil
            let guess = isGiven ? "does it refuse this client's certificate?" : "does it want a client certificate?"
            fail(NATSError(.tlsFailed, "\(server) closed the connection after TLS; \(guess)"))
        } else {
            let cause = error.map { ": \($0)" } ?? ""
            fail(
                NATSError(
                    .connectionFailed,
                    "\(server) closed the connection\(cause)",
                    underlying: error,
                    isRetriable: true
                )
            )
        }
    }

    private var usesClientTLS: Bool { configuration.tls != nil || machine.server?.usesTLS == true }

    private func closeChannel() {
        writer.disconnected()
        keepAlive?.cancel()
        keepAlive = nil
        attemptTimeout?.cancel()
        callbacks.cancel()
        opener.giveUp()
        subscriptions.finishBatch()
        let channel = channel
        self.channel = nil
        channel?.close(promise: nil)
    }

    // MARK: Receiving

    fileprivate func received(_ bytes: ByteBuffer, attempt: Int) {
        guard attempt == machine.attempt, !machine.isClosed else { return }
        counts.countReceived(bytes.readableBytes)
        moved(bytes.readableBytes)
        incoming.append(bytes)
        parse()
    }

    private func parse() {
        // INFO waits until the TCP connection is reported. A write that fails delivers the bytes that were still to be
        // read. When that happens while an operation is being answered, those bytes wait.
        guard channel != nil, !isParsing else { return }
        guard !machine.isStartingTLS else { return incoming.clear() }
        isParsing = true
        defer { isParsing = false }
        while !incoming.isEmpty, parseOnce() {}
        writePongs()
    }

    /// Receivers collect about this many bytes of messages at most before their batch ends.
    private static let maximumBatch = 1 << 20

    /// Parses what has come; returns whether more came meanwhile.
    private func parseOnce() -> Bool {
        let attempt = machine.attempt
        // Both are taken out. An operation may end the connection, begin the next one and deliver more bytes. That must
        // not use the parser at work, nor change the bytes it reads.
        var (buffer, parser) = incoming.take()
        var failure: NATSError?
        let used = buffer.withUnsafeReadableBytes { bytes in
            var offset = 0
            var batch = 0
            do throws(NATSError) {
                while offset < bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                    guard let (operation, length) = try parser.next(in: rest) else { break }
                    offset += length
                    try handle(operation)
                    if offset - batch >= Self.maximumBatch {
                        // A WebSocket's frame can bring any number of messages.
                        batch = offset
                        subscriptions.finishBatch()
                    }
                    guard isReading(attempt) else { break }
                }
            } catch {
                failure = error
            }
            return offset
        }
        if let failure { fail(failure) }
        // Plain text that came after INFO is dropped: after the handshake it must not count as the server's.
        guard isReading(attempt) else {
            incoming.reset()
            return false
        }
        if let message = parser.takeAnnouncement() { announce(message) }
        buffer.moveReaderIndex(forwardBy: used)
        buffer.discardReadBytes()
        return incoming.putBack(buffer, parser)
    }

    /// Whether what was read on the channel of an attempt still counts.
    private func isReading(_ attempt: Int) -> Bool {
        machine.attempt == attempt && channel != nil && !machine.isStartingTLS
    }

    private func handle(_ operation: ServerOperation) throws(NATSError) {
        guard machine.isConnected else { return try handleBeforeReady(operation) }
        switch operation {
        case .message(let frame): subscriptions.deliver(frame)
        case .ping: pongs.pinged()
        case .pong: pongReceived()
        case .ok: break
        case .info(let json): infoReceived(try ServerInfo.parse(json))
        case .error(let text): serverReported(text)
        }
    }

    /// Until the server has accepted the login, it may greet, and answer or refuse the login, nothing else. Without
    /// encryption, any party on the way could have written the bytes: a message or a refused subscription must not
    /// reach subscribers.
    private func handleBeforeReady(_ operation: ServerOperation) throws(NATSError) {
        switch operation {
        case .info(let json): infoReceived(try ServerInfo.parse(json))
        case .pong where isLoginSent: perform(machine.loginAnswered())
        case .ping where isLoginSent: pongs.pinged()
        case .ok where isLoginSent: break
        case .error(let text): loginRefused(text)
        case .message, .ping, .pong, .ok:
            throw NATSError(
                .protocolViolation,
                "the server sent an unexpected operation before it accepted the login; is this really a NATS server?",
                isRetriable: true
            )
        }
    }

    /// Answers the pings of this read in one write, unless the last write of pongs is still under way.
    private func writePongs() {
        guard let channel else { return }
        let count = pongs.take()
        guard count > 0 else { return }
        var answer = ByteBuffer()
        for _ in 0..<count { answer.writeStaticString("PONG\r\n") }
        let attempt = machine.attempt
        channel.writeAndFlush(answer).whenSuccess {
            guard self.machine.attempt == attempt else { return }
            self.pongs.written()
            self.writePongs()
        }
    }

    private func announce(_ message: ProtocolParser.Announcement) {
        guard machine.isConnected else { return }
        subscriptions.find(message.sid)?.receiver.receiveBegin(replyTo: message.reply)
    }

    private func infoReceived(_ info: ServerInfo) {
        self.info = info
        perform(machine.infoReceived(info))
        guard machine.isConnected else { return }
        outbound.learned(info)
        if info.isLameDuck, !isLameDuckReported, let server = machine.server {
            isLameDuckReported = true
            logger.notice("the server is about to shut down", [.server: "\(server)"])
            status.send(.lameDuck(server))
        }
    }

    private func pongReceived() {
        guard let ping = writer.pings.takeAnswered() else { return }
        writer.sent.confirmed(upTo: ping.confirms)
        subscriptions.finishBatch()
        let refused = writer.pings.takeRefusals(of: ping)
        for (entry, error) in refused.subscriptions {
            entry.failure = error
            subscriptions.end(entry, error: error)
        }
        for error in Set(refused.errors.map(\.message)) { status.send(.serverError(NATSError(.serverError, error))) }
        ping.succeed()
    }

    /// Handles an `-ERR` before the login was accepted. It ends the attempt, unless it forbids only the inbox.
    private func loginRefused(_ text: String) {
        let report = ServerReport(text)
        if isLoginSent, case .subscriptionDenied(let name) = report.kind,
            name.subject == subscriptions.inbox.subject
        {
            return inboxDenied(report.error)
        }
        guard !machine.isUnprotected else {
            // Any party on the way can send this: it does not count as the server's final answer to the login.
            let text = "the server refused the connection before TLS began: \(report.error.message)"
            return fail(NATSError(.connectionFailed, text, underlying: report.error, isRetriable: true))
        }
        fail(report.error)
    }

    /// Handles an `-ERR` on an established connection: the server either goes on or closes the connection.
    private func serverReported(_ text: String) {
        let report = ServerReport(text)
        switch report.kind {
        case .subscriptionDenied(let name):
            guard name.subject != subscriptions.inbox.subject else { return inboxDenied(report.error) }
            subscriptions.denied(name, error: report.error)
            status.send(.serverError(report.error))
        case .subscriptionRefused:
            writer.pings.refused(report.error)
        case .publishDenied(let subject) where JetStream.isOwnMessage(subject):
            // A reader of JetStream sent this (a pull or an acknowledgement) and gets the error here: no publisher's
            // flush is to fail.
            if !requests.denied(subject: subject, error: report.error) { status.send(.serverError(report.error)) }
        case .publishDenied(let subject):
            // A caller that waits for an answer gets the error there; for other messages the publisher gets it.
            let isAwaited = requests.denied(subject: subject, error: report.error)
            let isShared = sharedReplies.denied(subject: subject, error: report.error)
            guard !isAwaited, !isShared else { return }
            outbound.refused(subject, report.error)
            status.send(.serverError(report.error))
        case .other:
            status.send(.serverError(report.error))
            // The server closes the connection after these; report this reason instead of "closed the connection".
            if report.closesConnection { fail(report.error) }
        }
    }

    private func inboxDenied(_ error: NATSError) {
        subscriptions.inbox.failure = error
        requests.block(error)
        sharedReplies.block(error)
    }

    // MARK: Sending

    fileprivate func flush() { writer.flush(self) }

    /// Calls `answer` when the server has answered a ping.
    func ping(
        _ place: OutboundWriter.PingPlace = .behindAll,
        _ answer: @escaping (Result<Void, NATSError>) -> Void
    ) {
        writer.ping(place, on: self, answer)
    }

    /// Notes that bytes have come, or that the server has taken some: the connection is alive.
    func moved(_ bytes: Int) {
        silence.moved()
        if machine.isConnected { counts.countMoved(bytes) }
    }

    private func startKeepAlive() {
        let interval = TimeAmount(configuration.pingInterval)
        silence = ServerSilence()
        keepAlive = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in self.checkAlive() }
    }

    private func checkAlive() {
        let silentIntervals = silence.endInterval()
        guard silentIntervals <= configuration.maximumPingsOut else {
            let silence = configuration.pingInterval * silentIntervals
            return fail(NATSError(.connectionFailed, "the server has been silent for \(silence)", isRetriable: true))
        }
        ping(.early) { _ in }
    }

    /// From any thread: suspends until the server has answered a ping that follows everything published before.
    func flush(timeout: Duration) async throws(NATSError) {
        try await waitOnLoop(timeout: timeout, what: "the flush") { loop, done in
            loop.ping { result in done(result.flatMap { loop.takeUnreported() }) }
        }
    }

    /// The error of messages published since the last flush, when there is one.
    private func takeUnreported() -> Result<Void, NATSError> {
        if let refused = outbound.takeRefusals() { return .failure(refused) }
        let unconfirmed = writer.sent.takeUnreported()
        guard unconfirmed > 0 else { return .success(()) }
        return .failure(
            NATSError(
                .messagesUnconfirmed,
                "the connection was lost with \(unconfirmed) messages unconfirmed; they may not have arrived"
            )
        )
    }

    // MARK: Subscriptions

    /// Subscribes; calls `answer` when the server has the subscription.
    func subscribe(_ entry: SubscriptionEntry, _ answer: @escaping (Result<Void, NATSError>) -> Void) {
        guard !machine.isClosed else { return answer(.failure(machine.lastError ?? .closed)) }
        subscriptions.insert(entry)
        outbound.subscribe(to: entry.subject, queueGroup: entry.queueGroup, sid: entry.sid)
        if machine.isConnected { writer.pings.subscribed(entry) }
        ping(.early) { result in answer(entry.failure.map(Result.failure) ?? result) }
    }

    /// Subscribes again on a new connection, with what is left of the limits; leaves out drained subscriptions.
    private func restoreSubscriptions() {
        let entries = subscriptions.all.filter { !$0.isDraining }
        guard let channel, !entries.isEmpty else { return }
        var buffer = ByteBuffer()
        for entry in entries {
            CommandWriter.subscribe(into: &buffer, subject: entry.subject, queueGroup: entry.queueGroup, sid: entry.sid)
            guard let limit = entry.limit else { continue }
            // The server counts from zero again.
            CommandWriter.unsubscribe(into: &buffer, sid: entry.sid, after: limit - entry.delivered)
        }
        channel.writeAndFlush(buffer, promise: nil)
        writer.pings.restored(entries)
    }
}

/// Passes the events of one channel to the connection's loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let loop: ConnectionLoop
    private let attempt: Int
    private var error: (any Error)?

    init(loop: ConnectionLoop, attempt: Int) {
        self.loop = loop
        self.attempt = attempt
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.received(unwrapInboundIn(data), attempt: attempt)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loop.subscriptions.finishBatch()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { loop.tlsEstablished(attempt: attempt) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that closes without TLS's `close_notify` has still just closed.
        if !TLSContext.isUncleanShutdown(error) { self.error = self.error ?? error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.channelClosed(attempt: attempt, error: error)
    }
}

/// Schedules flushes. It holds the loop weakly, because the loop owns the buffer that owns this.
private final class Flusher: @unchecked Sendable {
    // Written once, before any thread uses the outbound buffer.
    weak var loop: ConnectionLoop?

    func schedule() {
        guard let loop else { return }
        if loop.eventLoop.inEventLoop {
            loop.eventLoop.assumeIsolated().execute { loop.flush() }
        } else {
            loop.eventLoop.execute { loop.flush() }
        }
    }
}
