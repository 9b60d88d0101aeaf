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
        try Self.check(name: name)
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

    /// Throws `invalidArgument` for a name that no durable can have.
    static func check(name: String) throws(MeshEventsError) {
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
