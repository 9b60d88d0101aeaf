import Foundation
import Locking
import NIOCore

/// The requests that wait for an answer on the connection's one inbox.
final class RequestTable: Sendable {
    typealias Completion = @Sendable (Result<NATSMessageView, NATSError>) -> Void
    /// Looks at an answer; whether it is the one that the request waits for. It is called for later answers too.
    typealias Taker = @Sendable (NATSMessageView) -> Bool

    private struct Pending {
        let subject: String
        let deadline: NIODeadline
        /// For a request that outlasts its deadline while nothing tells that the server has it: how long nothing may
        /// come or go then. `nil`: the deadline counts, whatever happens.
        let silence: TimeAmount?
        /// Whether it ends with the connection, written or not.
        let isPerishable: Bool
        let completion: Completion
        /// Takes the answer instead of the completion; `nil` when the first answer counts.
        let taker: Taker?
        /// The number of the ping that was sent at the deadline.
        var probe: UInt64?
        /// The number of the message that carries the request; `nil` until it is appended.
        var message: UInt64?
    }

    private let requests = Locked(NumberedEntries<Pending>())
    private let answered = Locked(RecentEntries<Taker>())

    var isEmpty: Bool { requests.withLock { $0.isEmpty } }

    /// Registers a request and returns the id that its reply subject ends with.
    func insert(
        subject: String,
        deadline: NIODeadline,
        silence: TimeAmount? = nil,
        isPerishable: Bool = false,
        completion: @escaping Completion,
        taker: Taker? = nil
    ) throws(NATSError) -> UInt64 {
        try requests.withLock { (requests) throws(NATSError) -> UInt64 in
            try requests.insert(
                Pending(
                    subject: subject,
                    deadline: deadline,
                    silence: silence,
                    isPerishable: isPerishable,
                    completion: completion,
                    taker: taker
                )
            )
        }
    }

    /// Notes which message carries the request.
    func sent(_ id: UInt64, as message: UInt64) {
        requests.withLock { $0[id]?.message = message }
    }

    /// Hands an answer over: to who waits for it, or to who has had one before. On the event loop.
    func answer(_ id: UInt64, _ message: NATSMessageView) {
        let found = requests.withLock { requests -> Pending? in
            guard let pending = requests[id] else { return nil }
            return pending.taker == nil ? requests.remove(id) : pending
        }
        guard let pending = found else {
            _ = answered.withLock { $0[id] }?(message)
            return
        }
        guard let taker = pending.taker else { return pending.completion(.success(message)) }
        guard taker(message) else { return }
        // Released outside the locks, for what they hold may end with them.
        let removed = requests.withLock { $0.remove(id) }
        let replaced = answered.withLock { $0.insert(id, taker) }
        withExtendedLifetime((removed, replaced)) {}
    }

    /// Ends a request with an answer or an error; nothing happens when it has ended before.
    func complete(_ id: UInt64, _ result: Result<NATSMessageView, NATSError>) {
        requests.withLock { $0.remove(id) }?.completion(result)
    }

    /// Forgets a request without calling anyone; `false` when it has ended before.
    func remove(_ id: UInt64) -> Bool {
        // Released outside the lock, for what the completion holds may end with it.
        let removed = requests.withLock { $0.remove(id) }
        return removed != nil
    }

    /// Ends the requests whose time is up; whether any are left.
    ///
    /// A request that has ``Pending/silence`` ends at its deadline when there is no connection. Else a ping asks first
    /// whether the server has it: once that is answered, all that the server had to say before has come, and there is no
    /// answer; until then it is under way, on a link that may be slow.
    func expire(at now: NIODeadline, _ probes: inout RequestProbes) -> Bool {
        let (expired, left) = requests.withLock { requests in
            let due = requests.ids { $0.silence != nil && $0.probe == nil && $0.deadline <= now }
            for id in due { requests[id]?.probe = probes.next() }
            return (requests.take { Self.isOver($0, at: now, probes) }, !requests.isEmpty)
        }
        for request in expired {
            request.completion(
                .failure(
                    NATSError(
                        .timeout,
                        "no answer on \(request.subject) before the deadline; the service may be slow or gone",
                        isRetriable: true
                    )
                )
            )
        }
        return left
    }

    private static func isOver(_ request: Pending, at now: NIODeadline, _ probes: RequestProbes) -> Bool {
        guard request.deadline <= now else { return false }
        guard let silence = request.silence, let probe = request.probe, probes.isConnected else { return true }
        return probes.answered >= probe || probes.lastMoved + silence <= now
    }

    /// Ends the requests that were written before the connection was lost, and those that go on no other; what else was not
    /// written stays buffered.
    func connectionLost(lastWritten: UInt64, error: NATSError) {
        fail(with: error) { $0.isPerishable || $0.message.map { $0 <= lastWritten } ?? false }
    }

    /// Ends the requests to a subject that the server forbids; whether there were any.
    ///
    /// Where the server maps the requests of an API to other subjects (`$JS.API.>` to `$JS.hub.API.>` at a leaf, say) it
    /// forbids those: then the ones that end alike are meant.
    func denied(subject: String, error: NATSError) -> Bool {
        if fail(with: error, where: { $0.subject == subject }) { return true }
        guard let call = Self.call(of: subject) else { return false }
        return fail(with: error) { Self.call(of: $0.subject) == call }
    }

    /// What stands behind the prefix of an API.
    private static func call(of subject: String) -> Substring? {
        subject.range(of: ".API.").map { subject[$0.upperBound...] }
    }

    /// Ends every request, and refuses later ones while this is set: the connection is closed, or its inbox forbidden.
    func block(_ error: NATSError?) {
        requests.withLock { $0.failure = error }
        if let error { fail(with: error) { _ in true } }
    }

    @discardableResult
    private func fail(with error: NATSError, where matches: (Pending) -> Bool) -> Bool {
        let failed = requests.withLock { $0.take(where: matches) }
        for request in failed { request.completion(.failure(error)) }
        return !failed.isEmpty
    }
}
