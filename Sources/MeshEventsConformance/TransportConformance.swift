public import MeshEvents

/// The guarantees that every transport gives, as checks: run each of ``checks`` against a transport of your own.
///
/// ```swift
/// @Test(arguments: TransportConformance.checks)
/// func conforms(_ check: TransportConformance.Check) async throws {
///     try await check.run { try await makeFixture() }
/// }
/// ```
///
/// Every check uses its own subjects, so that all of them may share one server, even at the same time.
public enum TransportConformance {
    /// Two connections to the same server (or its substitute), new for every check.
    public struct Fixture: Sendable {
        /// The connection that emits.
        public let emitting: any EventTransport
        /// The connection that subscribes.
        public let receiving: any EventTransport
        /// Closes both. May be called twice.
        public let close: @Sendable () async -> Void

        /// Creates a fixture.
        public init(
            emitting: any EventTransport,
            receiving: any EventTransport,
            close: @escaping @Sendable () async -> Void
        ) {
            self.emitting = emitting
            self.receiving = receiving
            self.close = close
        }
    }

    /// Makes the fixture of one check.
    public typealias Factory = @Sendable () async throws -> Fixture

    /// One guarantee.
    public struct Check: Sendable, CustomStringConvertible {
        /// The guarantee that is checked.
        public let name: String
        private let body: @Sendable (Bench) async throws -> Void

        /// The name.
        public var description: String { name }

        init(_ name: String, _ body: @escaping @Sendable (Bench) async throws -> Void) {
            self.name = name
            self.body = body
        }

        /// Runs the check.
        ///
        /// - Throws: ``ConformanceFailure`` when the guarantee is not kept; what the factory or the transport throws.
        public func run(_ factory: Factory) async throws {
            let fixture = try await factory()
            let bench = Bench(fixture)
            do {
                try await within(name, limit: .seconds(120)) { [body] in try await body(bench) }
            } catch {
                await bench.close()
                throw error
            }
            await bench.close()
        }
    }

    /// All checks.
    public static let checks: [Check] = delivery + flow + limits + endings
}

/// The buses and subjects of one transport check: a bus on either connection, and subjects that no other check uses.
struct Bench: Sendable {
    let fixture: TransportConformance.Fixture
    /// A type prefix of this check alone: `user.conformance.<random>`.
    let prefix: String
    let emitter: EventBus
    let receiver: EventBus

    init(_ fixture: TransportConformance.Fixture) {
        self.fixture = fixture
        prefix = "user.conformance.\(String(UInt64.random(in: .min ... .max), radix: 36))"
        emitter = EventBus(transport: fixture.emitting, node: "emitter")
        receiver = EventBus(transport: fixture.receiving, node: "receiver")
    }

    /// A bus of its own on the receiving connection.
    func receiver(_ configuration: EventBus.Configuration) -> EventBus {
        EventBus(transport: fixture.receiving, node: "receiver", configuration: configuration)
    }

    func type(_ suffix: String = "event") throws -> EventType {
        try EventType("\(prefix).\(suffix)")
    }

    func pattern(_ suffix: String = "event") throws -> EventPattern {
        try EventPattern("events.\(prefix).\(suffix)")
    }

    /// Emits events numbered from 0 in `seq`, and returns when the server has processed them.
    func emit(_ count: Int, suffix: String = "event", node: String = "emitter") async throws {
        let type = try type(suffix)
        try await emitter.emit(
            contentsOf: (0..<count).lazy.map { Event(type, node: node, data: ["seq": .init($0)]) }
        )
        try await emitter.flush()
    }

    /// Publishes bytes that need not be an event.
    func publishRaw(_ payload: [UInt8], suffix: String = "event", headers: MessageHeaders = [:]) throws {
        var subject = "events.\(prefix).\(suffix)"
        let result = subject.withUTF8 { subject in
            payload.withUnsafeBytes { payload in
                Result {
                    try fixture.emitting.publish(
                        OutgoingMessage(
                            subject: UnsafeRawBufferPointer(subject).bytes,
                            payload: payload.bytes,
                            headers: headers
                        )
                    )
                }
            }
        }
        try result.get()
    }

    func close() async {
        await emitter.close()
        await receiver.close()
        await fixture.close()
    }
}

extension EventSubscription {
    /// The next `count` events.
    func collect(_ count: Int, _ what: String) async throws -> [Event] {
        try await within("\(what): \(count) events") {
            var events: [Event] = []
            var iterator = self.makeAsyncIterator()
            while events.count < count {
                guard let event = try await iterator.next() else {
                    throw ConformanceFailure("\(what): the sequence ended after \(events.count) of \(count) events")
                }
                events.append(event)
            }
            return events
        }
    }

    /// All events up to the end of the sequence.
    func rest(_ what: String) async throws -> [Event] {
        try await within("\(what): the end of the sequence") {
            var events: [Event] = []
            for try await event in self { events.append(event) }
            return events
        }
    }
}

extension [Event] {
    /// The numbers that ``Bench/emit(_:suffix:node:)`` assigned.
    var numbers: [Int] { map { $0.data["seq"]?.int ?? -1 } }
}
