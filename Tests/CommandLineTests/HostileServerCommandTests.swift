import Foundation
import NKeys
import TestSupport
import Testing

/// The program, before a server that floods it or refuses it.
@Suite struct HostileServerCommandTests {
    private static let limit = 200 << 20

    /// Runs `watch` before a server that sends so much, and says how large it became.
    private func watch(_ piece: String, bytes: Int, reads: Bool = false) async throws -> (Command, peak: Int) {
        let server = try await FloodingServer.start(sending: piece, bytes: bytes, afterPings: 2, reads: reads)
        let command = try Command(["watch", "--nats", server.url])
        var peak = 0
        try await eventually(within: .seconds(180), "the flood to be taken") {
            if let use = try? ProcessUse(of: command.pid) { peak = max(peak, use.residentBytes) }
            return server.sentBytes >= bytes || !command.isRunning
        }
        #expect(command.isRunning, "\(command.error)")
        try await server.stop()
        return (command, peak)
    }

    @Test func pingsOfAServerThatDoesNotReadTakeNoMemory() async throws {
        let (command, peak) = try await watch("PING\r\n", bytes: 24 << 20)
        #expect(peak < Self.limit, "\(peak >> 20) MiB")
        command.signal(SIGKILL)
    }

    @Test func aFloodOfReportsIsAFewLines() async throws {
        let report = #"-ERR 'Permissions Violation for Publish to "a.b"'"# + "\r\n"
        let (command, peak) = try await watch(report, bytes: 4 << 20)
        #expect(peak < Self.limit, "\(peak >> 20) MiB")
        try await command.waitForError("the server says")
        let said = command.error.split(separator: "\n").count { $0.contains("the server says") }
        // Ten in ten seconds; without a limit it would be eighty thousand.
        #expect(said <= 190, "\(said)")
        command.signal(SIGKILL)
    }

    @Test(arguments: 1...3)
    func aRefusedLoginIsExitCode69WithAnyNumberOfAddresses(count: Int) async throws {
        var servers: [FakeServer] = []
        for _ in 0..<count {
            servers.append(
                try await FakeServer.start { $0.contains("CONNECT") ? "-ERR 'Authorization Violation'\r\n" : nil }
            )
        }
        let urls = servers.map { "nats://127.0.0.1:\($0.port)" }.joined(separator: ",")
        for command in [["emit", "user.a"], ["watch"], ["status"]] {
            let outcome = try await Command.run(command + ["--nats", urls])
            #expect(outcome.code == 69, "\(outcome.error)")
            #expect(outcome.error.contains("refused the login"))
        }
        for server in servers { try await server.stop() }
    }

    @Test(arguments: ["--nkey", "--creds"])
    func aLoginThatOthersMayReadIsRefused(option: String) async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("login", NKey().seed, mode: 0o644)
        let outcome = try await Command.run(["emit", "user.a", option, file, "--nats", "nats://127.0.0.1:1"])
        #expect(outcome.code == 64)
        #expect(outcome.error.contains("chmod 600 \(file)"), "\(outcome.error)")
        #expect(!outcome.error.contains("SU"))
    }
}
