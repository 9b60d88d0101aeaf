import Locking
import MeshEvents
import NATSClient
import NIOCore

/// Where the messages of one durable subscriber arrive: one subscription for all its requests.
///
/// What arrives is kept, also when its request has ended: to drop it would cost one of its deliveries.
final class DurableInbox: NATSMessageReceiver {
    /// How a request ended.
    enum End: Sendable, Equatable {
        /// As many messages as were asked for are here.
        case filled
        /// The server ended it: the code and the words.
        case status(Int, String)
        /// The connection was lost, and the request with it.
        case disconnected
        /// The server forbids this user to ask for messages of this durable.
        case refused
        /// The subscription has ended.
        case closed
    }

    private struct State {
        var messages: [DurableMessage] = []
        /// What a message is recognised by that has begun to come.
        var beginning: String?
        var request: UInt64 = 0
        var wanted = 0
        var end: End?
        var isClosed = false
        var isAbandoned = false
        var waiter: Completion?
    }

    /// The subject that requests name for answers, without the request's number.
    let subject: String
    private let connection: NATSConnection
    private let state = Locked(State())

    init(_ connection: NATSConnection) {
        self.connection = connection
        subject = connection.makeInbox()
    }

    /// Takes messages that are here already.
    func take(_ limit: Int) -> [DurableMessage] {
        state.withLock { state in
            let taken = Array(state.messages.prefix(limit))
            state.messages.removeFirst(taken.count)
            return taken
        }
    }

    /// Begins a request; its number, and what completes when it ends.
    func begin(_ limit: Int) -> (number: UInt64, ended: Completion) {
        state.withLock { state in
            let completion = Completion()
            state.request += 1
            state.wanted = limit
            state.end = state.isClosed ? .closed : nil
            state.waiter = completion
            if state.isClosed { completion.complete() }
            return (state.request, completion)
        }
    }

    /// What the messages are recognised by that are here or have begun to come.
    var tokens: [String] {
        state.withLock { state in state.messages.map(\.token) + (state.beginning.map { [$0] } ?? []) }
    }

    /// How the request ended; `nil` when it has not.
    var end: End? { state.withLock { $0.end } }

    /// Nobody asks any more: what still arrives goes back at once.
    func abandon() { state.withLock { $0.isAbandoned = true } }

    /// The connection was lost.
    func disconnected() { finish(.disconnected) }

    /// The server has forbidden a request.
    func refused() { finish(.refused) }

    func receiveBegin(replyTo: String) {
        guard AcknowledgementSubject(replyTo) != nil else { return }
        state.withLock { $0.beginning = replyTo }
    }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyTo) else {
            receiveStatus(message)
            return
        }
        let received = DurableMessage(
            stored: StoredMessage(
                subject: String(decoding: message.subject, as: UTF8.self),
                payload: Array(message.payload),
                sequence: position.streamSequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: position.timestamp),
                headers: MessageHeaders(block: message.headers)
            ),
            deliveries: Int(clamping: position.deliveries),
            token: String(decoding: message.replyTo, as: UTF8.self)
        )
        let isAbandoned = state.withLock { state in
            state.beginning = nil
            if state.isAbandoned { return true }
            state.messages.append(received)
            if state.messages.count >= state.wanted, state.end == nil { state.end = .filled }
            return false
        }
        if isAbandoned { try? connection.publish(ByteBuffer(string: "-NAK"), to: received.token) }
    }

    func receiveBatchEnd() {
        let waiter = state.withLock { state in state.end == nil ? nil : state.waiter }
        waiter?.complete()
    }

    func receiveEnd(_ error: NATSError?) {
        state.withLock { $0.isClosed = true }
        finish(.closed)
    }

    private func receiveStatus(_ message: NATSMessageView) {
        let status = message.copied()
        guard let code = status.status, code != 100,
            // Of an earlier request, of which nobody waits any more for the end.
            status.subject.hasSuffix(".\(state.withLock { $0.request })")
        else { return }
        state.withLock { state in
            if state.end == nil { state.end = .status(code, status.statusDescription ?? "") }
        }
    }

    private func finish(_ end: End) {
        let waiter = state.withLock { state in
            state.beginning = nil
            if state.end == nil { state.end = end }
            return state.waiter
        }
        waiter?.complete()
    }
}
