import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite struct TransferTests {
    private func list(_ server: LocalNATSServer, _ arguments: [String] = []) async throws -> [String] {
        let list = try await Command.run(["list", "--json", "--limit", "100000", "--nats", server.url] + arguments)
        #expect(list.code == 0, "\(list.error)")
        return list.lines
    }

    /// What of a line of `list` or `export` belongs to the event.
    private func event(_ line: String) -> String {
        line.replacing(#/,"sequence":\d+,"stored":"[^"]+"\}$/#, with: "}")
    }

    /// Stores events numbered from 0, half of them of tools.
    private func fill(_ server: LocalNATSServer, _ count: Int) async throws {
        let lines = (0..<count).map {
            #"{"type":"\#($0 % 2 == 0 ? "user.even" : "tool.odd")","data":{"i":\#($0)}}"# + "\n"
        }
        let emit = try await Command.run(
            ["emit", "--from", "-", "--node", "n", "--nats", server.url],
            input: lines.joined()
        )
        #expect(emit.code == 0, "\(emit.error)")
    }

    /// Lines as `export` writes them.
    private func exported(_ range: Range<Int>) -> String {
        range.map { number in
            #"{"type":"user.n","node":"n","timestamp":"2026-01-01T00:00:00.5Z","data":{"i":\#(number)},"#
                + #""sequence":\#(number + 1),"stored":"2026-01-01T00:00:01Z"}"# + "\n"
        }.joined()
    }

    @Test(arguments: NATSServers.all)
    func whatIsExportedAndImportedIsTheSame(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/events.ndjson"
        try await withServer(binary) { server in
            try await fill(server, 2_500)
            let export = try await Command.run(["export", "--out", file, "--nats", server.url])
            #expect(export.code == 0, "\(export.error)")
            #expect(export.output.isEmpty && export.error.contains("exported 2500 events"), "\(export.error)")
            let written = try directory.text(of: "events.ndjson").split(separator: "\n").map(String.init)
            #expect(written == (try await list(server)))
            let some = try await Command.run(["export", "tool.*", "user.none", "--since", "1h", "--nats", server.url])
            #expect(some.lines == written.filter { $0.contains("tool.odd") })
            try await withServer(binary) { other in
                let first = try await Command.run(["import", file, "--nats", other.url])
                #expect(first.code == 0 && first.error.contains("2500 events stored"), "\(first.error)")
                #expect(try await list(other).map(event) == written.map(event))
                #expect(!TemporaryDirectory.exists(file + ".import-state"))
            }
        }
    }

    @Test func standardInputAndOutputDo() async throws {
        try await withServer { server in
            let lines = exported(0..<20)
            for _ in 1...2 {
                // The second time the message ids tell that the stream has them.
                let outcome = try await Command.run(["import", "-", "--nats", server.url], input: lines)
                #expect(outcome.code == 0, "\(outcome.error)")
            }
            let export = try await Command.run(["export", "--nats", server.url])
            #expect(export.lines.map(event) == lines.split(separator: "\n").map { event(String($0)) })
        }
    }

    @Test(arguments: NATSServers.all)
    func anImportThatIsKilledGoesOnWithoutDuplicates(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let count = 9_000
        let file = try directory.file("events.ndjson", exported(0..<count))
        try await withServer(binary) { server in
            // Ids are forgotten after 100 ms: what is not stored twice is so by what the import knows.
            try await createForgetfulStream(server)
            var kills = 0
            while kills < 30 {
                let run = try Command(["import", file, "--nats", server.url])
                try await eventually("a note, or the end") {
                    TemporaryDirectory.exists(file + ".import-state") || !run.isRunning
                }
                try await Task.sleep(for: .milliseconds(20 + kills * 15))
                if !run.isRunning { break }
                run.signal(SIGKILL)
                _ = try await run.wait()
                kills += 1
                try await settled(server)
            }
            let last = try await Command.run(["import", file, "--nats", server.url])
            #expect(kills > 0)
            // When the last run above came to its end, this one imports anew.
            let stored = try await list(server).map(event)
            let expected = exported(0..<count).split(separator: "\n").map { event(String($0)) }
            #expect(last.code == 0, "\(last.error)")
            let isRight = Array(stored.prefix(count)) == expected
            #expect(isRight, "\(kills) kills, \(stored.count) stored")
        }
    }

    /// Waits until the server has stored what it had from a process that was killed: on a busy machine that takes a while, and
    /// ids are forgotten sooner here.
    private func settled(_ server: LocalNATSServer) async throws {
        let connection = try await NATSConnection.connect(to: server.url)
        let jetStream = JetStream(connection: connection)
        var (last, seen) = (UInt64.max, 0)
        while seen < 4 {
            try await Task.sleep(for: .milliseconds(75))
            let found = try await jetStream.streamInfo("MESH_EVENTS").state.lastSequence
            seen = found == last ? seen + 1 : 0
            last = found
        }
        await connection.close()
    }

    private func createForgetfulStream(_ server: LocalNATSServer) async throws {
        var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
        configuration.fields["duplicate_window"] = 100_000_000
        let connection = try await NATSConnection.connect(to: server.url)
        _ = try await JetStream(connection: connection).createStream(configuration)
        await connection.close()
    }

    @Test func anInterruptedImportSaysSoAndKeepsItsNote() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("events.ndjson", exported(0..<5) + "{\"type\":\"user.x\"}\n" + exported(5..<8))
        try await withServer { server in
            let first = try await Command.run(["import", file, "--nats", server.url])
            #expect(first.code == 65)
            #expect(first.error.contains("line 6: it has no \"timestamp\""), "\(first.error)")
            expectOneLine(first)
            #expect(try await list(server).count == 5)
            #expect(TemporaryDirectory.exists(file + ".import-state"))
            // Another file under the name is noticed; the same with the line mended goes on.
            try directory.file("events.ndjson", exported(20..<28))
            let changed = try await Command.run(["import", file, "--nats", server.url])
            #expect(changed.code == 64 && changed.error.contains("is not the one"), "\(changed.error)")
            try directory.file("events.ndjson", exported(0..<8))
            let mended = try await Command.run(["import", file, "--nats", server.url])
            #expect(
                mended.code == 0 && mended.error.contains("3 events stored, 5 had been stored before"),
                "\(mended.error)"
            )
            #expect(try await list(server).count == 8)
            #expect(!TemporaryDirectory.exists(file + ".import-state"))
        }
    }

    @Test(arguments: NATSServers.all)
    func whatAFullStreamTookOfAnImportIsCounted(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("events.ndjson", exported(0..<20))
        try await withServer(binary) { server in
            let connection = try await NATSConnection.connect(to: server.url)
            let jetStream = JetStream(connection: connection)
            _ = try await jetStream.createStream(StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"]))
            try await jetStream.leaveRoom(for: 5)
            // Those before the one that is refused are under way with it, and are sent again.
            for stored in [5, 0] {
                let full = try await Command.run(["import", file, "--nats", server.url])
                #expect(full.code == 69)
                #expect(
                    full.error.contains("line 6 is the first that is not stored: the store has no room"),
                    "\(full.error)"
                )
                #expect(full.error.contains("; \(stored) stored; the same command goes on from there"), "\(full.error)")
            }
            try await jetStream.limitStream(["max_msgs": -1])
            let rest = try await Command.run(["import", file, "--nats", server.url])
            #expect(
                rest.code == 0 && rest.error.contains("15 events stored, 5 had been stored before"),
                "\(rest.error)"
            )
            #expect(try await list(server).count == 20)
            await connection.close()
        }
    }

    @Test func anImportThatMayNotReadSaysWhatIsNotKnownAndItsNoteHoldsNoLogin() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("events.ndjson", exported(0..<20))
        let rules = """
            authorization { users: [
                { user: all, password: "1" }
                { user: writer, password: "hidden", permissions: { publish: {
                    deny: ["$JS.API.CONSUMER.>", "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.>"] } } }
            ] }
            """
        try await withServer(NATSServers.current, .init(extraConfiguration: rules)) { server in
            let first = try await Command.run(["import", file, "--nats", "nats://all:1@127.0.0.1:\(server.port)"])
            #expect(first.code == 0, "\(first.error)")
            let again = ["import", file, "--nats", "nats://writer:hidden@127.0.0.1:\(server.port)"]
            let unread = try await Command.run(again)
            #expect(unread.code != 0, "\(unread.error)")
            #expect(unread.error.contains("line 1 is the first that is not known to be stored"), "\(unread.error)")
            #expect(unread.error.contains("at least 0 stored"), "\(unread.error)")
            let note = try directory.text(of: "events.ndjson.import-state")
            #expect(note.contains("nats://127.0.0.1:\(server.port)") && !note.contains("hidden"), "\(note)")
        }
    }

    @Test(arguments: NATSServers.all)
    func aStreamWithoutAConsumerToGiveIsReadMessageByMessage(binary: NATSServers.Binary) async throws {
        for fields: [String: JetStreamValue] in [["retention": "workqueue"], ["max_consumers": 1]] {
            try await withServer(binary) { server in
                let connection = try await NATSConnection.connect(to: server.url)
                let jetStream = JetStream(connection: connection)
                var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
                configuration.fields.merge(fields) { $1 }
                _ = try await jetStream.createStream(configuration)
                try await fill(server, 10)
                if fields["max_consumers"] != nil {
                    _ = try await jetStream.createConsumer(ConsumerConfiguration(durableName: "all"), on: "MESH_EVENTS")
                }
                #expect(try await list(server).count == 10)
                #expect(try await list(server, ["user.even"]).count == 5)
                for command in [["export"], ["replay", "--json"], ["replay", "--json", "--follow", "--limit", "10"]] {
                    let read = try await Command.run(command + ["--nats", server.url])
                    #expect(read.code == 0 && read.lines.count == 10, "\(command) \(fields): \(read.error)")
                }
                #expect(try await Command.run(["status", "--nats", server.url]).code == 0)
                await connection.close()
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func aMessageIDThatAnotherPartyHasUsedIsNoLineStored(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("events.ndjson", exported(0..<8))
        try await withServer(binary) { server in
            let connection = try await NATSConnection.connect(to: server.url)
            let seen = try await connection.subscribe(to: "events.>")
            let rehearsal = try await Command.run(["import", file, "--nats", server.url])
            #expect(rehearsal.code == 0 && rehearsal.error.contains("8 events stored"), "\(rehearsal.error)")
            let ids = try await withDeadline(.seconds(30), "eight message ids") {
                var ids: [String] = []
                for try await message in seen {
                    ids.append(message.headers["Nats-Msg-Id"] ?? "")
                    if ids.count == 8 { break }
                }
                return ids
            }
            // The same once more, while the stream remembers the ids: they are the lines' own.
            let again = try await Command.run(["import", file, "--nats", server.url])
            #expect(
                again.code == 0 && again.error.contains("0 events stored, 8 had been stored before"),
                "\(again.error)"
            )
            let jetStream = JetStream(connection: connection)
            try await jetStream.deleteStream("MESH_EVENTS")
            _ = try await jetStream.createStream(StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"]))
            _ = try await jetStream.publish(.init(string: "mine"), to: "events.user.n", messageID: ids[5])
            let robbed = try await Command.run(["import", file, "--nats", server.url])
            #expect(robbed.code == 69 && robbed.error.contains("line 6 is not stored"), "\(robbed.error)")
            expectOneLine(robbed)
            #expect(TemporaryDirectory.exists(file + ".import-state"))
            let others = exported(0..<5) + exported(6..<8)
            #expect(try await list(server).map(event) == others.split(separator: "\n").map { event(String($0)) })
            await connection.close()
        }
    }

    @Test func theBarIsShownOnATerminal() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("events.ndjson", exported(0..<2_000))
        try await withServer { server in
            for arguments in [["import", file], ["export", "--out", directory.path + "/out"]] {
                let terminal = try PseudoTerminal(width: 100)
                let command = try Command(arguments + ["--nats", server.url], terminal: terminal)
                #expect(try await command.wait().code == 0)
                let text = terminal.text()
                #expect(text.contains("########################] 100 %  2000 events"), "\(text)")
            }
        }
    }

    @Test func whatCannotBeReadOrWrittenIsSaid() async throws {
        try await withServer { server in
            try await fill(server, 3)
            let missing = try await Command.run(["import", "/no/such/file", "--nats", server.url])
            #expect(missing.code == 64)
            expectOneLine(missing)
            let unwritable = try await Command.run(["export", "--out", "/no/such/dir/x", "--nats", server.url])
            #expect(unwritable.code == 64)
            expectOneLine(unwritable)
            let future = try await Command.run(["export", "--since", "2200-01-01T00:00:00Z", "--nats", server.url])
            #expect(future.code == 64)
            expectOneLine(future)
        }
    }
}
