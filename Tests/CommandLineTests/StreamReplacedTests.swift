import Foundation
import LocalNATSServer
import NATSClient
import TestSupport
import Testing

/// The stream is deleted and created again, or the server comes back without its data, under commands that run.
@Suite(.timeLimit(.minutes(3))) struct StreamReplacedTests {
    private func emit(_ server: LocalNATSServer, _ count: Int, _ type: String = "user.n") async throws {
        for _ in 0..<count {
            let emit = try await Command.run(["emit", type, "--ack", "--node", "pi", "--nats", server.url])
            #expect(emit.code == 0, "\(emit.error)")
        }
    }

    private func deleteStream(_ server: LocalNATSServer) async throws {
        let settings = NATSConnection.Configuration(servers: try ServerAddress.list(server.url))
        let connection = try await NATSConnection.connect(settings, logger: quiet)
        try await JetStream(connection: connection).deleteStream("MESH_EVENTS")
        await connection.close()
    }

    @Test(arguments: NATSServers.all)
    func replayAndOnEndWithAnExitCodeOfTheirOwn(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 3)
            let replay = try Command(["replay", "--follow", "--nats", server.url])
            let on = try Command(["on", "user.n", "--durable", "d", "--nats", server.url, "--", "true"])
            try await replay.waitForError("new ones follow")
            try await on.waitForError("running true")
            try await deleteStream(server)
            try await emit(server, 4)
            for command in [replay, on] {
                // An older server says nothing of a consumer that is gone: it is noticed when the request for events ends.
                let outcome = try await command.wait(within: .seconds(90))
                #expect(outcome.code == 76, "\(outcome.error)")
                #expect(outcome.error.contains("deleted and created again"), "\(outcome.error)")
            }
            #expect(replay.output.split(separator: "\n").count == 3, "\(replay.output)")
        }
    }

    /// A command for an event of the former stream is still running when another process has taken the same durable and an
    /// event of the same sequence in the new one.
    @Test(arguments: NATSServers.all)
    func anAnswerMeantForTheFormerStreamIsNotGivenInTheNewOne(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 1)
            let arguments = ["on", "user.n", "--durable", "d", "--nats", server.url, "--", "sh", "-c"]
            let former = try Command(arguments + ["cat > /dev/null; echo begun; sleep 5"])
            try await former.waitForOutput("begun")
            try await deleteStream(server)
            try await emit(server, 1)
            let next = try Command(arguments + ["cat > /dev/null; echo begun; sleep 60"])
            try await next.waitForOutput("begun")
            let outcome = try await former.wait(within: .seconds(60))
            #expect(outcome.code == 76, "\(outcome.error)")
            let settings = NATSConnection.Configuration(servers: try ServerAddress.list(server.url))
            let connection = try await NATSConnection.connect(settings, logger: quiet)
            let consumer = try await JetStream(connection: connection).consumerInfo("d", on: "MESH_EVENTS")
            await connection.close()
            #expect(consumer.acknowledgementsPending == 1)
            next.signal(SIGINT)
            _ = try await next.wait(within: .seconds(30))
        }
    }

    @Test(arguments: NATSServers.all)
    func waitForAndStatusSurviveAServerWithoutItsData(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary, .init(storeDirectory: directory.path)) { server in
            try await emit(server, 3, "node.joined")
            let wait = try Command(["wait-for", "user.after", "--nats", server.url])
            let status = try Command(["status", "--watch", "--json", "--nats", server.url])
            let replay = try Command(["replay", "--follow", "--nats", server.url])
            try await replay.waitForError("new ones follow")
            try await wait.waitForError("waiting")
            try await status.waitForOutput("\"pi\"")
            await server.kill()
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
                try FileManager.default.removeItem(atPath: directory.path + "/" + name)
            }
            try await server.restart()
            // A replay ends that waits for the stream; these two wait on.
            let ended = try await replay.wait(within: .seconds(90))
            #expect(ended.code == 69, "\(ended.error)")
            let joined = ["emit", "node.joined", "--ack", "--node", "attic", "--nats", server.url]
            #expect(try await Command.run(joined).code == 0)
            try await emit(server, 1, "user.after")
            #expect(try await wait.wait(within: .seconds(30)).code == 0)
            try await status.waitForOutput("\"attic\"", within: .seconds(30))
            let last = status.output.split(separator: "\n").last ?? ""
            #expect(!last.contains("\"pi\""), "\(last)")
            #expect(status.isRunning)
        }
    }

    @Test func anInterruptedImportDoesNotGoOnInAnotherStream() async throws {
        let directory = try TemporaryDirectory()
        try await withServer { server in
            let line = #"{"type":"user.n","node":"n","timestamp":"2026-01-01T00:00:00Z","data":{}}"# + "\n"
            // The second line ends it.
            let file = try directory.file("events", line + "no event\n")
            let first = try await Command.run(["import", file, "--nats", server.url])
            #expect(first.code == 65, "\(first.error)")
            try await deleteStream(server)
            try await emit(server, 3)
            let second = try await Command.run(["import", file, "--nats", server.url])
            #expect(second.code == 76 && second.error.contains("created anew"), "\(second.error)")
        }
    }

    @Test(arguments: NATSServers.all)
    func aCursorOfAnotherStreamEndsAList(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 3)
            let list = try await Command.run(["list", "--limit", "1", "--nats", server.url])
            let cursor = try #require(list.error.firstMatch(of: #/--cursor (\d+-\d+)/#)).1
            try await deleteStream(server)
            try await emit(server, 4)
            let next = try await Command.run(["list", "--cursor", String(cursor), "--nats", server.url])
            #expect(next.code == 76 && next.output.isEmpty, "\(next)")
            #expect(next.error.contains("deleted and created again"), "\(next.error)")
        }
    }

    @Test(arguments: NATSServers.all)
    func anExportEndsBetweenItsPages(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary) { server in
            let text = String(repeating: "x", count: 90)
            let lines = (0..<9_000).map { #"{"type":"user.a","data":{"text":"\#($0)\#(text)"}}"# + "\n" }
            let emit = ["emit", "--from", "-", "--nats", server.url]
            #expect(try await Command.run(emit, input: lines.joined()).code == 0)
            // The export waits while what it has written is not read.
            let path = directory.path + "/pipe"
            #expect(mkfifo(path, 0o600) == 0)
            let descriptor = open(path, O_RDWR)
            let pipe = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            let export = try Command(["export", "--out", path, "--nats", server.url])
            _ = try pipe.read(upToCount: 1)
            try await deleteStream(server)
            #expect(try await Command.run(emit, input: lines.joined()).code == 0)
            #expect(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
            try await eventually("the export's end") {
                _ = try? pipe.read(upToCount: 1 << 20)
                return !export.isRunning
            }
            let outcome = try await export.wait()
            #expect(outcome.code == 76, "\(outcome)")
            #expect(outcome.error.contains("deleted and created again"), "\(outcome.error)")
        }
    }

    @Test(arguments: NATSServers.all, [["import"], ["emit", "--from"]])
    func anImportUnderWhichTheStreamBecomesAnotherIsNotDone(
        binary: NATSServers.Binary,
        arguments: [String]
    ) async throws {
        let directory = try TemporaryDirectory()
        try await withServer(binary) { server in
            func line(_ number: Int) -> Data {
                let event = #"{"type":"user.n","node":"n","timestamp":"2026-01-01T00:00:00Z","data":{"n":\#(number)}}"#
                return Data((event + "\n").utf8)
            }
            let path = directory.path + "/pipe"
            #expect(mkfifo(path, 0o600) == 0)
            let pipe = FileHandle(fileDescriptor: open(path, O_RDWR), closeOnDealloc: false)
            let command = try Command(arguments + [path, "--nats", server.url])
            try pipe.write(contentsOf: line(0))
            try await eventually("the first line in the stream") {
                try await Command.run(["list", "--nats", server.url]).lines.count == 1
            }
            try await deleteStream(server)
            try await emit(server, 1)
            try pipe.write(contentsOf: line(1))
            try pipe.close()
            let outcome = try await command.wait(within: .seconds(60))
            #expect(outcome.code == 76, "\(outcome)")
            #expect(
                outcome.error.contains("lacks the \(arguments == ["import"] ? "lines" : "events") stored before"),
                "\(outcome.error)"
            )
        }
    }
}
