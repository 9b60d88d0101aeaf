import HTTPTypes
import Hummingbird
import LocalNATSServer
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshEventsTesting
import NATSClient
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// The page of a mesh that keeps no stream, as one of Go nodes: what comes is shown, said not to be kept, and the page goes
/// over to the stream as soon as there is one.
@Suite struct UnkeptTests {
    /// A dashboard beside a mesh, and who emits there.
    private struct Mesh: Sendable {
        let store: any EventStore
        let emitter: EventBus
        let client: HTTPClient
        let dashboard: Dashboard
    }

    private func run(
        on transport: some EventTransport,
        _ store: some EventStore,
        verification: SignatureVerification? = nil,
        configuration: Dashboard.Configuration = .init(),
        _ body: @Sendable (Mesh) async throws -> Void
    ) async throws {
        var configuration = configuration
        configuration.port = 0
        let dashboard = try Dashboard(
            store: store,
            verification: verification,
            bus: EventBus(
                transport: transport,
                node: "",
                configuration: .init(verification: verification),
                logger: quiet
            ),
            configuration: configuration,
            logger: quiet
        )
        let running = Task { try await dashboard.run() }
        defer { running.cancel() }
        let url = try await dashboard.url()
        let port = try #require(url.split(separator: ":").last.flatMap { Int($0.dropLast()) })
        let client = HTTPClient(port: port)
        try await eventually("the dashboard to listen to what comes") {
            let answer = try await client.get("/healthz")
            let note = try answer.json["note"]?.string
            return answer.status == 200 && note?.contains("mesh-events stream create") == true
        }
        let emitter = EventBus(transport: transport, node: "go-node", logger: quiet)
        try await body(Mesh(store: store, emitter: emitter, client: client, dashboard: dashboard))
        running.cancel()
        _ = await running.result
    }

    private func inMemory(
        verification: SignatureVerification? = nil,
        configuration: Dashboard.Configuration = .init(),
        _ body: @Sendable (Mesh) async throws -> Void
    ) async throws {
        let mesh = InMemoryMesh()
        try await run(
            on: InMemoryTransport(mesh),
            InMemoryStore(mesh),
            verification: verification,
            configuration: configuration,
            body
        )
    }

