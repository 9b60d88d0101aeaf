import Foundation
import MeshConcurrency
import NIOCore
import Synchronization

/// The requests that wait for an answer on the connection's one inbox.
final class RequestTable: Sendable {
    typealias Completion = @Sendable (Result<NATSMessageView, NATSError>) -> Void
    /// Looks at an answer; returns whether the request waits for this one. It is called for later answers too.
    typealias Taker = @Sendable (NATSMessageView) -> Bool

    private struct Pending {
        let subject: String
        let deadline: NIODeadline
        /// For a request that may outlast its deadline while it is unknown whether the server has it: the longest time
        /// without a byte on the connection. `nil`: the request ends at its deadline.
        let silence: TimeAmount?
        /// Whether it ends with the connection, even when it was not written.
        let isPerishable: Bool
        let completion: Completion
        /// Receives the answers instead of `completion`; `nil` when the first answer counts.
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

    /// Passes an answer to the request that waits for it, or to one that was answered lately. On the event loop.
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
        // Released outside the locks: releasing them may run other code.
        let removed = requests.withLock { $0.remove(id) }
        let replaced = answered.withLock { $0.insert(id, taker) }
        withExtendedLifetime((removed, replaced)) {}
    }

    /// Ends a request with an answer or an error; nothing happens when it has ended before.
    func complete(_ id: UInt64, _ result: Result<NATSMessageView, NATSError>) {
        requests.withLock { $0.remove(id) }?.completion(result)
    }

    /// Removes a request without calling its completion; `false` when it has ended before.
    func remove(_ id: UInt64) -> Bool {
        // Released outside the lock: releasing the completion may run other code.
        let removed = requests.withLock { $0.remove(id) }
        return removed != nil
    }

    /// Ends the requests whose time is up; returns whether any are left.
    ///
    /// A request that has ``Pending/silence`` ends at its deadline when there is no connection. Otherwise a ping first
    /// checks whether the server has it. Once the server has answered the ping, all that it sent before has come, so
    /// there is no answer. Until then the request may be under way on a slow link.
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

    /// Ends the requests that were written before the connection was lost, and the perishable ones; other unwritten
    /// requests stay buffered.
    func connectionLost(lastWritten: UInt64, error: NATSError) {
        fail(with: error) { $0.isPerishable || $0.message.map { $0 <= lastWritten } ?? false }
    }

    /// Ends the requests to a subject that the server forbids; returns whether there were any.
    ///
    /// A server may map an API's requests to other subjects (a leaf node `$JS.API.>` to `$JS.hub.API.>`, say) and
    /// forbid those. Then the requests whose subjects are equal behind `.API.` end.
    func denied(subject: String, error: NATSError) -> Bool {
        if fail(with: error, where: { $0.subject == subject }) { return true }
        guard let call = Self.call(of: subject) else { return false }
        return fail(with: error) { Self.call(of: $0.subject) == call }
    }

    /// The part of an API subject behind `.API.`; `nil` for other subjects.
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

/// Ends requests past their deadline.
///
/// It is `@unchecked Sendable` because its mutable member is used on the connection's event loop only.
final class RequestSweeper: @unchecked Sendable {
    /// Whether a sweep is scheduled; written from any thread.
    private let isScheduled = Atomic<Bool>(false)
    /// What the sweeps have seen of the connection.
    private var probes = RequestProbes()

    /// From any thread: ends requests past their deadline, 50 ms late at most. One sweep serves all requests, so that
    /// none needs a timer.
    func schedule(on loop: ConnectionLoop) {
        guard isScheduled.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return }
        loop.eventLoop.execute { self.sweep(loop, isFirst: true) }
    }

    private func sweep(_ loop: ConnectionLoop, isFirst: Bool = false) {
        let now = NIODeadline.now()
        probes.look(
            loop.counts.moved,
            at: now,
            isConnected: loop.machine.isConnected,
            attempt: loop.machine.attempt,
            isFirst: isFirst
        )
        let left = loop.requests.expire(at: now, &probes)
        if let probe = probes.takeWanted() {
            loop.ping { result in
                guard case .success = result else { return }
                self.probes.answered = max(self.probes.answered, probe)
            }
        }
        if left {
            loop.eventLoop.scheduleTask(in: .milliseconds(50)) { self.sweep(loop) }
        } else {
            isScheduled.store(false, ordering: .releasing)
            // A request may have been added between the two.
            if !loop.requests.isEmpty { schedule(on: loop) }
        }
    }
}

/// Decides, at a request's deadline, whether its answer can still come; confined to the connection's event loop.
struct RequestProbes {
    /// Whether there is a connection.
    var isConnected = false
    /// When bytes have come or gone last, as far as the sweeps have seen.
    var lastMoved = NIODeadline.now()
    /// The highest number of a ping that was answered.
    var answered: UInt64 = 0
    private var progress = LinkProgress()
    private var sent: UInt64 = 0
    private var wanted: UInt64?

    /// Looks at how many bytes have come and gone; see ``LinkProgress``.
    mutating func look(_ moved: UInt64, at now: NIODeadline, isConnected: Bool, attempt: Int, isFirst: Bool) {
        self.isConnected = isConnected
        let hasMoved = progress.look(moved: moved, attempt: attempt)
        if isFirst || hasMoved { lastMoved = now }
    }

    /// The number of the ping that is to be sent next.
    mutating func next() -> UInt64 {
        wanted = sent + 1
        return sent + 1
    }

    /// The number of the ping that is to be sent now; `nil` when there is none.
    mutating func takeWanted() -> UInt64? {
        defer { wanted = nil }
        if let wanted { sent = wanted }
        return wanted
    }
}

/// A promise that is completed once: by the answer, the deadline or a cancellation, whichever comes first.
final class SinglePromise<Value: Sendable>: Sendable {
    private let promise: Locked<EventLoopPromise<Value>?>

    init(_ promise: EventLoopPromise<Value>) {
        self.promise = Locked(promise)
    }

    func complete(_ result: Result<Value, NATSError>) {
        let promise = promise.withLock { promise in
            defer { promise = nil }
            return promise
        }
        promise?.completeWith(result.mapError { $0 })
    }
}
