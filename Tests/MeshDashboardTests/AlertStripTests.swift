import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import MeshMonitoring
import TestSupport
import Testing

@testable import MeshDashboard

/// What fires now, as the page gets it.
@Suite(.timeLimit(.minutes(2))) struct AlertStripTests {
    /// A table that counts how often the state of the alerts is read, and can fail.
    private final class CountedTable: ForwardingStateStore {
        let table: any StateStore = InMemoryStateStore()
        private let reads = Locked(0)
        private let failure = Locked(MeshEventsError?.none)

        var count: Int { reads.withLock { $0 } }

        func fail(_ error: MeshEventsError?) { failure.withLock { $0 = error } }

        func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
            if prefix == StateKey.alerts {
                reads.withLock { $0 += 1 }
                if let error = failure.withLock({ $0 }) { throw error }
            }
            try await table.read(under: prefix, body)
        }
    }

    private func fired(
        _ id: String,
        _ rule: String = "tool-down",
        group: EventData = ["tool": "whisper", "node": "pi"],
        severity: String = "warning",
        reason: String = "exit status 1"
    ) -> AlertFired {
        AlertFired(
            alert: AlertDescription(
                id: id,
                rule: rule,
                group: group,
                severity: severity,
                since: .now,
                count: 3,
                sequences: [1, 2, 3],
                reason: reason
            )
        )
    }

    private func resolved(_ id: String) -> AlertResolved { AlertResolved(alert: fired(id).alert, at: .now) }

    /// The next message about alerts of which the condition is true.
    private static func next(
        _ reader: inout EventReader,
        _ what: String,
        within limit: Duration = .seconds(10),
        where isWanted: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let end = ContinuousClock.now + limit
        while true {
            let alerts = try await reader.next("alerts").json
            if isWanted(alerts) { return alerts }
            guard .now < end else { throw TestSupportError("waited in vain for \(what): \(alerts)") }
        }
    }

    @Test func whatFiresIsOnThePageWithinASecondUntilItIsOver() async throws {
        let table = InMemoryStateStore()
        try await Bench.run(saved: table) { bench in
            let document = try await bench.client.get("/api/openapi.json").json
            @Sendable func asked() async throws -> JSONValue? {
                let answer = try await bench.client.get("/api/mesh")
                let problems = try APIDescription(document).problems("GET", "/api/mesh", answer.status, try answer.json)
                #expect(problems.isEmpty, "\(problems)")
                return try answer.json["alerts"]
            }
            let before = try await asked()
            #expect(before?.isNull == true)
            let rule = AlertRule(
                name: "tool-down",
                patterns: ["tool.crashed"],
                cause: .events(count: 2, within: .seconds(60)),
                resolve: ["tool.started"],
                severity: .critical
            )
            let runner = AlertRunner(
                bus: bench.bus,
                store: bench.store,
                table: table,
                configuration: .init(rules: [rule], checkpointInterval: .milliseconds(200)),
                logger: quiet
            )
            let watching = Task { try await runner.run() }
            defer { watching.cancel() }
            try await eventually("the page to know that a process watches") {
                try await bench.client.get("/api/mesh").json["alerts"]?["firing"]?.array?.isEmpty == true
            }
            try await bench.client.listen { reader in
                _ = try await reader.next("alerts")
                try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "<b>no</b>", restartCount: 1))
                try await bench.bus.emit(ToolCrashed(tool: "whisper", error: "<b>no</b>", restartCount: 2))
                // Its event is there before what it means.
                while try await reader.next("message").json["type"]?.string != "alert.fired" {}
                let began = ContinuousClock.now
                let firing = try await Self.next(&reader, "an alert") { $0["firing"]?[0] != nil }
                #expect(.now - began < .seconds(2))
                let alert = try #require(firing["firing"]?[0])
                #expect(alert["rule"]?.string == "tool-down" && alert["severity"]?.string == "critical")
                #expect(alert["group"]?["tool"]?.string == "whisper" && alert["group"]?["node"]?.string == "attic")
                #expect(alert["count"]?.int == 2 && alert["sequences"]?.array?.count == 2)
                #expect(alert["reason"]?.string?.contains("<b>no</b>") == true)
                #expect(alert["acknowledged"]?.bool == false && alert["silenced_until"]?.isNull == true)
                let same = try await asked()
                #expect(same?["firing"] == firing["firing"])

                try await bench.bus.emit(AlertSilenced(rule: "tool-down", forSeconds: 3_600, by: "ada", reason: "disk"))
                let silenced = try await Self.next(&reader, "a silence") {
                    $0["firing"]?[0]?["silenced_until"]?.string != nil
                }
                #expect(silenced["silences"]?[0]?["by"]?.string == "ada")
                try await bench.bus.emit(AlertSilenced(acknowledgedID: alert["id"]?.string ?? ""))
                _ = try await Self.next(&reader, "an acknowledgement") {
                    $0["firing"]?[0]?["acknowledged"]?.bool == true
                }
                _ = try await asked()
                try await bench.bus.emit(ToolStarted(tool: "whisper"))
                _ = try await Self.next(&reader, "its end") { $0["firing"]?.array?.isEmpty == true }
            }
            // A browser that connects later is told at once.
            try await bench.client.listen { reader in
                let first = try await reader.next("alerts").json
                #expect(first["firing"]?.array?.isEmpty == true && first["silences"]?.array?.count == 1)
            }
        }
    }

    @Test func allBrowsersShareWhatIsRead() async throws {
        let table = CountedTable()
        try await table.create()
        try await Bench.run(saved: table) { bench in
            try await bench.bus.emit(fired("a-1"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        try await bench.client.listen { reader in
                            _ = try await Self.next(&reader, "two alerts") { $0["firing"]?.array?.count == 2 }
                        }
                    }
                }
                try await eventually("six browsers") { bench.dashboard.clientCount == 6 }
                let before = table.count
                try await bench.bus.emit(fired("a-2"))
                try await group.waitForAll()
                #expect(table.count - before <= 4)
            }
            let before = table.count
            for _ in 0..<20 { _ = try await bench.client.get("/api/mesh") }
            #expect(table.count - before <= 2)
        }
    }

    @Test func aTableThatCannotBeReadKeepsNothingElseFromThePage() async throws {
        let table = CountedTable()
        try await table.create()
        table.fail(MeshEventsError(.timeout, "no answer", isRetriable: true))
        try await Bench.run(saved: table) { bench in
            let answer = try await bench.client.get("/api/mesh")
            let unknown = try answer.json["alerts"]
            #expect(answer.status == 200 && unknown?.isNull == true)
            try await bench.bus.emit(fired("a-1"))
            try await bench.client.listen { reader in
                _ = try await reader.next("alerts")
                table.fail(nil)
                _ = try await Self.next(&reader, "what fires", within: .seconds(30)) { $0["firing"]?[0] != nil }
            }
        }
    }

    @Test func thereIsAnEndToWhatIsSentOfManyAndLongAlerts() async throws {
        let table = InMemoryStateStore()
        try await table.create()
        try await Bench.run(saved: table) { bench in
            let description = try APIDescription(try await bench.client.get("/api/openapi.json").json)
            let markup = #"<img src=x onerror="alert(1)">"# + "\u{202E}gnp.exe\u{0}\u{1B}[31m"
            let long = markup + String(repeating: "ж", count: 50_000)
            for number in 0..<600 {
                let group: EventData = [
                    "tool": .string("\(markup)\(number)"), "node": .string(number < 3 ? long : "pi"),
                ]
                try await bench.bus.emit(
                    fired(
                        "a-\(number)",
                        group: group,
                        severity: number == 599 ? "critical" : "info",
                        reason: number < 3 ? long : markup
                    )
                )
            }
            try await eventually("all of them to be known") {
                try await bench.client.get("/api/mesh").json["alerts"]?["left_out"]?["firing"]?.int == 100
            }
            let answer = try await bench.client.get("/api/mesh")
            #expect(description.problems("GET", "/api/mesh", 200, try answer.json) == [])
            let alerts = try #require(try answer.json["alerts"])
            let firing = try #require(alerts["firing"]?.array)
            #expect(firing.count == 500 && firing.first?["id"]?.string == "a-599")
            #expect(answer.text.utf8.count < AlertDigest.maximumBytes + 100_000)
            #expect(firing.allSatisfy { ($0["reason"]?.string ?? "").count <= 501 })
            #expect(!answer.text.contains("\u{1B}") && !answer.text.contains("\u{0}"))
            // What does not fit into what may wait for a browser is counted too.
            let overview = try await AlertOverview.load(from: table, store: bench.store)
            let small = try EventData(json: AlertDigest(overview, .free, maximumBytes: 10_000).json)
            let kept = try #require(small["firing"]?.array?.count)
            #expect((1..<100).contains(kept) && small["left_out"]?.data?["firing"]?.int == 600 - kept)
        }
    }

    @Test func aProcessThatShowsNoSignOfLifeIsSaid() async throws {
        let table = InMemoryStateStore()
        try await table.create()
        let lease = Lease(table, key: "alert.lease", for: "watches", holder: .init(node: "lab"), duration: .seconds(15))
        _ = try await lease.acquire { _ in }
        try await Bench.run(saved: table) { bench in
            let overview = try await AlertOverview.load(from: table, store: bench.store)
            func watcher(_ sighting: LeaseSightings.Sighting) throws -> EventData? {
                try EventData(json: AlertDigest(overview, sighting).json)["watcher"]?.data
            }
            #expect(try watcher(.held) == ["node": "lab", "lost_since": nil])
            // It may take another reading to know.
            #expect(try watcher(.undecided) == ["node": "lab", "lost_since": nil])
            let lastSeen = try #require(overview.watcher?.lastSeen)
            #expect(try watcher(.lost) == ["node": "lab", "lost_since": .string(lastSeen.description)])
        }
    }

    @Test func aPurgeAndAnotherStreamAreNoMatter() async throws {
        let table = InMemoryStateStore()
        try await table.create()
        try await Bench.run(saved: table) { bench in
            try await bench.client.listen { reader in
                _ = try await reader.next("alerts")
                try await bench.bus.emit(fired("a-1"))
                _ = try await Self.next(&reader, "an alert") { $0["firing"]?.array?.count == 1 }
                _ = try await bench.store.purge(matching: .all)
                try await bench.bus.emit(fired("a-2"))
                // What is not saved is told by the stream alone.
                _ = try await Self.next(&reader, "the other alert") { $0["firing"]?[0]?["id"]?.string == "a-2" }
                try await bench.store.deleteStream()
                _ = try await Self.next(&reader, "no alert") { $0.isNull }
                _ = try await bench.store.open(.init())
                try await bench.bus.emit(fired("a-3"))
                _ = try await Self.next(&reader, "that of the other stream") {
                    $0["firing"]?.array?.count == 1 && $0["firing"]?[0]?["id"]?.string == "a-3"
                }
            }
        }
    }

    @Test func withoutATableThePageDoesNotSpeakOfAlerts() async throws {
        try await Bench.run { bench in
            try await bench.bus.emit(fired("a-1"))
            let alerts = try await bench.client.get("/api/mesh").json["alerts"]
            #expect(alerts == nil)
        }
    }
}
