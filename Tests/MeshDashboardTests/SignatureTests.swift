import MeshDashboard
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

/// What the dashboard says of signatures when it is told whom to trust.
@Suite struct SignatureTests {
    private let names = NamedSigners(signed: ["attic"], forged: ["cellar": #"the key is "another" one"#])

    /// Emits an event of a node of each kind.
    private func emit(_ bench: Bench) async throws {
        for node in ["attic", "cellar", "stairs"] {
            let bus = try await PersistentEventBus.open(
                transport: InMemoryTransport(),
                store: bench.store,
                node: node,
                logger: quiet
            )
            try await bus.emit("user.said", ["by": .string(node)])
        }
    }

    @Test func everyEventIsMarkedInHistoryAloneAndAsItComes() async throws {
        try await Bench.run(verification: SignatureVerification(names, policy: .accept)) { bench in
            let description = try APIDescription(try await bench.client.get("/api/openapi.json").json)
            try await withDeadline(.seconds(10), "three events") {
                try await bench.client.listen("/api/stream?pattern=user.said") { reader in
                    _ = try await reader.next("position")
                    try await emit(bench)
                    var live: [String?] = []
                    while live.count < 3 { live.append(try await reader.next("message").json["signature"]?.string) }
                    #expect(live == ["signed", "forged", "unsigned"])
                }
            }

            let answer = try await bench.client.get("/api/events?pattern=user.said").json
            #expect(description.problems("GET", "/api/events", 200, answer) == [])
            let listed = try #require(answer["events"]?.array)
            #expect(listed.map { $0["signature"]?.string } == ["signed", "forged", "unsigned"])
            #expect(listed[1]["signature_reason"]?.string == #"the key is "another" one"#)
            #expect(listed[0]["signature_reason"] == nil)

            let sequence = try #require(listed[1]["sequence"]?.int)
            let whole = try await bench.client.get("/api/events/\(sequence)").json
            #expect(description.problems("GET", "/api/events/\(sequence)", 200, whole) == [])
            #expect(whole["signature"]?.string == "forged")
        }
    }

    @Test func whatIsRejectedIsNotShown() async throws {
        try await Bench.run(verification: SignatureVerification(names, policy: .reject)) { bench in
            try await emit(bench)
            let listed = try await bench.client.get("/api/events?pattern=user.said").json["events"]?.array
            #expect(listed?.map { $0["node"]?.string } == ["attic"])
        }
    }

    @Test func whenNobodyLooksNothingIsSaid() async throws {
        try await Bench.run { bench in
            try await emit(bench)
            let listed = try #require(try await bench.client.get("/api/events?pattern=user.said").json["events"]?.array)
            #expect(listed.count == 3 && listed.allSatisfy { $0["signature"] == nil })
        }
    }
}
