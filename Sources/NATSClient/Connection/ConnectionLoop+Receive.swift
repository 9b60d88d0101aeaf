import Logging
import MeshLogging
import NIOCore

// What the server sends, from bytes to receivers.
extension ConnectionLoop {
    func received(_ bytes: ByteBuffer, attempt: Int) {
        guard attempt == machine.attempt, !machine.isClosed else { return }
        counts.countReceived(bytes.readableBytes)
        moved(bytes.readableBytes)
        if readBuffer.readableBytes == 0 {
            // The usual case: a read that ends with an operation is parsed in place.
            readBuffer = bytes
        } else {
            readBuffer.reserveCapacity(min(parser.minimumBytes, ProtocolParser.maximumMessage))
            var bytes = bytes
            readBuffer.writeBuffer(&bytes)
        }
        parse()
    }

    func parse() {
        // INFO waits until the TCP connection is reported. A write that fails delivers the bytes that were still to be
        // read. When that happens while an operation is being answered, those bytes wait.
        guard channel != nil, !isParsing else { return }
        guard !machine.isStartingTLS else { return readBuffer.clear() }
        isParsing = true
        defer { isParsing = false }
        while readBuffer.readableBytes > 0, parseOnce() {}
        writePongs()
    }

    /// Receivers collect about this many bytes of messages at most before their batch ends.
    private static let maximumBatch = 1 << 20

    /// Parses what has come; returns whether more came meanwhile.
    private func parseOnce() -> Bool {
        let attempt = machine.attempt
        // Both are taken out. An operation may end the connection, begin the next one and deliver more bytes. That must
        // not use the parser at work, nor change the bytes it reads.
        var buffer = readBuffer
        readBuffer = ByteBuffer()
        var parser = parser
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
                        finishBatch()
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
            readBuffer.clear()
            self.parser = ProtocolParser()
            return false
        }
        if let message = parser.takeAnnouncement() { announce(message) }
        self.parser = parser
        let hasMore = readBuffer.readableBytes > 0
        buffer.moveReaderIndex(forwardBy: used)
        buffer.discardReadBytes()
        if hasMore { buffer.writeBuffer(&readBuffer) }
        readBuffer = buffer
        return hasMore
    }

    /// Whether what was read on the channel of an attempt still counts.
    private func isReading(_ attempt: Int) -> Bool {
        machine.attempt == attempt && channel != nil && !machine.isStartingTLS
    }

    /// Ends the batch of every subscription that has had messages.
    func finishBatch() {
        guard !touched.isEmpty else { return }
        let entries = touched
        touched.removeAll(keepingCapacity: true)
        for entry in entries {
            entry.isTouched = false
            entry.receiver.receiveBatchEnd()
        }
    }

    private func handle(_ operation: ServerOperation) throws(NATSError) {
        guard machine.isConnected else { return try handleBeforeReady(operation) }
        switch operation {
        case .message(let frame): deliver(frame)
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
        case .pong where machine.isLoggingIn: perform(machine.loginAnswered())
        case .ping where machine.isLoggingIn: pongs.pinged()
        case .ok where machine.isLoggingIn: break
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

    private func deliver(_ frame: MessageFrame) {
        guard let entry = frame.sid == inbox.sid ? inbox : subscriptions.find(frame.sid) else { return }
        entry.delivered += 1
        if !entry.isTouched {
            entry.isTouched = true
            touched.append(entry)
        }
        entry.receiver.receive(NATSMessageView(frame))
        if let limit = entry.limit, entry.delivered >= limit { end(entry, error: nil) }
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
        guard !pings.isEmpty else { return }
        let ping = pings.removeFirst()
        lastConfirmed = max(lastConfirmed, ping.confirms)
        finishBatch()
        settleRefusals(of: ping.subscribes)
        for waiter in ping.waiters { waiter.answer(.success(())) }
    }

    /// Handles an `-ERR` before the login was accepted. It ends the attempt, unless it forbids only the inbox.
    private func loginRefused(_ text: String) {
        let report = ServerReport(text)
        if machine.isLoggingIn, case .subscriptionDenied(let name) = report.kind, name.subject == inbox.subject {
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
            subscriptionDenied(name, report.error)
        case .subscriptionRefused:
            // The number of refusals, known when the ping behind them is answered, tells which subscriptions were
            // refused.
            guard refusals.count < Self.maximumRefusals else { return }
            refusals.append(report.error)
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

    private func subscriptionDenied(_ name: ServerReport.SubscriptionName, _ error: NATSError) {
        guard name.subject != inbox.subject else { return inboxDenied(error) }
        let denied = subscriptions.all.filter { entry in
            guard entry.failure == nil, entry.subject == name.subject else { return false }
            return name.sid.map { $0 == entry.sid }
                ?? (name.isAnyQueueGroup || entry.queueGroup == name.queueGroup)
        }
        for entry in denied {
            entry.failure = error
            end(entry, error: error)
        }
        status.send(.serverError(error))
    }

    /// The most refusals without a subject that are kept between two pings.
    private static let maximumRefusals = 4_096

    /// Ends the subscriptions that the server has refused without naming them. A server at its limit refuses the last
    /// subscriptions it was sent, in their order: as many as there were refusals.
    private func settleRefusals(of subscribes: [SubscriptionEntry]) {
        guard !refusals.isEmpty else { return }
        let errors = refusals
        refusals = []
        let waiting = subscribes.filter { $0.failure == nil }
        for (entry, error) in zip(waiting.suffix(errors.count), errors.suffix(waiting.count)) {
            let named = NATSError(
                error.code,
                error.message.replacing("a subscription", with: "the subscription to \(entry.subject)"),
                isRetriable: error.isRetriable
            )
            entry.failure = named
            end(entry, error: named)
        }
        for error in Set(errors.map(\.message)) { status.send(.serverError(NATSError(.serverError, error))) }
    }

    private func inboxDenied(_ error: NATSError) {
        inbox.failure = error
        requests.block(error)
        sharedReplies.block(error)
    }
}
