import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

/// The code of the README, compiled and run: every Swift block of it stands in this file, line by line.
@Suite("The README", .timeLimit(.minutes(1)))
struct ReadmeTests {
    @Test("every Swift block is compiled here, as it stands")
    func blocks() throws {
        let readme = try text("README.md")
        let code = try text("Tests/IntegrationTests/ReadmeTests.swift").split(separator: "\n").map(trimmed)
        let blocks = readme.components(separatedBy: "```swift\n").dropFirst().map {
            $0.components(separatedBy: "```")[0].split(separator: "\n").map(trimmed)
        }
        #expect(blocks.count >= 4)
        // How to depend on the package is no code of a program.
        for line in blocks.joined() where !line.hasPrefix(".") && !line.hasPrefix("//") {
            #expect(code.contains(line), "README.md has a line that is not compiled: \(line)")
        }
    }

    @Test("its examples do what they say")
    func examples() async throws {
        try await withServer { server in
            let transport = try await NATSTransport.connect(to: server.url)
            let bus = EventBus(transport: transport, node: "node-a")
            try await withDeadline(.seconds(10), "the first example") { try await firstExample(bus) }
            try await withDeadline(.seconds(10), "the example of persistence") {
                try await PersistentEventBus.withBus(to: server.url, node: "node-a") { try await persistence($0) }
            }
            try await withDeadline(.seconds(10), "the example of own events") { try await ownEvents(bus) }
        }
    }

    // Compiled only: it names the standard port.
    private func connecting() async throws {
        let transport = try await NATSTransport.connect(to: "nats://127.0.0.1:4222")
        let bus = EventBus(transport: transport, node: "node-a")
        _ = bus
        try await PersistentEventBus.withBus(to: "nats://127.0.0.1:4222", node: "node-a") { persistent in
            try await persistence(persistent)
        }
    }

    private func firstExample(_ bus: EventBus) async throws {
        let crashes = try await bus.subscribe(to: ToolCrashed.self)
        try bus.emit(ToolCrashed(tool: "whisper", error: "out of memory", restartCount: 1))

        for try await crash in crashes {
            print("\(crash.tool) crashed on \(crash.node): \(crash.error)")
            break
        }
    }

    private func persistence(_ persistent: PersistentEventBus) async throws {
        let position = try await persistent.emit(ToolStarted(tool: "whisper"))  // acknowledged: it is in the stream
        print("stored at \(position.sequence)")
        for stored in try await persistent.history(matching: .allTools, limit: 50) {
            print(stored.sequence, stored.event.type, stored.event.node)
        }
        #expect(try await persistent.history(limit: 1).first?.sequence == position.sequence)
        let alerts = try await persistent.subscribe(durable: "alerts", to: .toolCrashed) { delivery in
            print("delivery \(delivery.deliveries) of \(delivery.event.type)")  // return: done; throw: again
        }
        async let _: Void = persistent.close()
        try await alerts.waitUntilEnded()  // behind the scope, all is drained and closed
    }

    private func ownEvents(_ bus: EventBus) async throws {
        try await bus.subscribe(to: TrainingComplete.self) { done in print("loss \(done.loss) on \(done.node)") }
        try bus.emit(TrainingComplete(loss: 0.023))
        try await bus.flush()
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(NATSServers.packageDirectory)/\(path)", encoding: .utf8)
    }

    private func trimmed(_ line: Substring) -> String { line.trimmingCharacters(in: .whitespaces) }
}

struct TrainingComplete: EventPayload, Codable {
    static let eventType: EventType = "user.training.complete"
    var loss: Double
}
