import Locking

/// A reply subject that several messages of one publisher share, on one connection: what tells their answers apart is
/// the publisher's business.
///
/// A server keeps what it knows of the subjects it has routed; a subject of its own for each answer is work for both
/// sides that many messages with one subject do not cause.
package struct SharedReply: Sendable, Hashable {
    let id: UInt64
    /// The connection that its messages must go out on; see ``OutboundBuffer/generation``.
    let generation: UInt64
}

/// What comes back on a ``SharedReply``.
package enum SharedAnswer {
    /// An answer to one of the messages, valid during the call.
    case message(NATSMessageView)
    /// The server's word that nobody takes one of the messages.
    case noResponders
    /// Nothing more comes: the connection is lost, say.
    case ended(NATSError)
}

/// The shared reply subjects that are in use on the connection's one inbox.
final class SharedReplyTable: Sendable {
    typealias Handler = @Sendable (SharedAnswer) -> Void
    /// Looks at a message that comes once all answers have come.
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

    /// Hands an answer over; what comes behind the last goes to who looks at that.
    func answer(_ id: UInt64, _ answer: SharedAnswer) {
        if let handler = replies.withLock({ $0[id]?.handler }) { return handler(answer) }
        guard case .message(let message) = answer else { return }
        closed.withLock { $0[id] }?(message)
    }

    /// All answers have come: forgets a reply subject without calling anyone.
    func close(_ id: UInt64) {
        // Released outside the locks, for what the handlers hold may end with them.
        let removed = replies.withLock { $0.remove(id) }
        let replaced = removed.flatMap { entry in closed.withLock { $0.insert(id, entry.late) } }
        withExtendedLifetime((removed, replaced)) {}
    }

    /// Ends those of an owner.
    func end(of owner: ObjectIdentifier, error: NATSError) { end(error) { $0.owner == owner } }

    /// Ends those that have a message on a subject that the server forbids; whether there were any.
    func denied(subject: String, error: NATSError) -> Bool {
        let open = replies.withLock { $0.all }
        // Asked outside the lock, for the owners have locks of their own.
        let ids = open.filter { $0.entry.hasMessage(subject) }.map(\.id)
        let ended = replies.withLock { replies in ids.compactMap { replies.remove($0) } }
        for entry in ended { entry.handler(.ended(error)) }
        return !ended.isEmpty
    }

    /// Ends all: their messages belonged to the connection.
    func connectionLost(error: NATSError) { end(error) { _ in true } }

    /// Ends all, and refuses new ones while the error is set.
    func block(_ error: NATSError?) {
        replies.withLock { $0.failure = error }
        if let error { connectionLost(error: error) }
    }

    private func end(_ error: NATSError, where matches: (Entry) -> Bool) {
        let ended = replies.withLock { $0.take(where: matches) }
        for entry in ended { entry.handler(.ended(error)) }
    }
}
