import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import NIOCore
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What it costs the server to be asked: the time its processors work, against that of reading the stream once, and the
/// consumers that stay behind.
@Suite("What reading costs the server", .timeLimit(.minutes(5)))
struct ReadingCostTests {
    private static let count = 30_000
    /// What a process takes beside its work is counted in hundredths of a second.
    private static let grain: Duration = .milliseconds(100)

    private let server: LocalNATSServer
    private let store: JetStreamStore

    @Test(
        "30 000 events: page, searches and lists cost two plain reads each at most, and leave four consumers at most",
        arguments: NATSServers.all
    )
    static func cost(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(syncsEachWrite: false)) { server in
            let connection = try await connect(server)
            let store = JetStreamStore(connection)
            _ = try await store.open(.init(maximumMessages: nil))
            try await fill(connection, store)
            try await ReadingCostTests(server: server, store: store).compare()
        }
    }

    private static func fill(_ connection: NATSConnection, _ store: JetStreamStore) async throws {
        let types = ["user.job", "user.job", "user.done", "tool.started", "user.job", "node.health"]
        for number in 0..<count {
            let (type, node) = (types[number % types.count], "n\(number % 7)")
            let data = type == "node.health" ? #"{"status":"online"}"# : #"{"tool":"whisper","n":\#(number)}"#
            let event = #"{"type":"\#(type)","node":"\#(node)","timestamp":"2026-11-28T09:00:00Z","data":\#(data)}"#
            try connection.publish(ByteBuffer(string: event), to: "events.\(type)")
            if number % 1_000 == 999 { try await connection.flush() }
        }
        try await eventually("all events to be stored") {
            try await store.state().messages == UInt64(count)
        }
    }

    private func compare() async throws {
        try await Self.run(["export"], server)
        let first = try await cost { try await Self.run(["export"], server) }
        let second = try await cost { try await Self.run(["export"], server) }
        let limit = first + second + Self.grain
        func check(_ what: String, isCounted: Bool = true, _ body: () async throws -> Void) async throws {
            let cost = try await cost(body)
            if isCounted { #expect(cost <= limit, "\(what): \(cost), two plain reads: \(first + second)") }
            // They are deleted without waiting for it.
            try await eventually("no more than four consumers after \(what)") {
                try await store.jetStream.streamInfo(store.streamName).state.consumerCount <= 4
            }
        }
        for arguments in [
            ["--node", "none"], ["--limit", "100"], ["tool.crashed"],
        ] {
            try await check("list \(arguments)") { try await Self.run(["list"] + arguments, server) }
        }
        var dashboard: Command?
        var address = ""
        // Servers before 2.10 count anew, in some readings, what a consumer with a filter has to deliver, message by message.
        try await check("the page", isCounted: !server.version.hasPrefix("2.9.")) {
            let started = try Command(["dashboard", "--listen", "127.0.0.1:0", "--nats", server.url])
            dashboard = started
            try await started.waitForError("the dashboard is at")
            address = String(try #require(started.error.firstMatch(of: #/the dashboard is at (http://\S+:\d+)/#)).1)
            try await settled(address)
        }
        for query in ["node=none", "text=nowhere", "type=tool.crashed"] {
            try await check("search \(query)") { try await search(query, address) }
        }
        dashboard?.signal(SIGTERM)
        #expect(try await dashboard?.wait().code == 0)
    }

    /// How long the server's processors have worked for it.
    private func cost(_ body: () async throws -> Void) async throws -> Duration {
        let before = try await processorTime()
        try await body()
        return try await processorTime() - before
    }

    /// The time so far, once the server has nothing to do.
    private func processorTime() async throws -> Duration {
        let pid = try #require(server.pid)
        var last = Duration.zero
        var look = ContinuousClock.now
        try await eventually("the server to be idle") {
            guard ContinuousClock.now >= look else { return false }
            let time = try ProcessUse(of: pid).processorTime
            defer { (last, look) = (time, .now + .milliseconds(200)) }
            return time - last < .milliseconds(20)
        }
        return last
    }

    private static func run(_ arguments: [String], _ server: LocalNATSServer) async throws {
        let outcome = try await Command(arguments + ["--nats", server.url]).wait(within: .seconds(120))
        #expect(outcome.code == 0, "\(arguments): \(outcome.error)")
    }

    // MARK: The page

    private func get(_ url: String) async throws -> (status: Int, json: [String: Any]) {
        let (data, response) = try await URLSession.shared.data(from: try #require(URL(string: url)))
        let object = try? JSONSerialization.jsonObject(with: data)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, object as? [String: Any] ?? [:])
    }

    /// Asks what the page asks for when it is opened, until it knows all.
    private func settled(_ address: String) async throws {
        try await eventually("the dashboard to hear the mesh") {
            try await get(address + "/healthz").status == 200
        }
        for path in ["mesh", "events?limit=200", "events?type=node.health&limit=1000"] {
            #expect(try await get("\(address)/api/\(path)").status == 200)
        }
        try await eventually("the index to be complete") {
            try await get(address + "/api/histogram").json["complete"] as? Bool == true
        }
    }

    /// Follows an answer to the next one until something is found or there is no more.
    private func search(_ query: String, _ address: String) async throws {
        var cursor = ""
        while true {
            let (status, json) = try await get("\(address)/api/events?\(query)&limit=200\(cursor)")
            #expect(status == 200)
            guard let next = json["cursor"] as? String, (json["events"] as? [Any])?.isEmpty == true else { return }
            cursor = "&before=\(next)"
        }
    }
}
