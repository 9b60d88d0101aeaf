/// A durable subscription in a store, from which messages are fetched; made by
/// ``DurableEventStore/openDurable(_:reconcile:)``.
///
/// The store keeps the subscription's position across restarts of the subscriber and of itself. Several consumers of
/// one name, in one process or many, share the messages: each message goes to one of them. A message that is not
/// answered within the acknowledgement wait is delivered again, to any of them, with a higher count.
public protocol DurableConsumer: Sendable {
    /// Fetches messages: as many as are available, at most `limit`.
    ///
    /// - Parameters:
    ///   - limit: how many at most, from 1.
    ///   - wait: how long to wait for a first one when none is available; zero does not wait.
    /// - Returns: the messages; may be empty.
    /// - Throws: a retriable error when the store cannot be reached at the moment, `durableNotFound` when the durable
    ///   has been deleted, `streamNotFound`, `closed`.
    func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage]

    /// Answers a delivery; returns once the store has confirmed that it knows the answer.
    ///
    /// Answering twice is harmless, and so is answering a delivery when a later one of the same message exists.
    ///
    /// - Parameters:
    ///   - message: the delivery, from ``fetch(_:wait:)``.
    ///   - answer: how the subscriber answers it.
    ///   - deadline: how long to keep trying, across reconnects and changes of the leader.
    /// - Throws: `timeout` when the store has not confirmed (it may have the answer nevertheless), `closed`.
    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError)

    /// Starts the acknowledgement wait of a delivery anew; does not wait for a confirmation, and may fail without
    /// notice.
    func extend(_ message: DurableMessage)

    /// Sets the function to call once when the durable has not answered for some seconds although the connection is up,
    /// with the reason, and once with `nil` when it answers again.
    func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void)
}

extension DurableConsumer {
    /// Never calls the function: for a store that always answers.
    public func whenTroubled(_ tell: @escaping @Sendable (MeshEventsError?) -> Void) {}
}

/// A message delivered to a durable subscription.
public struct DurableMessage: Sendable, Hashable {
    /// The message.
    public let stored: StoredMessage
    /// How often it was delivered, this time included: 1 the first time.
    public let deliveries: Int
    /// Identifies the delivery for the store.
    public let token: String
    /// The retry of a dead letter that this is; `nil` for a delivery of the durable itself.
    let retry: DurableRetry?

    /// Creates a message.
    public init(stored: StoredMessage, deliveries: Int, token: String) {
        self.init(stored: stored, deliveries: deliveries, token: token, retry: nil)
    }

    init(stored: StoredMessage, deliveries: Int, token: String, retry: DurableRetry?) {
        self.stored = stored
        self.deliveries = deliveries
        self.token = token
        self.retry = retry
    }
}

/// Which retry of which dead letter a delivery belongs to.
struct DurableRetry: Sendable, Hashable {
    /// The dead letter's sequence.
    let letter: UInt64
    /// The sequence of the record that asks for the retry.
    let order: UInt64
}

/// How a delivery is answered.
public enum DurableAnswer: Sendable, Hashable {
    /// The message is done: do not deliver it again.
    case acknowledge
    /// Deliver it again after this time.
    case redeliver(after: Duration)
    /// It takes longer: start the acknowledgement wait anew.
    case inProgress
    /// Do not deliver it again, although it was not handled.
    case terminate
}
