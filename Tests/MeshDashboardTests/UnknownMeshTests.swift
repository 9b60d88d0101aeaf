import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshDashboard

/// The events can be read, and the state of nodes and tools cannot.
@Suite struct UnknownMeshTests {
    private static func meshOfOneNode() async throws -> (NodesUnreadable, PersistentEventBus) {
        let mesh = InMemoryMesh()
        let store = NodesUnreadable(InMemoryStore(mesh))
        let bus = try await PersistentEventBus.open(
            transport: InMemoryTransport(mesh),
            store: store,
            node: "attic",
            logger: quiet
        )
        try await bus.emit(NodeJoined(capabilities: nil))
        return (store, bus)
    }

    private static func client(of dashboard: Dashboard) async throws -> HTTPClient {
        let url = try await dashboard.url()
        return HTTPClient(port: try #require(url.split(separator: ":").last.flatMap { Int($0.dropLast()) }))
    }

    @Test func whileItIsReadThePageSaysSoInsteadOfShowingAnEmptyMesh() async throws {
        let (store, _) = try await Self.meshOfOneNode()
        store.isUnreadable.withLock { $0 = false }
        store.isSlow.withLock { $0 = true }
        let dashboard = try Dashboard(store: store, configuration: .init(port: 0), logger: quiet)
        let running = Task { try await dashboard.run() }
        defer { running.cancel() }
        let client = try await Self.client(of: dashboard)
        try await eventually("the word about reading") {
            try await client.get("/healthz").json["problem"]?.string
                == "The status of nodes and tools is not known: their events are still being read."
        }
        let answer = try await client.get("/api/mesh")
        #expect(answer.status == 503 && answer.text.contains("still being read"))
        store.isSlow.withLock { $0 = false }
        try await eventually("no problem") { try await client.get("/healthz").status == 200 }
        #expect(try await client.get("/api/mesh").json["nodes"]?.array?.count == 1)
        running.cancel()
        _ = await running.result
    }

    @Test func thePageSaysWhyAndTheTimeOfTheMeshStandsStill() async throws {
        let (store, bus) = try await Self.meshOfOneNode()
        let dashboard = try Dashboard(store: store, configuration: .init(port: 0), logger: quiet)
        let running = Task { try await dashboard.run() }
        defer { running.cancel() }
        let client = try await Self.client(of: dashboard)
        let problem = "The status of nodes and tools is not known: it is forbidden."
        try await eventually("the problem") { try await client.get("/healthz").json["problem"]?.string == problem }
        let answer = try await client.get("/api/mesh")
        let document = try await client.get("/api/openapi.json").json
        #expect(answer.status == 503)
        #expect(try answer.json["error"]?["message"]?.string == "it is forbidden")
        #expect(try APIDescription(document).problems("GET", "/api/mesh", 503, answer.json) == [])
        try await withDeadline(.seconds(60), "the times, and the mesh") {
            try await client.listen { reader in
                #expect(try await reader.next("link").json["problem"]?.string == problem)
                var times: [String] = []
                while times.count < 2, let message = try await reader.next() {
                    #expect(message.name != "mesh")
                    if message.name == "time" { times.append(try message.json["mesh"]?.string ?? "") }
                }
                #expect(Set(times).count == 1, "\(times)")
                // Events are shown.
                try await bus.emit("user.a")
                _ = try await reader.next("message")
                store.isUnreadable.withLock { $0 = false }
                while try await reader.next("mesh").json["nodes"]?.array?.count != 1 {}
            }
        }
        try await eventually("no problem") { try await client.get("/healthz").status == 200 }
        // And when reading ends later.
        store.isUnreadable.withLock { $0 = true }
        store.cancelNodes()
        try await eventually("the problem") {
            let problem = try await client.get("/healthz").json["problem"]?.string ?? ""
            return problem.hasPrefix("The status of nodes and tools is that of 2")
                && problem.hasSuffix("it is forbidden.")
        }
        let last = try await client.get("/api/mesh").json
        #expect(last["nodes"]?.array?.count == 1)
        // An answer is kept for a second.
        try await Task.sleep(for: .milliseconds(1_500))
        #expect(try await client.get("/api/mesh").json["time"] == last["time"])
        running.cancel()
        _ = await running.result
    }
}

/// A store of which the events of nodes and tools alone cannot be followed.
private final class NodesUnreadable: ForwardingStore, StreamAdministration {
    let isUnreadable = Locked(true)
    /// Whether following them does not begin yet.
    let isSlow = Locked(false)
    let store: InMemoryStore
    private let followers = Locked<[any StoreFollower]>([])

    init(_ store: InMemoryStore) { self.store = store }

    /// Ends what follows the events of nodes and tools.
    func cancelNodes() { for follower in followers.withLock({ $0 }) { follower.cancel() } }

    func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        guard pattern != .all else { return try await store.follow(matching: pattern, from: start, timeout: timeout) }
        while isSlow.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(20)) }
        if isUnreadable.withLock({ $0 }) { throw MeshEventsError(.permissionDenied, "it is forbidden") }
        let follower = try await store.follow(matching: pattern, from: start, timeout: timeout)
        followers.withLock { $0.append(follower) }
        return follower
    }
}