    @Test(arguments: NATSServers.all)
    func whatComesIsShownUntilThereIsAStreamAndAfterItsEnd(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(configuration(server), logger: quiet)
            let store = JetStreamStore(transport.connection)
            try await run(on: transport, store) { mesh in
                let document = try await mesh.client.get("/api/openapi.json").json
                try await withDeadline(.seconds(60), "the page without, with and without a stream") {
                    try await mesh.client.listen { reader in
                        let description = try APIDescription(document)
                        let link = try await reader.next("link").json
                        #expect(link["up"]?.bool == true && link["kept"]?.bool == false)
                        #expect(link["note"]?.string?.contains("Nothing is kept yet") == true)
                        let began = try await reader.next("unkept").json
                        #expect(began["live"]?.int == 0)

                        // The mesh, and events with a number that is no cursor.
                        try mesh.emitter.emit(NodeJoined(capabilities: nil))
                        let joined = try await reader.next("live")
                        #expect(joined.id == nil)
                        let event = try joined.json
                        #expect(event["type"]?.string == "node.joined" && event["live"]?.int == 1)
                        #expect(event["sequence"] == nil)
                        #expect(description.problems(event, "Live") == [])
                        let node = try await reader.next("node").json
                        #expect(node["name"]?.string == "go-node" && node["status"]?.string == "online")
                        try mesh.emitter.emit("user.hello", ["number": 1])
                        #expect(try await reader.next("live").json["data"]?["number"]?.int == 1)
                        #expect(reader.lastID == nil)
                        let known = try await mesh.client.get("/api/mesh").json
                        #expect(known["nodes"]?.array?.count == 1)
                        let counted = try await mesh.client.get("/api/histogram").json
                        #expect(counted["through"]?.int == 2 && counted["series"]?.array?.count == 2)
                        #expect(description.problems("GET", "/api/histogram", 200, counted) == [])
                        let health = try await mesh.client.get("/healthz").json
                        #expect(description.problems("GET", "/healthz", 200, health) == [])

                        // A number of an event that is not kept is nothing to come back to.
                        #expect(try await mesh.client.get("/api/stream?after=live-2").status == 400)
                        #expect(try await mesh.client.get("/api/events").status == 503)

                        // Over to the stream, by itself.
                        let bus = try await PersistentEventBus.open(
                            transport: transport,
                            node: "attic",
                            logger: quiet
                        )
                        let position = try await reader.next("position")
                        #expect(position.id != nil)
                        let stored = try await bus.emit("user.stored", ["number": 2])
                        let message = try await reader.next("message")
                        #expect(message.id == stored.sequence)
                        try await eventually("the link to say that events are kept") {
                            try await mesh.client.get("/healthz").json["note"] == nil
                        }
                        try await bus.emit(NodeJoined(capabilities: ["version": "1"]))
                        try await eventually("the mesh to be the stream's") {
                            let nodes = try await mesh.client.get("/api/mesh").json["nodes"]?.array
                            return nodes?.map { $0["name"]?.string } == ["attic"]
                        }

                        // And back, when it is deleted.
                        try await JetStream(connection: transport.connection)
                            .deleteStream(PersistentEventBus.Configuration().streamName)
                        let again = try await reader.next("unkept").json
                        #expect(again["live"]?.int == 0 && again["since"] != began["since"])
                        try mesh.emitter.emit("user.hello", ["number": 3])
                        #expect(try await reader.next("live").json["data"]?["number"]?.int == 3)
                        #expect(try await mesh.client.get("/api/mesh").json["nodes"]?.array?.isEmpty == true)

                        // Another stream is another one, also for who knew the first.
                        try mesh.emitter.emit(NodeJoined(capabilities: nil))
                        _ = try await reader.next("node")
                        let other = try await PersistentEventBus.open(
                            transport: transport,
                            node: "attic",
                            logger: quiet
                        )
                        _ = try await reader.next("reset")
                        let first = try await other.emit("user.stored", ["number": 4])
                        #expect(try await reader.next("message").id == first.sequence)
                        try await eventually("the mesh to be the other stream's") {
                            try await mesh.client.get("/api/mesh").json["nodes"]?.array?.isEmpty == true
                        }
                    }
                }
            }
            await transport.close()
        }
    }

    @Test("a server without JetStream: what comes is shown", arguments: NATSServers.all)
    func withoutJetStream(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(jetStream: false)) { server in
            let transport = try await NATSTransport.connect(configuration(server), logger: quiet)
            try await run(on: transport, JetStreamStore(transport.connection)) { mesh in
                try await withDeadline(.seconds(60), "a live event") {
                    try await mesh.client.listen { reader in
                        _ = try await reader.next("unkept")
                        try mesh.emitter.emit("user.hello", ["number": 1])
                        #expect(try await reader.next("live").json["data"]?["number"]?.int == 1)
                    }
                }
            }
            await transport.close()
        }
    }

    @Test(
        "JetStream goes away under a page and comes back: live events meanwhile, then the stream again",
        arguments: NATSServers.all,
        [false, true]
    )
    func jetStreamGoesAndComesBack(_ binary: NATSServers.Binary, forTheAccountAlone: Bool) async throws {
        let directory = try TemporaryDirectory()
        let jetStream = "jetstream { store_dir: \"\(directory.path)\" }\n"
        @Sendable func settings(hasJetStream: Bool) -> String {
            guard forTheAccountAlone else { return hasJetStream ? jetStream : "" }
            return jetStream + """
                accounts { A { jetstream: \(hasJetStream ? "enabled" : "disabled"), users: [{ user: u, password: p }] } }
                no_auth_user: u
                """
        }
        let on = LocalNATSServer.Configuration(
            jetStream: false,
            extraConfiguration: settings(hasJetStream: true)
        )
        try await withServer(binary, on) { server in
            let transport = try await NATSTransport.connect(configuration(server), logger: quiet)
            try await run(on: transport, JetStreamStore(transport.connection)) { mesh in
                try await withDeadline(.seconds(120), "the page with, without and with JetStream") {
                    try await mesh.client.listen { reader in
                        let bus = try await PersistentEventBus.open(transport: transport, node: "attic", logger: quiet)
                        _ = try await reader.next("position")
                        let first = try await bus.emit("user.stored", ["number": 1])
                        #expect(try await reader.next("message").id == first.sequence)

                        try server.reconfigure(settings(hasJetStream: false))
                        try await server.restart()
                        _ = try await reader.next("unkept")
                        try await eventually("the link to say that events are not kept") {
                            let health = try await mesh.client.get("/healthz")
                            return try health.status == 200 && health.json["note"] != nil
                        }
                        try mesh.emitter.emit(NodeJoined(capabilities: nil))
                        #expect(try await reader.next("live").json["type"]?.string == "node.joined")
                        #expect(try await reader.next("node").json["name"]?.string == "go-node")

                        try server.reconfigure(settings(hasJetStream: true))
                        try await server.restart()
                        #expect(try await reader.next("position").id == first.sequence)
                        try await eventually("the link to say that events are kept") {
                            let health = try await mesh.client.get("/healthz")
                            return try health.status == 200 && health.json["note"] == nil
                        }
                        let second = try await bus.emit("user.stored", ["number": 2])
                        #expect(try await reader.next("message").id == second.sequence)
                    }
                }
            }
            await transport.close()
        }
    }

    @Test(
        "of what is emitted while a stream is created, nothing is missing and all is in order",
        arguments: NATSServers.all
    )
    func seam(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(configuration(server), logger: quiet)
            let store = JetStreamStore(transport.connection)
            try await run(on: transport, store) { mesh in
                try await withDeadline(.seconds(60), "the way over to the stream") {
                    try await mesh.client.listen { reader in
                        _ = try await reader.next("unkept")
                        async let emitted: Void = {
                            for number in 0..<1_500 {
                                try mesh.emitter.emit("user.count", ["number": JSONValue(number)])
                                if number == 300 { _ = try await store.open(PersistentEventBus.Configuration()) }
                                if number.isMultiple(of: 5) { try await Task.sleep(for: .milliseconds(10)) }
                            }
                        }()
                        var (live, kept, isKept) = ([Int](), [Int](), false)
                        while kept.last != 1_499, let message = try await reader.next() {
                            switch message.name {
                            case "live":
                                #expect(!isKept, "a live event behind the position")
                                live.append(try message.json["data"]?["number"]?.int ?? -1)
                            case "position": isKept = true
                            case "message": kept.append(try message.json["data"]?["number"]?.int ?? -1)
                            default: break
                            }
                        }
                        try await emitted
                        #expect(live == Array(0..<live.count) && live.count >= 300)
                        #expect(kept == Array((kept.first ?? 0)..<1_500))
                        #expect(kept.first ?? 0 <= live.count, "live to \(live.count), kept from \(kept.first ?? 0)")
                    }
                }
            }
            await transport.close()
        }
    }

    @Test func onlyWhatIsAskedForComesAndWhoComesLaterKnowsHowManyThereWere() async throws {
        try await inMemory { mesh in
            try await withDeadline(.seconds(20), "live events") {
                try await mesh.client.listen("/api/stream?pattern=user.*&text=%22number%22%3A2") { reader in
                    _ = try await reader.next("unkept")
                    for number in 0..<30 { try mesh.emitter.emit("user.count", ["number": JSONValue(number)]) }
                    for expected in [2] + Array(20..<30) {
                        #expect(try await reader.next("live").json["data"]?["number"]?.int == expected)
                    }
                }
                try await mesh.client.listen("/api/stream?where=number%20in%202,%204") { reader in
                    let unkept = try await reader.next("unkept").json
                    #expect(unkept["live"]?.int == 30)
                    for number in 0..<6 { try mesh.emitter.emit("user.count", ["number": JSONValue(number)]) }
                    for expected in [2, 4] {
                        #expect(try await reader.next("live").json["data"]?["number"]?.int == expected)
                    }
                }
            }
        }
    }

    @Test func whatComesWithoutAConnectionIsSaidToBeMissing() async throws {
        try await inMemory { mesh in
            try await withDeadline(.seconds(20), "an outage") {
                try await mesh.client.listen { reader in
                    _ = try await reader.next("unkept")
                    try mesh.emitter.emit("user.first")
                    _ = try await reader.next("live")
                    mesh.dashboard.connection(problem: "It is gone.")
                    let link = try await reader.next("link").json
                    let problem = "It is gone. Events from meanwhile are not shown: no stream keeps them."
                    #expect(link["problem"]?.string == problem)
                    mesh.dashboard.connection(problem: nil)
                    let missed = try await reader.next("missed").json
                    #expect(missed["live"]?.int == 1 && missed["count"]?.isNull == true)
                }
            }
        }
    }

    @Test func aLargeEventIsCutAsThoseThatAreKept() async throws {
        try await inMemory { mesh in
            try await withDeadline(.seconds(20), "a live event") {
                try await mesh.client.listen { reader in
                    _ = try await reader.next("unkept")
                    try mesh.emitter.emit("user.large", ["text": .string(String(repeating: "x", count: 100_000))])
                    let message = try await reader.next("live")
                    #expect(message.data.utf8.count < 1_000)
                    let event = try message.json
                    #expect(event["data"]?.isNull == true)
                    #expect((event["data_bytes"]?.int ?? 0) > 100_000)
                }
            }
        }
    }

    @Test func whatIsLostIsCountedAndNumbered() async throws {
        let feed = EventFeed(
            store: InMemoryStore(InMemoryMesh()),
            verification: nil,
            configuration: .init(),
            logger: quiet
        ) { _, _ in }
        feed.beginLive()
        let client = try #require(feed.join()).client
        feed.take(live: Event("user.first", node: "n"))
        feed.miss(live: 5)
        feed.take(live: Event("user.last", node: "n"))
        var texts: [String] = []
        for item in await client.next() ?? [] {
            switch item {
            case .live(_, let buffer), .notice(let buffer): texts.append(String(buffer: buffer))
            default: break
            }
        }
        #expect(texts.count == 3)
        #expect(texts[0].contains(#""live":1,"#))
        #expect(texts[1].hasPrefix("event: missed") && texts[1].contains(#"{"count":5,"live":6}"#))
        #expect(texts[2].contains(#""live":7,"#))
        let histogram = try await feed.histogram(PageFilter(), 0..<Int64.max / 2, buckets: 1)
        #expect(histogram.through == 7 && histogram.series.count == 2)
    }

    @Test func whatWaitsForABrowserComesBeforeThePositionInTheStream() async throws {
        let client = FeedClient(maximumItems: 100, maximumBytes: 1 << 20)
        for number in 1...3 {
            client.offer(.live(Event("user.count", node: "n"), ServerSentEvent.buffer("live", "\(number)".utf8)))
        }
        client.offer(.began(after: StreamPosition(7, created: nil)))
        client.offer(.notice(ServerSentEvent.buffer("link", "{}".utf8)))
        client.end()
        let store = InMemoryStore(InMemoryMesh())
        var session = StreamSession(
            client: client,
            store: store,
            history: EventHistory(store: store, logger: quiet),
            gate: QueryGate(maximumRunning: 1, maximumWaiting: 1),
            reader: "one",
            filter: PageFilter(),
            after: nil,
            told: .now,
            maximumBacklog: 100
        ) { true }
        let written = Locked("")
        var writer: any ResponseBodyWriter = Recording(text: written)
        try await session.run(from: .unkept(.init(since: .now)), into: &writer)
        let names = written.withLock { $0 }.split(separator: "\n").filter { $0.hasPrefix("event: ") }.map {
            $0.dropFirst(7)
        }
        #expect(names == ["unkept", "live", "live", "live", "position", "link"])
    }

    private struct Recording: ResponseBodyWriter {
        let text: Locked<String>

        mutating func write(_ buffer: ByteBuffer) async throws { text.withLock { $0 += String(buffer: buffer) } }
        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }

    @Test func whoDoesNotReadIsCutOff() async throws {
        try await inMemory(configuration: .init(bufferedEvents: 100_000, bufferedBytes: 256 << 10)) { mesh in
            try await withDeadline(.seconds(60), "the client to be cut off") {
                try await mesh.client.connect(.GET, "/api/stream") { inbound in
                    try await eventually("the client to be there") { mesh.dashboard.clientCount == 1 }
                    let text = String(repeating: "x", count: 10_000)
                    // The sockets hold some megabytes, the dashboard a quarter of one.
                    for number in 0..<2_000 {
                        try mesh.emitter.emit("user.count", ["number": JSONValue(number), "text": .string(text)])
                        if number % 100 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                    }
                    try await eventually("it to be cut off") { mesh.dashboard.clientCount == 0 }
                    _ = inbound
                }
            }
        }
    }

    @Test func onlySignedEventsTellHowTheMeshIsAndAllAreMarked() async throws {
        try await inMemory(verification: SignatureVerification(NamedSigners(signed: ["trusted"]), policy: .accept)) {
            mesh in
            try await withDeadline(.seconds(20), "two nodes") {
                try await mesh.client.listen { reader in
                    _ = try await reader.next("unkept")
                    for node in ["unknown", "trusted"] {
                        try mesh.emitter.emit(Event(NodeJoined(capabilities: nil), node: node))
                    }
                    #expect(try await reader.next("live").json["signature"]?.string == "unsigned")
                    #expect(try await reader.next("live").json["signature"]?.string == "signed")
                    #expect(try await reader.next("node").json["name"]?.string == "trusted")
                    #expect(try await mesh.client.get("/api/mesh").json["nodes"]?.array?.count == 1)
                    #expect(mesh.dashboard.rejected == 1)
                }
            }
        }
    }
}
