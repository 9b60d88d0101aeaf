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

    private struct Entry {
        let owner: ObjectIdentifier
        let hasMessage: @Sendable (_ subject: String) -> Bool
        let handler: Handler
    }

    private let replies = Locked(NumberedEntries<Entry>())

    /// Registers a handler, and returns the id that the reply subject ends with.
    func open(
        owner: ObjectIdentifier,
        hasMessage: @escaping @Sendable (_ subject: String) -> Bool,
        handler: @escaping Handler
    ) throws(NATSError) -> UInt64 {
        try replies.withLock { (replies) throws(NATSError) -> UInt64 in
            try replies.insert(Entry(owner: owner, hasMessage: hasMessage, handler: handler))
        }
    }

    /// Hands an answer over; nothing happens when nobody waits for it any more.
    func answer(_ id: UInt64, _ answer: SharedAnswer) {
        replies.withLock { $0[id]?.handler }?(answer)
    }

    /// Forgets a reply subject without calling anyone.
    func close(_ id: UInt64) {
        // Released outside the lock, for what the handler holds may end with it.
        _ = replies.withLock { $0.remove(id) }
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
