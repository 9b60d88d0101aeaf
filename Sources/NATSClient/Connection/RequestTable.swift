import Locking
import NIOCore

/// The requests that wait for an answer on the connection's one inbox.
final class RequestTable: Sendable {
    typealias Completion = @Sendable (Result<NATSMessageView, NATSError>) -> Void

    private struct Pending {
        let subject: String
        let deadline: NIODeadline
        let completion: Completion
        /// The number of the message that carries the request; `nil` until it is appended.
        var message: UInt64?
    }

    private let requests = Locked(NumberedEntries<Pending>())

    var isEmpty: Bool { requests.withLock { $0.isEmpty } }

    /// Registers a request and returns the id that its reply subject ends with.
    func insert(
        subject: String,
        deadline: NIODeadline,
        completion: @escaping Completion
    ) throws(NATSError) -> UInt64 {
        try requests.withLock { (requests) throws(NATSError) -> UInt64 in
            try requests.insert(Pending(subject: subject, deadline: deadline, completion: completion))
        }
    }

    /// Notes which message carries the request.
    func sent(_ id: UInt64, as message: UInt64) {
        requests.withLock { $0[id]?.message = message }
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

    /// Ends the requests whose deadline has passed; whether any are left.
    func expire(at now: NIODeadline) -> Bool {
        let (expired, left) = requests.withLock { requests in
            (requests.take { $0.deadline <= now }, !requests.isEmpty)
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

    /// Ends the requests that were written before the connection was lost; others stay buffered.
    func connectionLost(lastWritten: UInt64, error: NATSError) {
        fail(with: error) { $0.message.map { $0 <= lastWritten } ?? false }
    }

    /// Ends the requests to a subject that the server forbids; whether there were any.
    func denied(subject: String, error: NATSError) -> Bool {
        fail(with: error) { $0.subject == subject }
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
