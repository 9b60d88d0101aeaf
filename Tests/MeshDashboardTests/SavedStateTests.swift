import MeshEvents
import MeshEventsTesting
import MeshMonitoring
import TestSupport
import Testing

@testable import MeshDashboard

/// The page says who keeps the state of the mesh, and how far behind the saved state is.
@Suite(.timeLimit(.minutes(2))) struct SavedStateTests {
    @Test func theMeshSaysWhetherANodeKeepsItsState() async throws {
        let table = InMemoryStateStore()
        try await Bench.run(saved: table) { bench in
            let description = try APIDescription(try await bench.client.get("/api/openapi.json").json)
            func saved() async throws -> JSONValue? {
                let answer = try await bench.client.get("/api/mesh")
                let problems = description.problems("GET", "/api/mesh", answer.status, try answer.json)
                #expect(problems.isEmpty, "\(problems)")
                return try answer.json["saved_state"]
            }
            let nothing: JSONValue = ["keeper": .null, "at": .null, "sequence": .null, "behind": .null]
            let first = try await saved()
            #expect(first == nothing)
            let keeper = MeshKeeper(bus: bench.bus, store: bench.store, table: table, logger: quiet)
            let keeping = Task { try await keeper.run() }
            defer { keeping.cancel() }
            let told = try await bench.client.listen { reader in
                var told = try await reader.next("keeper").json
                while told["at"]?.string == nil { told = try await reader.next("keeper").json }
                return told
            }
            #expect(told["keeper"]?.string == "attic" && told["sequence"]?.int != nil && told["behind"]?.int != nil)
            let last = try await saved()
            #expect(last?["keeper"]?.string == "attic")
        }
    }

    @Test func withoutATableTheMeshDoesNotSpeakOfIt() async throws {
        try await Bench.run { bench in
            let answer = try await bench.client.get("/api/mesh")
            let saved = try answer.json["saved_state"]
            #expect(saved == nil)
        }
    }
}
