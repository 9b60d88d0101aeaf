import NIOCore
import Synchronization

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

    private struct State {
        var pending: [UInt64: Pending] = [:]
        var nextID: UInt64 = 0
        var failure: NATSError?

        mutating func take(where matches: (Pending) -> Bool) -> [Pending] {
            let ids = pending.filter { matches($0.value) }.map(\.key).sorted()
            return ids.compactMap { pending.removeValue(forKey: $0) }
        }
    }

    private let state = Mutex(State())

    var isEmpty: Bool { state.withLock { $0.pending.isEmpty } }

    /// Registers a request and returns the id that its reply subject ends with.
    func insert(
        subject: String,
        deadline: NIODeadline,
        completion: @escaping Completion
    ) throws(NATSError) -> UInt64 {
        try state.withLock { (state) throws(NATSError) -> UInt64 in
            if let failure = state.failure { throw failure }
            state.nextID += 1
            state.pending[state.nextID] = Pending(subject: subject, deadline: deadline, completion: completion)
            return state.nextID
        }
    }

    /// Notes which message carries the request.
    func sent(_ id: UInt64, as message: UInt64) {
        state.withLock { $0.pending[id]?.message = message }
    }

    /// Ends a request with an answer or an error; nothing happens when it has ended before.
    func complete(_ id: UInt64, _ result: Result<NATSMessageView, NATSError>) {
        state.withLock { $0.pending.removeValue(forKey: id) }?.completion(result)
    }

    /// Forgets a request without calling anyone; `false` when it has ended before.
    func remove(_ id: UInt64) -> Bool {
        state.withLock { $0.pending.removeValue(forKey: id) } != nil
    }

    /// Ends the requests whose deadline has passed; whether any are left.
    func expire(at now: NIODeadline) -> Bool {
        let (expired, left) = state.withLock { state in
            (state.take { $0.deadline <= now }, !state.pending.isEmpty)
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

    /// Ends the requests to a subject that the server forbids.
    func denied(subject: String, error: NATSError) {
        fail(with: error) { $0.subject == subject }
    }

    /// Ends every request, and every later one at once.
    func close(_ error: NATSError) {
        state.withLock { $0.failure = error }
        fail(with: error) { _ in true }
    }

    /// Later requests fail at once while this is set, for example because the inbox is forbidden.
    func block(_ error: NATSError?) {
        state.withLock { $0.failure = error }
        if let error { fail(with: error) { _ in true } }
    }

    private func fail(with error: NATSError, where matches: (Pending) -> Bool) {
        let failed = state.withLock { $0.take(where: matches) }
        for request in failed { request.completion(.failure(error)) }
    }
}
