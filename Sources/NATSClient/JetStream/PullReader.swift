import MeshConcurrency
import MessageGrammar
import NIOCore

/// The result of one reading of a pull consumer.
package struct PullReading<Element: Sendable>: Sendable {
    /// In the order of the stream; with an error, all messages before it.
    package var elements: [Element]
    /// Why the reading ended early; `nil` when everything was read.
    package var error: JetStreamError?
    /// Whether a message at or behind the given end came: then nothing before the end is missing, whatever the server's
    /// counts say.
    package var hasPassedEnd = false
    /// Whether the reading ended because the wanted number of bytes had come before all messages.
    package var isCutShort = false
}

/// Collects the messages of one reading of a pull consumer, on the connection's event loop: no task and no
/// continuation per message.
final class PullReader<Element: Sendable>: NATSMessageReceiver {
    private typealias Request = (messages: Int, bytes: Int?, limits: PullLimits)

    private struct State {
        var progress: PullProgress
        var elements: [Element] = []
        var requests: [Request] = []
        var outcome: PullReading<Element>?
        var waiter: CheckedContinuation<PullReading<Element>, Never>?
        /// Whether a message at or behind the end has come: then no more come from before it.
        var hasPassedEnd = false
        /// Grows with everything that arrives, so that the caller that watches sees progress.
        var activity: UInt64 = 0
        /// The number of the consumer's newest delivery that arrived, or of the last before this reading.
        var lastDelivery: UInt64
    }

    private let state: Locked<State>
    private let before: UInt64
    /// Whether every delivery belongs to this reading, so that a gap in their numbers is a loss.
    private let isSoleReader: Bool
    private let request: @Sendable (_ messages: Int, _ bytes: Int?, PullLimits) throws(NATSError) -> Void
    private let transform: @Sendable (JetStreamMessageView) -> Element

    /// - Parameters:
    ///   - before: a message with this sequence or a later one ends the reading and is left out.
    ///   - delivered: the number of the consumer's last delivery before this reading, when all later ones belong to
    ///     this reading; `nil` when others read the consumer too.
    ///   - request: sends a pull request for this many messages and, unless `nil`, bytes, within the limits.
    ///   - transform: makes an element of each message, in place.
    init(
        progress: PullProgress,
        before: UInt64?,
        delivered: UInt64?,
        request: @escaping @Sendable (_ messages: Int, _ bytes: Int?, PullLimits) throws(NATSError) -> Void,
        transform: @escaping @Sendable (JetStreamMessageView) -> Element
    ) {
        var state = State(progress: progress, lastDelivery: delivered ?? 0)
        state.elements.reserveCapacity(min(progress.total, 65_536))
        self.state = Locked(state)
        self.before = before ?? .max
        isSoleReader = delivered != nil
        self.request = request
        self.transform = transform
    }

    /// Grows with everything that arrives; the value itself has no meaning.
    var activity: UInt64 { state.withLock { $0.activity } }

    /// The number of the consumer's newest delivery that arrived, or of the last before this reading.
    var lastDelivery: UInt64 { state.withLock { $0.lastDelivery } }

    /// Sends the first request.
    func begin() {
        state.withLock { Self.apply($0.progress.begin(), to: &$0) }
        passOn()
    }

    /// Suspends until the reading has ended.
    func result() async -> PullReading<Element> {
        await withCheckedContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.waiter = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }

    /// Asks again, when the server has no open request and has sent nothing that has not come.
    func askAgain() {
        state.withLock { state in
            guard state.outcome == nil else { return }
            Self.apply(state.progress.requestsAreGone(), to: &state)
        }
        passOn()
    }

    /// Ends the reading with an error, unless it has ended.
    func fail(_ error: JetStreamError) {
        state.withLock { Self.end(&$0, error) }
        passOn()
    }

    func receive(_ message: NATSMessageView) {
        guard let position = AcknowledgementSubject(message.replyToBytes) else {
            let block = HeaderBlock(bytes: message.headerBytes)
            guard !message.headerBytes.isEmpty, let status = block.status else { return }
            let unfilled = block.fields()["Nats-Pending-Messages"].flatMap { Int($0) }
            state.withLock { state in
                guard state.outcome == nil else { return }
                state.activity &+= 1
                Self.apply(state.progress.status(status.code, status.description, unfilled: unfilled), to: &state)
            }
            return
        }
        guard isNext(position) else { return }
        guard position.streamSequence < before else {
            state.withLock { state in
                state.hasPassedEnd = true
                Self.apply(.finish, to: &state)
            }
            return
        }
        let size = message.payloadBytes.count + message.headerBytes.count + message.subjectBytes.count
        let element = transform(
            JetStreamMessageView(message, position: position)
        )
        state.withLock { state in
            guard state.outcome == nil else { return }
            state.activity &+= 1
            state.lastDelivery = position.consumerSequence
            state.elements.append(element)
            Self.apply(state.progress.delivered(pending: position.pending, bytes: size), to: &state)
        }
    }

    /// Ends the reading when deliveries before this one are missing: the server makes each once, and another consumer
    /// must read them again.
    private func isNext(_ position: AcknowledgementSubject) -> Bool {
        guard isSoleReader else { return true }
        return state.withLock { state in
            guard state.outcome == nil else { return false }
            let last = state.lastDelivery
            if last != .max, position.consumerSequence == last + 1 { return true }
            let reason = "delivery \(position.consumerSequence) of the consumer came after delivery \(last)"
            Self.end(&state, JetStreamError(.consumerLost, reason))
            return false
        }
    }

    func receiveBatchEnd() { passOn() }

    func receiveEnd(_ error: NATSError?) {
        fail(JetStreamError(error ?? NATSError(.closed, "the subscription ended while messages were read")))
    }

    private static func apply(_ action: PullProgress.Action, to state: inout State) {
        switch action {
        case .wait: break
        case .request(let batch, let bytes): state.requests.append((batch, bytes, state.progress.limits))
        case .finish: end(&state, nil)
        case .fail(let reason): end(&state, JetStreamError(.consumerLost, reason))
        case .refuse(let reason): end(&state, JetStreamError(.refused, reason))
        }
    }

    private static func end(_ state: inout State, _ error: JetStreamError?) {
        guard state.outcome == nil else { return }
        state.outcome = PullReading(
            elements: state.elements,
            error: error,
            hasPassedEnd: state.hasPassedEnd,
            isCutShort: state.progress.isCutShort
        )
        state.elements = []
        state.requests = []
    }

    /// Sends the requests that are due and resumes the waiting caller, outside the lock.
    private func passOn() {
        let (requests, waiter, outcome) = state.withLock { state in
            let requests = state.requests
            state.requests = []
            var waiter: CheckedContinuation<PullReading<Element>, Never>?
            if state.outcome != nil {
                waiter = state.waiter
                state.waiter = nil
            }
            return (requests, waiter, state.outcome)
        }
        if let waiter, let outcome { waiter.resume(returning: outcome) }
        for (messages, bytes, limits) in requests {
            do throws(NATSError) {
                try request(messages, bytes, limits)
            } catch {
                fail(JetStreamError(error))
                return
            }
        }
    }
}
