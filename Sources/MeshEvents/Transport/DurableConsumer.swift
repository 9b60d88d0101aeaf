/// A durable subscription in a store, from which messages are fetched; made by
/// ``EventStore/openDurable(_:reconcile:)``.
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

    /// Creates a message.
    public init(stored: StoredMessage, deliveries: Int, token: String) {
        self.stored = stored
        self.deliveries = deliveries
        self.token = token
    }
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

/// What a store keeps of a durable subscription; how a subscriber uses it is ``DurableSubscription/Configuration``.
public struct DurableDefinition: Sendable, Hashable {
    /// Its name: letters, digits, `-` and `_`, at most 64 bytes.
    public var name: String
    /// Which messages it delivers.
    public var pattern: EventPattern
    /// Where it begins; used only when it is created.
    public var start: StreamStart
    /// How long a delivery may stay unanswered before the store delivers the message again.
    public var acknowledgementWait: Duration
    /// After how many deliveries subscribers give a message up. The store only keeps the number, so that a subscriber
    /// with another number gets an error. The store itself delivers until it gets an answer.
    public var maximumDeliveries: Int

    /// Creates a definition.
    public init(
        name: String,
        pattern: EventPattern,
        start: StreamStart,
        acknowledgementWait: Duration,
        maximumDeliveries: Int
    ) {
        self.name = name
        self.pattern = pattern
        self.start = start
        self.acknowledgementWait = acknowledgementWait
        self.maximumDeliveries = maximumDeliveries
    }

    /// Throws `invalidArgument` or `invalidPattern` for a setting that no store accepts.
    public func validate() throws(MeshEventsError) {
        try pattern.validate()
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard isName, !name.isEmpty, name.utf8.count <= 64 else {
            throw MeshEventsError(
                .invalidArgument,
                "\(SubjectRules.quoted(name)) cannot be the name of a durable: use 1 to 64 letters, digits, '-' and '_'"
            )
        }
        guard acknowledgementWait >= .milliseconds(100), acknowledgementWait <= PersistentEventBus.Configuration.longest
        else {
            throw MeshEventsError(
                .invalidArgument,
                "the acknowledgement wait must be at least 100 ms and at most 285 years, not \(acknowledgementWait)"
            )
        }
        guard maximumDeliveries >= 1 else {
            throw MeshEventsError(
                .invalidArgument,
                "the maximum of deliveries must be at least 1, not \(maximumDeliveries)"
            )
        }
    }

    /// The settings in which an existing durable differs from this one. The start is not compared: the durable keeps
    /// its position.
    public func differences(from found: DurableDefinition) -> [StoreOpening.Difference] {
        func seconds(_ duration: Duration) -> String { "\(duration)" }
        let fields = [
            ("pattern", pattern.subject, found.pattern.subject),
            ("acknowledgement wait", seconds(acknowledgementWait), seconds(found.acknowledgementWait)),
            ("maximum deliveries", "\(maximumDeliveries)", "\(found.maximumDeliveries)"),
        ]
        return fields.filter { $0.1 != $0.2 }.map { StoreOpening.Difference(field: $0.0, asked: $0.1, found: $0.2) }
    }
}

extension EventStore {
    /// For a store without durable subscriptions: always throws.
    ///
    /// - Throws: `persistenceUnavailable`.
    public func openDurable(
        _ configuration: DurableDefinition,
        reconcile: DurableSubscription.Configuration.Reconciliation
    ) async throws(MeshEventsError) -> any DurableConsumer {
        throw MeshEventsError(.persistenceUnavailable, "this store keeps no durable subscriptions")
    }

    /// For a store without durable subscriptions: always throws.
    ///
    /// - Throws: `persistenceUnavailable`.
    public func deleteDurable(_ name: String) async throws(MeshEventsError) {
        throw MeshEventsError(.persistenceUnavailable, "this store keeps no durable subscriptions")
    }
}

extension MeshEventsError {
    /// The error for a durable that exists with other settings.
    package static func durableMismatch(
        _ name: String,
        _ differences: [StoreOpening.Difference]
    ) -> MeshEventsError {
        MeshEventsError(
            .durableMismatch,
            "the durable \(name) exists with other settings ("
                + differences.map(\.description).joined(separator: "; ")
                + "); use them, choose another name, or update it"
        )
    }
}
