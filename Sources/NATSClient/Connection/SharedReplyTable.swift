import MeshConcurrency

/// A reply subject that several messages of one publisher share, on one connection. The publisher itself tells their
/// answers apart.
///
/// A server caches the subjects it has routed: a separate subject for each answer costs both sides work that one
/// subject for many messages does not.
package struct SharedReply: Sendable, Hashable {
    let id: UInt64
    /// The connection that its messages must go out on; see ``OutboundBuffer/generation``.
    let generation: UInt64
}

/// What the publisher receives on a ``SharedReply``.
package enum SharedAnswer: ~Escapable {
    /// An answer to one of the messages, valid during the call.
    case message(NATSMessageView)
    /// The server reports that no client and no stream takes one of the messages.
    case noResponders
    /// No more answers come, for example because the connection is lost.
    case ended(NATSError)
}

/// The shared reply subjects that are in use on the connection's one inbox.
final class SharedReplyTable: Sendable {
    typealias Handler = @Sendable (SharedAnswer) -> Void
    /// Receives a message that comes after all answers have come.
    typealias Late = @Sendable (NATSMessageView) -> Void

    private struct Entry {
        let owner: ObjectIdentifier
        let hasMessage: @Sendable (_ subject: String) -> Bool
        let handler: Handler
        let late: Late
    }

    private let replies = Locked(NumberedEntries<Entry>())
    private let closed = Locked(RecentEntries<Late>())

    /// Registers a handler, and returns the id that the reply subject ends with.
    func open(
        owner: ObjectIdentifier,
        hasMessage: @escaping @Sendable (_ subject: String) -> Bool,
        handler: @escaping Handler,
        late: @escaping Late = { _ in }
    ) throws(NATSError) -> UInt64 {
        try replies.withLock { (replies) throws(NATSError) -> UInt64 in
            try replies.insert(Entry(owner: owner, hasMessage: hasMessage, handler: handler, late: late))
        }
    }

    /// Passes an answer to the handler, or a message that comes after ``close(_:)`` to the late handler.
    func answer(_ id: UInt64, _ answer: SharedAnswer) {
        if let handler = replies.withLock({ $0[id]?.handler }) { return handler(answer) }
        guard case .message(let message) = answer else { return }
        closed.withLock { $0[id] }?(message)
    }

    /// Closes a reply subject whose answers have all come, without calling its handler.
    func close(_ id: UInt64) {
        // Released outside the locks: releasing the handlers may run other code.
        let removed = replies.withLock { $0.remove(id) }
        let replaced = removed.flatMap { entry in closed.withLock { $0.insert(id, entry.late) } }
        withExtendedLifetime((removed, replaced)) {}
    }

    /// Ends the reply subjects of an owner.
    func end(of owner: ObjectIdentifier, error: NATSError) { end(error) { $0.owner == owner } }

    /// Ends the reply subjects with a message on a subject that the server forbids; returns whether there were any.
    func denied(subject: String, error: NATSError) -> Bool {
        let open = replies.withLock { $0.all }
        // Called outside the lock, because the owners have their own locks.
        let ids = open.filter { $0.entry.hasMessage(subject) }.map(\.id)
        let ended = replies.withLock { replies in ids.compactMap { replies.remove($0) } }
        for entry in ended { entry.handler(.ended(error)) }
        return !ended.isEmpty
    }

    /// Ends all reply subjects: their messages belonged to the connection.
    func connectionLost(error: NATSError) { end(error) { _ in true } }

    /// Ends all reply subjects, and refuses new ones while the error is set.
    func block(_ error: NATSError?) {
        replies.withLock { $0.failure = error }
        if let error { connectionLost(error: error) }
    }

    private func end(_ error: NATSError, where matches: (Entry) -> Bool) {
        let ended = replies.withLock { $0.take(where: matches) }
        for entry in ended { entry.handler(.ended(error)) }
    }
}
