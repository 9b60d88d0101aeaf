import Logging
import MeshEvents
import MeshEventsTesting
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// A dashboard over a mesh in memory.
struct Bench: Sendable {
    static let token = "a token for tests, long enough"

    let store: InMemoryStore
    let bus: PersistentEventBus
    let client: HTTPClient
    let dashboard: Dashboard

    /// Runs `body` with a dashboard that listens.
    ///
    /// - Parameters:
    ///   - saved: where a keeper saves the state of the mesh.
    ///   - verification: what it looks at signatures with.
    ///   - emits: whether it is given the bus to emit on.
    ///   - logs: reads logs.
    ///   - control: what it controls tools with.
    ///   - stream: what the stream keeps.
    ///   - times: how long connections may take.
    ///   - authority: the authority of the configuration's certificate, PEM; `nil` for HTTP.
    ///   - backlog: how many missed events a browser is sent.
    ///   - logger: the dashboard's.
    static func run(
        _ configuration: Dashboard.Configuration = .init(),
        saved: (any StateStore)? = nil,
        verification: SignatureVerification? = nil,
        emits: Bool = false,
        logs: (any LogSource)? = nil,
        control: (any ToolController)? = nil,
        stream: PersistentEventBus.Configuration = .init(),
        times: ConnectionTimer.Limits = .init(),
        authority: String? = nil,
        backlog: Int = StreamSession.maximumBacklog,
        logger: Logger = quiet,
        _ body: @Sendable (Bench) async throws -> Void
    ) async throws {
        var configuration = configuration
        configuration.port = 0
        let memory = try await MemoryBus.open(configuration: stream)
        let (store, bus) = (memory.store, memory.bus)
        let dashboard = try Dashboard(
            store: store,
            saved: saved,
            verification: verification,
            emitter: emits ? bus : nil,
            logs: logs,
            control: control,
            configuration: configuration,
            times: times,
            backlog: backlog,
            logger: logger
        )
        let running = Task { try await dashboard.run() }
        let url = try await dashboard.url()
        let port = try #require(url.split(separator: ":").last.flatMap { Int($0.dropLast()) })
        let client = HTTPClient(port: port, authority: authority)
        do {
            try await eventually("the dashboard to follow the stream") {
                try await client.get("/healthz").status == 200
            }
            try await eventually("the dashboard to follow the mesh") { dashboard.followsMesh }
            try await body(Bench(store: store, bus: bus, client: client, dashboard: dashboard))
            running.cancel()
            _ = await running.result
        } catch {
            running.cancel()
            throw error
        }
    }

    private init(store: InMemoryStore, bus: PersistentEventBus, client: HTTPClient, dashboard: Dashboard) {
        self.store = store
        self.bus = bus
        self.client = client
        self.dashboard = dashboard
    }

    /// Logs in; returns the header fields of the session.
    func logIn(_ token: String = Bench.token) async throws -> [(String, String)] {
        let json = [("content-type", "application/json")]
        let answer = try await client.send(.POST, "/api/session", json, body: #"{"token":"\#(token)"}"#)
        let cookie = try #require(answer.headers.first(name: "set-cookie")).prefix { $0 != ";" }
        return [("cookie", String(cookie)), ("mesh-events-session", try #require(try answer.json["session"]?.string))]
    }

    /// Emits events of one type that are numbered.
    @discardableResult
    func emit(_ range: Range<Int>, _ type: EventType = "user.count") async throws -> UInt64 {
        var last: UInt64 = 0
        for number in range { last = try await bus.emit(type, ["number": JSONValue(number)]).sequence }
        return last
    }
}
