import Locking
import MeshEvents
import NATSClient

/// Receives the messages for one consumer of a follower, on the connection's event loop.
///
/// It is `@unchecked Sendable` because the connection never calls it concurrently, which protects its batch.
final class FollowReceiver: NATSMessageReceiver, @unchecked Sendable {
    enum Arrival {
        case message(AcknowledgementSubject, StoredMessage)
        case status(NATSMessage)
    }

    // The connection holds the receiver, and the follower the subscription. So the follower ends with its reader.
    private weak var follower: JetStreamFollower?
    private let session: UInt64
    private var batch: [Arrival] = []

    init(follower: JetStreamFollower, session: UInt64) {
        self.follower = follower
        self.session = session
    }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyTo) else {
            batch.append(.status(message.copied()))
            return
        }
        let stored = StoredMessage(
            subject: String(decoding: message.subject, as: UTF8.self),
            payload: Array(message.payload),
            sequence: position.streamSequence,
            storedAt: Timestamp(nanosecondsSinceEpoch: position.timestamp),
            headers: MessageHeaders(block: message.headers)
        )
        batch.append(.message(position, stored))
    }

    func receiveBatchEnd() {
        guard !batch.isEmpty else { return }
        follower?.arrived(batch, session: session)
        batch.removeAll(keepingCapacity: true)
    }

    func receiveEnd(_ error: NATSError?) {
        guard let error else { return }
        follower?.receivingEnded(error, session: session)
    }
}

extension JetStreamFollower {
    /// Takes what came with one read of the connection.
    func arrived(_ batch: [FollowReceiver.Arrival], session: UInt64) {
        let wakesTask = state.update { state in
            guard state.session == session, state.loss == nil else { return false }
            state.lastArrival = .now
            for arrival in batch where state.loss == nil { Self.take(arrival, into: &state) }
            return state.loss != nil || state.isRequestDue
        }
        if wakesTask { wakeTask() }
    }

    /// Handles a subscription that has ended without having been cancelled.
    func receivingEnded(_ error: NATSError, session: UInt64) {
        guard state.withLock({ $0.session == session }) else { return }
        if error.isRetriable { lose(error.message) } else { fail(MeshEventsError(error)) }
    }

    private static func take(_ arrival: FollowReceiver.Arrival, into state: inout State) {
        switch arrival {
        case .message(let position, let message):
            state.window.took(message.payload.count + message.subject.utf8.count)
            let verdict = state.progress.delivered(
                consumer: position.consumerSequence,
                stream: position.streamSequence,
                pending: position.pending
            )
            switch verdict {
            case .deliver(let lost):
                if let lost { state.queue.append(.lost(lost)) }
                // Without a filter, a stream whose subjects were changed also delivers older messages with other
                // subjects.
                let matches = !state.progress.matchesAll || EventPattern.all.matches(subject: message.subject)
                if matches { state.queue.append(.message(message)) }
                state.refusals = FollowRefusals()
            case .ignore: break
            case .restart(let reason): state.loss = reason
            }
        case .status(let status): take(status, into: &state)
        }
        if state.progress.takeCaughtUp() { state.queue.append(.caughtUp) }
    }

    /// Takes a status instead of a message (NATS ADR-13).
    private static func take(_ status: NATSMessage, into state: inout State) {
        let words = status.statusDescription ?? ""
        let text = words.lowercased()
        let unfilled = status.headers["Nats-Pending-Messages"].flatMap { Int($0) }
        switch status.status {
        case 100?:
            state.refusals = FollowRefusals()
            let verdict = state.progress.heartbeat(
                consumer: status.headers["Nats-Last-Consumer"].flatMap { UInt64($0) },
                stream: status.headers["Nats-Last-Stream"].flatMap { UInt64($0) }
            )
            switch verdict {
            case .deliver(let lost?): state.queue.append(.lost(lost))
            case .deliver(nil), .ignore: break
            case .restart(let reason): state.loss = reason
            }
        case 404?, 408?:
            state.refusals = FollowRefusals()
            state.progress.requestEnded(unfilled: unfilled, isCutShort: false)
        case 409? where text.hasPrefix("exceeded max"):
            // The whole request was refused: the next request keeps the limit that the server names.
            state.refusals.add("409 \(words)", state.limits.learn(words))
            state.progress.requestEnded(unfilled: nil, isCutShort: false)
        case 409? where text.contains("maxbytes"):
            state.progress.requestEnded(unfilled: unfilled, isCutShort: true)
            if state.progress.outstanding == 0, state.window.ended() {
                state.refusals.add("409 \(words), although nothing was delivered", .knownLimit)
            }
        case 409? where text.contains("batch completed"):
            state.progress.requestEnded(unfilled: unfilled, isCutShort: true)
        default:
            let isPassing =
                ["leadership", "deleted", "shutdown"].contains { text.contains($0) } || status.status == 503
            if !isPassing { state.refusals.add("\(status.status ?? 0) \(words)", .none) }
            state.loss = "the server ended the request: \(status.status ?? 0) \(text)"
        }
    }
}
