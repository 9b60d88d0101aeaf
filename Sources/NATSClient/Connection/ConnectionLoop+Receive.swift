import Logging
import MeshLogging
import NIOCore

// What the server sends, from bytes to receivers.
extension ConnectionLoop {
    func received(_ bytes: ByteBuffer, attempt: Int) {
        guard attempt == machine.attempt, !machine.isClosed else { return }
        isSilent = false
        if readBuffer.readableBytes == 0 {
            // The usual case: a read that ends with an operation is parsed where it lies.
            readBuffer = bytes
        } else {
            readBuffer.reserveCapacity(min(parser.minimumBytes, ProtocolParser.maximumMessage))
            var bytes = bytes
            readBuffer.writeBuffer(&bytes)
        }
        parse()
    }

    func parse() {
        // Before the TCP connection is reported, INFO waits. A write that fails hands over what was still to be read:
        // when that happens while an operation is answered, the bytes wait for their turn.
        guard channel != nil, !isParsing else { return }
        isParsing = true
        defer { isParsing = false }
        while readBuffer.readableBytes > 0, parseOnce() {}
    }

    /// Parses what has come; whether more came meanwhile.
    private func parseOnce() -> Bool {
        let attempt = machine.attempt
        // Taken out, so that a receiver which ends the connection does not pull the bytes from under the parser.
        var buffer = readBuffer
        readBuffer = ByteBuffer()
        do throws(NATSError) {
            try parser.parse(&buffer) { operation throws(NATSError) in
                try handle(operation)
                return machine.attempt == attempt && channel != nil && !machine.isStartingTLS
            }
        } catch {
            fail(error)
        }
        // What came in plain text behind INFO is not taken for the server's words after the handshake.
        guard machine.attempt == attempt, channel != nil, !machine.isStartingTLS else {
            readBuffer.clear()
            return false
        }
        let hasMore = readBuffer.readableBytes > 0
        buffer.discardReadBytes()
        if hasMore { buffer.writeBuffer(&readBuffer) }
        readBuffer = buffer
        return hasMore
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
        switch operation {
        case .message(let frame): deliver(frame)
        case .ping: channel?.writeAndFlush(ByteBuffer(staticString: "PONG\r\n"), promise: nil)
        case .pong: pongReceived()
        case .ok: break
        case .info(let json): infoReceived(try ServerInfo.parse(json))
        case .error(let text): serverReported(text)
        }
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
        let wasLameDuck = self.info?.isLameDuck ?? false
        self.info = info
        perform(machine.infoReceived(info))
        if info.isLameDuck, !wasLameDuck, let server = machine.server {
            logger.notice("the server is about to shut down", [.server: "\(server)"])
            status.send(.lameDuck(server))
        }
    }

    private func pongReceived() {
        guard machine.isConnected else {
            perform(machine.loginAnswered())
            return
        }
        guard !pings.isEmpty else { return }
        let ping = pings.removeFirst()
        lastConfirmed = max(lastConfirmed, ping.confirms)
        finishBatch()
        for waiter in ping.waiters { waiter(.success(())) }
    }

    /// An `-ERR`: while logging in it ends the attempt; later, the server either goes on or closes by itself.
    private func serverReported(_ text: String) {
        let report = ServerReport(text)
        switch report.kind {
        case .subscriptionDenied(let name):
            subscriptionDenied(name, report.error)
        case .publishDenied(let subject):
            // Whoever waits for an answer learns it there; of other messages the publisher is told.
            let isAwaited = requests.denied(subject: subject, error: report.error)
            let isShared = sharedReplies.denied(subject: subject, error: report.error)
            guard !isAwaited, !isShared else { return }
            outbound.refused(subject, report.error)
            status.send(.serverError(report.error))
        case .other:
            guard machine.isConnected else { return fail(report.error) }
            status.send(.serverError(report.error))
            // The server closes after these; say why instead of "closed the connection".
            if report.closesConnection { fail(report.error) }
        }
    }

    private func subscriptionDenied(_ name: ServerReport.SubscriptionName, _ error: NATSError) {
        if name.subject == inbox.subject {
            inbox.failure = error
            requests.block(error)
            sharedReplies.block(error)
            return
        }
        let denied = subscriptions.all.filter { entry in
            guard entry.failure == nil, entry.subject == name.subject else { return false }
            return name.sid.map { $0 == entry.sid } ?? (entry.queueGroup == name.queueGroup)
        }
        for entry in denied {
            entry.failure = error
            end(entry, error: error)
        }
        status.send(.serverError(error))
    }
}
