import MeshEvents
import MeshEventsConformance
import MeshEventsTesting
import Testing

/// The in-memory pair keeps every guarantee of the conformance suites.
@Suite(.timeLimit(.minutes(2)))
struct InMemoryConformanceTests {
    @Test(arguments: TransportConformance.checks)
    func transport(_ check: TransportConformance.Check) async throws {
        try await check.run {
            let mesh = InMemoryMesh()
            let emitting = InMemoryTransport(mesh)
            let receiving = InMemoryTransport(mesh)
            return TransportConformance.Fixture(emitting: emitting, receiving: receiving) {
                emitting.close()
                receiving.close()
            }
        }
    }

    @Test(arguments: StoreConformance.checks)
    func store(_ check: StoreConformance.Check) async throws {
        try await check.run {
            let mesh = InMemoryMesh()
            let transport = InMemoryTransport(mesh)
            return StoreConformance.Fixture(
                store: InMemoryStore(mesh),
                other: InMemoryStore(mesh),
                transport: transport,
                configuration: PersistentEventBus.Configuration(),
                deleteStream: { try await InMemoryStore(mesh).deleteStream() }
            ) {
                transport.close()
            }
        }
    }

    @Test(arguments: StoreConformance.checks)
    func storeOfMessagesOnly(_ check: StoreConformance.Check) async throws {
        try await check.run {
            let mesh = InMemoryMesh()
            let transport = InMemoryTransport(mesh)
            let configuration = PersistentEventBus.Configuration()
            _ = try await InMemoryStore(mesh).open(configuration)
            return StoreConformance.Fixture(
                store: PlainStore(InMemoryStore(mesh)),
                other: PlainStore(InMemoryStore(mesh)),
                transport: transport,
                configuration: configuration
            ) {
                transport.close()
            }
        }
    }

    @Test func theSuitesAreNotEmptyAndTheirNamesAreUnique() {
        let names = TransportConformance.checks.map(\.name) + StoreConformance.checks.map(\.name)
        #expect(TransportConformance.checks.count >= 20)
        #expect(StoreConformance.checks.count >= 15)
        #expect(Set(names).count == names.count)
    }

    @Test func aBrokenTransportFailsTheSuite() async throws {
        let checks = TransportConformance.checks.filter { $0.name.contains("in that order") }
        let check = try #require(checks.first)
        let failure = await #expect(throws: ConformanceFailure.self) {
            try await check.run {
                let mesh = InMemoryMesh()
                let emitting = StutteringTransport(InMemoryTransport(mesh))
                return TransportConformance.Fixture(emitting: emitting, receiving: InMemoryTransport(mesh)) {}
            }
        }
        #expect(failure?.description.contains("order") == true)
    }
}

/// Sends some messages twice.
private final class StutteringTransport: EventTransport {
    private let transport: InMemoryTransport

    init(_ transport: InMemoryTransport) {
        self.transport = transport
    }

    var maximumPayload: Int? { transport.maximumPayload }
    func publish(_ message: OutgoingMessage) throws(MeshEventsError) {
        try transport.publish(message)
        if message.payload.byteCount.isMultiple(of: 2) { try transport.publish(message) }
    }
    func waitUntilWritable() async throws(MeshEventsError) { try await transport.waitUntilWritable() }
    func flush(timeout: Duration) async throws(MeshEventsError) { try await transport.flush(timeout: timeout) }
    func subscribe(
        to subject: String,
        queueGroup: String?,
        receiver: any MessageReceiver
    ) async throws(MeshEventsError) -> any TransportSubscription {
        try await transport.subscribe(to: subject, queueGroup: queueGroup, receiver: receiver)
    }
}
