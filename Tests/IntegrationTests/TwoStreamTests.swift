import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// A hub and a leaf node, each with JetStream and a stream of the same name: every event is kept twice, and acknowledged
/// twice. What counts is the stream that was opened.
@Suite("Two streams take the events", .timeLimit(.minutes(5)))
struct TwoStreamTests {
    static let cases = NATSServers.all.flatMap { binary in JetStreamDomains.allCases.map { (binary, $0) } }

    /// The hub's side of both.
    struct Mesh {
        let hub: JetStream
        let leaf: JetStream
        let store: JetStreamStore
        let persistent: PersistentEventBus

        var hubState: StreamInformation.State {
            get async throws { try await hub.streamInfo("MESH_EVENTS").state }
        }
    }

    private func withMesh(
        _ binary: NATSServers.Binary,
        _ domains: JetStreamDomains,
        _ body: (Mesh) async throws -> Void
    ) async throws {
        try await withHubAndLeaf(binary, domains) { hub, leaf in
            let transport = NATSTransport(try await connect(hub))
            let store = JetStreamStore(transport.connection)
            let persistent = try await PersistentEventBus.open(transport: transport, store: store, node: "a")
            // The sequences of the two are to differ.
            for number in 0..<7 { try await persistent.emit("user.before", ["n": JSONValue(number)]) }
            let other = NATSTransport(try await connect(leaf))
            _ = try await JetStreamStore(other.connection).open(PersistentEventBus.Configuration())
            let mesh = Mesh(
                hub: JetStream(connection: transport.connection),
                leaf: JetStream(connection: other.connection),
                store: store,
                persistent: persistent
            )
            try await waitUntilKept(by: mesh.leaf, from: transport.connection)
            // Without domains, what is promised begins with the other stream's first answer.
            try await eventually("the other stream's answer to be noticed") {
                try await persistent.emit("user.before")
                // A slow other one must not fall behind by more answers than are remembered.
                try await Task.sleep(for: .milliseconds(100))
                return store.hasOtherStream
            }
            try await body(mesh)
            await persistent.close()
            await other.close()
            await transport.close()
        }
    }

    @Test("each emit is told where the stream that was opened has it", arguments: cases)
    func sequences(binary: NATSServers.Binary, domains: JetStreamDomains) async throws {
        try await withMesh(binary, domains) { mesh in
            for number in 0..<40 {
                let position = try await mesh.persistent.emit("user.one", ["n": JSONValue(number)])
                #expect(position.sequence == (try await mesh.hubState.lastSequence))
            }
            let before = try await mesh.hubState.messages
            let positions = try await mesh.persistent.emit(
                contentsOf: (0..<300).map { Event("user.many", node: "a", data: ["n": JSONValue($0)]) }
            )
            #expect(positions.count == 300 && Set(positions.map(\.sequence)).count == 300)
            #expect(try await mesh.hubState.messages == before + 300, "each is stored once")
        }
    }

    @Test("when the opened stream is full, nothing counts as stored, whatever the other says", arguments: cases)
    func full(binary: NATSServers.Binary, domains: JetStreamDomains) async throws {
        try await withMesh(binary, domains) { mesh in
            try await mesh.hub.leaveRoom(for: 0)
            for number in 0..<30 {
                let error = await #expect(throws: MeshEventsError.self) {
                    try await mesh.persistent.emit("user.one", ["n": JSONValue(number)])
                }
                #expect(error?.code == .storageFull, "\(String(describing: error))")
            }
            let batch = await #expect(throws: BatchEmitError.self) {
                try await mesh.persistent.emit(
                    contentsOf: (0..<200).map { Event("user.many", node: "a", data: ["n": JSONValue($0)]) }
                )
            }
            #expect(batch?.stored.isEmpty == true && batch?.cause.code == .storageFull, "\(String(describing: batch))")
        }
    }

    @Test("when the other stream is full, its errors fail nothing", arguments: cases)
    func otherFull(binary: NATSServers.Binary, domains: JetStreamDomains) async throws {
        try await withMesh(binary, domains) { mesh in
            try await mesh.leaf.leaveRoom(for: 0)
            for number in 0..<20 {
                let position = try await mesh.persistent.emit("user.one", ["n": JSONValue(number)])
                #expect(position.sequence == (try await mesh.hubState.lastSequence))
            }
            let before = try await mesh.hubState.messages
            let positions = try await mesh.persistent.emit(
                contentsOf: (0..<200).map { Event("user.many", node: "a", data: ["n": JSONValue($0)]) }
            )
            #expect(positions.count == 200 && Set(positions.map(\.sequence)).count == 200)
            #expect(try await mesh.hubState.messages == before + 200)
        }
    }

    @Test("when the opened stream is gone, nothing counts as stored, whatever the other says", arguments: cases)
    func gone(binary: NATSServers.Binary, domains: JetStreamDomains) async throws {
        try await withMesh(binary, domains) { mesh in
            try await mesh.hub.deleteStream("MESH_EVENTS")
            for number in 0..<2 {
                let error = await #expect(throws: MeshEventsError.self) {
                    try await mesh.persistent.emit("user.one", ["n": JSONValue(number)])
                }
                #expect(error?.code == .streamNotFound, "\(String(describing: error))")
            }
            let batch = await #expect(throws: BatchEmitError.self) {
                try await mesh.persistent.emit(
                    contentsOf: (0..<20).map { Event("user.many", node: "a", data: ["n": JSONValue($0)]) }
                )
            }
            #expect(batch?.stored.isEmpty == true, "\(String(describing: batch))")
        }
    }

    @Test("a second answer is said, once", arguments: cases)
    func said(binary: NATSServers.Binary, domains: JetStreamDomains) async throws {
        try await withMesh(binary, domains) { mesh in
            let connection = mesh.hub.connection
            async let heard = status(of: connection, "the word") { status -> String? in
                guard case .serverError(let error) = status, error.message.contains("two streams") else { return nil }
                return error.message
            }
            // A reader of the status may come late: what is told once is told to those who listen by then.
            let other = JetStreamStore(connection)
            let bus = try await PersistentEventBus.open(
                transport: NATSTransport(connection),
                store: other,
                node: "a"
            )
            try await connection.flush()
            for number in 0..<5 { try await bus.emit("user.one", ["n": JSONValue(number)]) }
            #expect(try await heard.contains("--js-domain"))
        }
    }

    @Test("a stream that acknowledges nothing is said to be one, at once", arguments: NATSServers.all)
    func noAcknowledgements(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = NATSTransport(try await connect(server))
            let jetStream = JetStream(connection: transport.connection)
            var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
            configuration.fields["no_ack"] = true
            _ = try await jetStream.createStream(configuration)
            let persistent = try await PersistentEventBus.open(transport: transport, node: "a")
            let start = ContinuousClock.now
            let error = await #expect(throws: MeshEventsError.self) { try await persistent.emit("user.one") }
            #expect(error?.code == .streamMismatch && error?.message.contains("no_ack") == true)
            await #expect(throws: BatchEmitError.self) {
                try await persistent.emit(contentsOf: [Event("user.two", node: "a")])
            }
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(try await jetStream.streamInfo("MESH_EVENTS").state.messages == 0, "nothing was sent")
            // Changed while the store is open: told after the first attempt.
            configuration.fields["no_ack"] = false
            _ = try await jetStream.updateStream(configuration)
            let later = try await PersistentEventBus.open(transport: transport, node: "a")
            try await later.emit("user.three")
            await transport.close()
        }
    }
}
