import Subprocess
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A running `local-nats-server-fixture`: a parent, in a process group of its own, with a server as its child.
struct Fixture: Sendable {
    let pid: Int32
    let serverPID: Int32
    /// The process group of the server and its guard.
    let serverGroup: Int32
    let serverPort: Int
    let store: String
    /// What it says after its first line.
    let laterLines: AsyncStream<String>

    /// Whether the parent has ended.
    var hasEnded: Bool { !TestProcess.exists(pid) }

    func signal(_ signal: Int32) { TestProcess.signal(pid, signal) }

    /// Signals every process of the parent's group, as Ctrl-C at a terminal does.
    func signalGroup(_ signal: Int32) {
        for member in TestProcess.groupMembers(of: pid) { TestProcess.signal(member, signal) }
    }

    /// Runs `body` with a parent, and kills that afterwards.
    ///
    /// - Parameter mode: What the parent does once its server runs: `wait`, `exit` at once, or `survive` SIGINT.
    static func run(
        _ binary: NATSServers.Binary,
        _ mode: String = "wait",
        _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        var options = PlatformOptions()
        options.processGroupID = 0
        let configuration = Configuration(
            executable: .name("env"),
            arguments: [try BuildProducts.executable("local-nats-server-fixture"), binary.path, mode],
            platformOptions: options
        )
        _ = try await Subprocess.run(configuration, input: .none, output: .sequence, error: .discarded) { execution in
            let pid = execution.processIdentifier.value
            defer { TestProcess.signal(pid, SIGKILL) }
            let (laterLines, continuation) = AsyncStream<String>.makeStream()
            var lines = execution.standardOutput.strings().makeAsyncIterator()
            guard let first = try await lines.next() else { throw TestSupportError("The fixture started no server.") }
            let words = first.split(separator: " ").map(String.init)
            guard words.count == 3, let server = Int32(words[0]), let port = Int(words[1]) else {
                throw TestSupportError("The fixture said \(first)")
            }
            let fixture = Fixture(
                pid: pid,
                serverPID: server,
                serverGroup: TestProcess.group(of: server),
                serverPort: port,
                store: words[2],
                laterLines: laterLines
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Which ends its lines too.
                    defer { TestProcess.signal(pid, SIGKILL) }
                    try await body(fixture)
                }
                do { while let line = try await lines.next() { continuation.yield(line) } } catch {}
                continuation.finish()
                try await group.waitForAll()
            }
        }
    }
}
