/// What a store keeps about a durable subscription, and how messages are taken from it; made by
/// ``EventStore/openDurable(_:reconcile:)``.
///
/// The store remembers how far the subscription is, across restarts of the subscriber and of itself. Several consumers
/// of one name, in one process or many, share the messages: each message goes to one of them. A message that is not
/// answered within the acknowledgement wait comes again, to any of them, with a higher count.
public protocol DurableConsumer: Sendable {
    /// Takes messages: as many as are at hand, at most `limit`.
    ///
    /// - Parameters:
    ///   - limit: how many at most, from 1.
    ///   - wait: how long to wait for a first one when none is at hand; zero does not wait.
    /// - Returns: possibly nothing.
    /// - Throws: a retriable error when the store cannot be reached at the moment, `durableNotFound` when the durable
    ///   has been deleted, `streamNotFound`, `closed`.
    func fetch(_ limit: Int, wait: Duration) async throws(MeshEventsError) -> [DurableMessage]

    /// Answers a delivery; returns once the store has confirmed that it knows the answer.
    ///
    /// Answering again, or a delivery that has come again meanwhile, is harmless.
    ///
    /// - Parameters:
    ///   - message: the delivery, from ``fetch(_:wait:)``.
    ///   - answer: what became of it.
    ///   - deadline: how long to keep trying, across reconnects and changes of the leader.
    /// - Throws: `timeout` when the store has not confirmed (it may know nevertheless), `closed`.
    func answer(
        _ message: DurableMessage,
        _ answer: DurableAnswer,
        deadline: Duration
    ) async throws(MeshEventsError)

    /// Begins the acknowledgement wait of a delivery anew, as far as that can be done without waiting.
    func extend(_ message: DurableMessage)
}

/// A message that a durable subscription has been given.
public struct DurableMessage: Sendable, Hashable {
    /// The message.
    public let stored: StoredMessage
    /// How often it was delivered, this time included: 1 the first time.
    public let deliveries: Int
    /// What the store recognises the delivery by.
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
    /// It is done, and does not come again.
    case acknowledge
    /// It is to come again after this time.
    case redeliver(after: Duration)
    /// It takes longer: the acknowledgement wait begins anew.
    case inProgress
    /// It does not come again, though it was not done.
    case terminate
}

/// What a store is told about a durable subscription when it is created.
public struct DurableConfiguration: Sendable, Hashable {
    /// Its name: letters, digits, `-` and `_`, at most 64 bytes.
    public var name: String
    /// Which messages it is about.
    public var pattern: EventPattern
    /// Where it begins; counts only when it is created.
    public var start: DurableStart
    /// How long a delivery may stay without an answer before it comes again.
    public var acknowledgementWait: Duration
    /// After how many deliveries subscribers give a message up. The store only keeps the number, so that subscribers
    /// who disagree notice: it delivers until it gets an answer.
    public var maximumDeliveries: Int

    /// Creates a configuration.
    public init(
        name: String,
        pattern: EventPattern,
        start: DurableStart,
        acknowledgementWait: Duration,
        maximumDeliveries: Int
    ) {
        self.name = name
        self.pattern = pattern
        self.start = start
        self.acknowledgementWait = acknowledgementWait
        self.maximumDeliveries = maximumDeliveries
    }

    /// Throws `invalidArgument` or `invalidPattern` for what no store would take.
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
        guard acknowledgementWait >= .milliseconds(100), acknowledgementWait <= PersistenceConfiguration.longest else {
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

    /// The settings in which a durable that exists differs from this one. Where it began does not count: it goes on
    /// where it is.
    public func differences(from found: DurableConfiguration) -> [StoreOpening.Difference] {
        func seconds(_ duration: Duration) -> String { "\(duration)" }
        let fields = [
            ("pattern", pattern.subject, found.pattern.subject),
            ("acknowledgement wait", seconds(acknowledgementWait), seconds(found.acknowledgementWait)),
            ("maximum deliveries", "\(maximumDeliveries)", "\(found.maximumDeliveries)"),
        ]
        return fields.filter { $0.1 != $0.2 }.map { StoreOpening.Difference(field: $0.0, asked: $0.1, found: $0.2) }
    }
}

/// Where a durable subscription begins when it is created.
public enum DurableStart: Sendable, Hashable {
    /// With the oldest event that is kept.
    case beginning
    /// With what is stored from now on.
    case new
    /// At this sequence, or the first one after it that exists.
    case sequence(UInt64)
    /// At the first event stored at this time or later.
    case time(Timestamp)
}

/// What to do when a durable subscription exists with other settings. There is no way to keep those: a subscriber has
/// to work by the acknowledgement wait and the number of deliveries that the store goes by.
public enum DurableReconcile: Sendable, Hashable {
    /// Throw `durableMismatch`, which names them.
    case fail
    /// Give it the settings asked for; it goes on where it is.
    case update
}

extension EventStore {
    /// A store without durable subscriptions.
    ///
    /// - Throws: `persistenceUnavailable`.
    public func openDurable(
        _ configuration: DurableConfiguration,
        reconcile: DurableReconcile
    ) async throws(MeshEventsError) -> any DurableConsumer {
        throw MeshEventsError(.persistenceUnavailable, "this store keeps no durable subscriptions")
    }

    /// A store without durable subscriptions.
    ///
    /// - Throws: `persistenceUnavailable`.
    public func deleteDurable(_ name: String) async throws(MeshEventsError) {
        throw MeshEventsError(.persistenceUnavailable, "this store keeps no durable subscriptions")
    }
}

extension MeshEventsError {
    /// The error about a durable that exists with other settings.
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
