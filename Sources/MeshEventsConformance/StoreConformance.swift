public import MeshEvents

/// The guarantees that every event store gives, as checks; see ``TransportConformance`` for how to run them.
///
/// A check needs a stream that does not exist yet and that no other client writes to: on a server, the factory deletes
/// the stream or starts a server for each check. A store that is no `StreamAdministration` needs an empty stream.
///
/// The checks of a part that the store lacks pass without being run: those of durable subscriptions for a store that is no
/// `DurableEventStore`, those of the stream itself for one that is no `StreamAdministration`.
public enum StoreConformance {
    /// A store with a stream for one check, and a second store on the same stream through another connection.
    public struct Fixture: Sendable {
        /// The store under test.
        public let store: any EventStore
        /// Another store on the same stream.
        public let other: any EventStore
        /// A connection that receives the stored events, and whose events on `events.>` are stored.
        public let transport: any EventTransport
        /// The configuration to open the stream with, or that of the stream.
        public let configuration: PersistentEventBus.Configuration
        /// Deletes the stream and its messages, so that opening it creates a new one. `nil` when that is not possible:
        /// the check is then skipped.
        public let deleteStream: (@Sendable () async throws -> Void)?
        /// Cleans up. May be called twice.
        public let close: @Sendable () async -> Void

        /// Creates a fixture.
        public init(
            store: any EventStore,
            other: any EventStore,
            transport: any EventTransport,
            configuration: PersistentEventBus.Configuration,
            deleteStream: (@Sendable () async throws -> Void)? = nil,
            close: @escaping @Sendable () async -> Void
        ) {
            self.store = store
            self.other = other
            self.transport = transport
            self.configuration = configuration
            self.deleteStream = deleteStream
            self.close = close
        }
    }

    /// Makes the fixture of one check.
    public typealias Factory = @Sendable () async throws -> Fixture

    /// One guarantee.
    public struct Check: Sendable, CustomStringConvertible {
        /// The guarantee that is checked.
        public let name: String
        private let needs: Set<StorePart>
        private let body: @Sendable (Fixture) async throws -> Void

        /// The name.
        public var description: String { name }

        init(
            _ name: String,
            needs: Set<StorePart> = [],
            _ body: @escaping @Sendable (Fixture) async throws -> Void
        ) {
            self.name = name
            self.needs = needs
            self.body = body
        }

        /// Runs the check.
        ///
        /// - Throws: ``ConformanceFailure`` when the guarantee is not kept; what the factory or the store throws.
        public func run(_ factory: Factory) async throws {
            let fixture = try await factory()
            guard needs.allSatisfy({ $0.isIn(fixture.store) }) else { return await fixture.close() }
            do {
                try await within(name, limit: .seconds(120)) { [body] in try await body(fixture) }
            } catch {
                await fixture.close()
                throw error
            }
            await fixture.close()
        }
    }

    /// All checks.
    public static let checks: [Check] =
        storing + reading + querying + replaying + durables + durableHandlers + filtering + deadLetters
}

/// A part of a store that not every store has.
enum StorePart: Sendable {
    case durables
    case administration

    func isIn(_ store: any EventStore) -> Bool {
        switch self {
        case .durables: store is any DurableEventStore
        case .administration: store is any StreamAdministration
        }
    }
}

extension StoreConformance.Fixture {
    /// Opens the stream through one of the stores, with no bus.
    @discardableResult
    func open(
        through store: any EventStore,
        _ configuration: PersistentEventBus.Configuration? = nil
    ) async throws -> StoreOpening {
        guard let administration = store as? any StreamAdministration else {
            throw ConformanceFailure("\(type(of: store)) must be a StreamAdministration, as the other store is")
        }
        return try await administration.open(configuration ?? self.configuration)
    }

    func open(node: String = "node-a") async throws -> PersistentEventBus {
        try await PersistentEventBus.open(transport: transport, store: store, node: node, configuration: configuration)
    }

    /// Stores events numbered from 0 in `seq`; every tenth is of type `user.rare`, the others `user.common`.
    func fill(_ bus: PersistentEventBus, _ count: Int) async throws {
        for number in 0..<count {
            let type: EventType = number.isMultiple(of: 10) ? "user.rare" : "user.common"
            try await bus.emit(type, ["seq": .init(number)])
        }
    }

    /// Stores bytes that need not be an event.
    func appendRaw(_ text: String, subject: String = "events.user.common") async throws {
        _ = try await store.append(
            subject: subject,
            payload: Array(text.utf8),
            messageID: "raw-\(UInt64.random(in: .min ... .max))",
            deadline: .seconds(10)
        )
    }
}

extension [StoredEvent] {
    var numbers: [Int] { map(\.event).numbers }
}
