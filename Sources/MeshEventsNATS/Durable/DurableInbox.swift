import MeshConcurrency
import MeshEvents
import NATSClient
import NIOCore

/// Receives the messages of one durable subscriber: one subscription for all its requests.
///
/// Messages are kept even when their request has ended: dropping one would cost one of its deliveries.
final class DurableInbox: NATSMessageReceiver {
    /// How a request ended.
    enum End: Sendable, Equatable {
        /// As many messages as were asked for have come.
        case filled
        /// The server ended it: the status code and its text.
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
        /// The token of a message that has begun to come.
        var beginning: String?
        var request: UInt64 = 0
        var wanted = 0
        var end: End?
        var isClosed = false
        var isAbandoned = false
        var waiter: OneTimeSignal?
    }

    /// The reply subject of requests, without the request's number.
    let subject: String
    private let connection: NATSConnection
    private let state = Locked(State())

    init(_ connection: NATSConnection) {
        self.connection = connection
        subject = connection.makeInbox()
    }

    /// Takes messages that have already come.
    func take(_ limit: Int) -> [DurableMessage] {
        state.withLock { state in
            let taken = Array(state.messages.prefix(limit))
            state.messages.removeFirst(taken.count)
            return taken
        }
    }

    /// Begins a request; returns its number, and what completes when the request ends.
    func begin(_ limit: Int) -> (number: UInt64, ended: OneTimeSignal) {
        state.withLock { state in
            let completion = OneTimeSignal()
            state.request += 1
            state.wanted = limit
            state.end = state.isClosed ? .closed : nil
            state.waiter = completion
            if state.isClosed { completion.send() }
            return (state.request, completion)
        }
    }

    /// The tokens of messages that have come or begun to come.
    var tokens: [String] {
        state.withLock { state in state.messages.map(\.token) + (state.beginning.map { [$0] } ?? []) }
    }

    /// How the request ended; `nil` when it has not.
    var end: End? { state.withLock { $0.end } }

    /// Notes that the subscriber asks no more: messages that still arrive are returned to the server at once.
    func abandon() { state.withLock { $0.isAbandoned = true } }

    /// Ends the request, because the connection was lost.
    func disconnected() { finish(.disconnected) }

    /// Ends the request, because the server has forbidden it.
    func refused() { finish(.refused) }

    func receiveBegin(replyTo: String) {
        guard AcknowledgementSubject(replyTo) != nil else { return }
        state.withLock { $0.beginning = replyTo }
    }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyToBytes) else {
            receiveStatus(message)
            return
        }
        let received = DurableMessage(
            stored: StoredMessage(
                subject: String(decoding: message.subjectBytes, as: UTF8.self),
                payload: Array(message.payloadBytes),
                sequence: position.streamSequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: position.timestamp),
                headers: MessageHeaders(block: message.headerBytes)
            ),
            deliveries: Int(clamping: position.deliveries),
            token: String(decoding: message.replyToBytes, as: UTF8.self)
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
        waiter?.send()
    }

    func receiveEnd(_ error: NATSError?) {
        state.withLock { $0.isClosed = true }
        finish(.closed)
    }

    private func receiveStatus(_ message: NATSMessageView) {
        let status = message.copied()
        guard let code = status.status, code != 100,
            // The end of an earlier request, which the subscriber no longer waits for, is ignored.
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
        waiter?.send()
    }
}
