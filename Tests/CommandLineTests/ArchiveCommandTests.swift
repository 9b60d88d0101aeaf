import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@testable import mesh_events

/// What the commands say and do about the archive of the event stream.
@Suite(.timeLimit(.minutes(5))) struct ArchiveCommandTests {
    /// Runs `body` with a command line for a server; not at all when the server cannot fill an archive.
    private func withCommands(
        _ binary: NATSServers.Binary,
        _ body: (LocalNATSServer, JetStreamStore, ([String]) async throws -> Command.Outcome) async throws -> Void
    ) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            guard await store.archiveHindrance == nil else { return }
            try await body(server, store) { try await Command.run($0 + ["--nats", server.url]) }
        }
    }

    private func emit(_ count: Int, _ type: String, _ url: String) async throws {
        let lines = (0..<count).map { #"{"type":"\#(type)","data":{"i":\#($0)}}"# + "\n" }
        let emit = try await Command.run(["emit", "--from", "-", "--nats", url], input: lines.joined())
        #expect(emit.code == 0, "\(emit.error)")
    }

    /// Lets the stream keep five events.
    private func shorten(_ store: JetStreamStore) async throws {
        try await eventually("the archive to have everything") {
            try await store.archiveReport()?.stream.state.lastSequence == store.state().lastSequence
        }
        var configuration = try await store.report().configuration
        configuration.maximumMessages = 5
        configuration.reconcile = .update
        _ = try await store.open(configuration)
    }

    @Test(arguments: NATSServers.all)
    func listExportAndImportReachIntoTheArchive(binary: NATSServers.Binary) async throws {
        try await withCommands(binary) { server, store, run in
            try await emit(30, "user.a", server.url)
            try await shorten(store)
            let all = try await run(["list", "--json", "--limit", "100"])
            let sequences = all.output.matches(of: #/"sequence":(\d+)/#).compactMap { Int($0.1) }
            #expect(sequences == Array(1...30), "\(all.error)")
            // A page that begins in the stream and ends in the archive, and the one before it.
            let page = try await run(["list", "--json", "--limit", "12"])
            #expect(page.output.matches(of: #/"sequence":(\d+)/#).compactMap { Int($0.1) } == Array(19...30))
            let cursor = try #require(page.error.firstMatch(of: #/--cursor (\d+-\d+)/#)).1
            let older = try await run(["list", "--json", "--limit", "100", "--cursor", String(cursor)])
            #expect(older.output.matches(of: #/"sequence":(\d+)/#).compactMap { Int($0.1) } == Array(1...18))
            #expect(try await run(["list", "--since", "1h", "--limit", "100"]).lines.count == 30)

            let export = try await run(["export"])
            #expect(export.lines == all.lines, "\(export.error)")
            try await withServer(binary) { other in
                let taken = try await Command.run(["import", "-", "--nats", other.url], input: export.output)
                #expect(taken.code == 0, "\(taken.error)")
                #expect(try await Command.run(["list", "--limit", "100", "--nats", other.url]).lines.count == 30)
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func infoShowsBothStreamsAndWhatLimitsDropTooSoon(binary: NATSServers.Binary) async throws {
        try await withCommands(binary) { server, store, run in
            try await emit(30, "user.a", server.url)
            try await shorten(store)
            let info = try await run(["stream", "info"])
            for part in [
                "stream            MESH_EVENTS", "archive           MESH_ARCHIVE", "reaching back",
                "kept for          7d",
                "20000 events of each type, 500000 in all",
            ] {
                #expect(info.output.contains(part), "\(info.output)")
            }
            // The archive has what the full stream drops, so there is nothing to mend.
            #expect(info.error.isEmpty, "\(info.error)")
            let json = try await run(["stream", "info", "--json"])
            #expect(json.output.contains(#""messages":30,"present":true,"stream":"MESH_ARCHIVE""#), "\(json.output)")

            let few = try await run(["stream", "update", "--keep-per-type", "20"])
            #expect(few.code == 0 && few.output.contains("20 events of each type"), "\(few.error)")
            let full = try await run(["stream", "info"])
            #expect(full.error.contains("of user.a only the last"), "\(full.error)")
            #expect(full.error.contains("`mesh-events stream update --keep-per-type 200`"), "\(full.error)")
            let month = try await run(["stream", "update", "--keep", "30d"])
            #expect(month.output.contains("kept for          30d"), "\(month.output)")
            #expect(try await run(["stream", "info"]).error.isEmpty)
            let limits = try await store.report().configuration
            #expect(limits.maximumMessages == 5 && limits.maximumAge == .seconds(86_400), "the stream stays as it was")
        }
    }

    @Test(arguments: NATSServers.all)
    func theArchiveOfAFormerStreamIsSaidAndReplaced(binary: NATSServers.Binary) async throws {
        try await withCommands(binary) { server, store, run in
            try await emit(3, "user.a", server.url)
            try await shorten(store)
            try await store.jetStream.deleteStream("MESH_EVENTS")
            _ = try await store.open(.init())
            let info = try await run(["stream", "info"])
            #expect(info.output.contains("of a former stream") && info.error.contains("`mesh-events stream create`"))
            let create = try await run(["stream", "create"])
            #expect(create.output.contains("MESH_ARCHIVE_2"), "\(create.output)\(create.error)")
            #expect(try await run(["stream", "info"]).error.isEmpty)
            #expect(try await run(["list"]).lines.isEmpty)
            #expect(try await run(["list", "--stream", "MESH_ARCHIVE"]).lines.count == 3)
        }
    }

    @Test(arguments: NATSServers.all)
    func aGoMeshGetsNoArchiveUnlessItIsAskedFor(binary: NATSServers.Binary) async throws {
        try await withCommands(binary) { server, store, run in
            #expect(try await run(["stream", "create", "--no-archive"]).code == 0)
            #expect(try await run(["emit", "user.a", "--ack"]).code == 0)
            #expect(try await store.jetStream.streamNames().sorted() == ["KV_MESH_STATE", "MESH_EVENTS"])
            #expect(try await run(["stream", "info"]).output.contains("archive           none"))
            try await store.jetStream.limitStream(["max_msgs": 1])
            let info = try await run(["stream", "info"])
            #expect(info.error.contains("`mesh-events stream update --keep 7d`"), "\(info.error)")
            #expect(try await run(["stream", "update", "--keep", "7d"]).code == 0)
            let names = try await store.jetStream.streamNames().sorted()
            #expect(names == ["KV_MESH_STATE", "MESH_ARCHIVE", "MESH_EVENTS"])
        }
        try await withServer(binary) { server in
            let off = ["MESH_EVENTS_ARCHIVE": "none", "JB_NATS_URL": server.url]
            #expect(try await Command.run(["emit", "user.a", "--ack"], environment: off).code == 0)
            let served = try await Command.run(["serve", "--for", "1s"], environment: off)
            #expect(served.code == 0, "\(served.error)")
            let flag = try await Command.run(["serve", "--no-archive", "--for", "1s", "--nats", server.url])
            #expect(flag.code == 0, "\(flag.error)")
            let store = JetStreamStore(try await connect(server))
            #expect(try await store.archiveReport() == nil)
        }
    }

    @Test(arguments: NATSServers.all)
    func aNodeOfItsOwnServerHasAnArchiveOrSaysWhyNot(binary: NATSServers.Binary) async throws {
        let serve = try Command(
            ["serve", "--port", "0", "--node", "me", "--json"],
            environment: ["MESH_EVENTS_NATS_SERVER": binary.path]
        )
        try await serve.waitForOutput("node.joined")
        let url = String(try #require(serve.error.firstMatch(of: #/listens on (nats://[^ ]+)/#)).1)
        let store = JetStreamStore(try await connect(at: url))
        if await store.archiveHindrance == nil {
            #expect(try await store.archiveReport()?.limits == ArchiveConfiguration())
        } else {
            try await serve.waitForError("there is no archive, so older events are not kept")
            let keep = try await Command.run(["stream", "update", "--keep", "30d", "--nats", url])
            #expect(keep.code == 69 && keep.error.contains("take 2.11.5 or newer"), "\(keep.error)")
        }
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
    }

    /// Roles other than admin may read the archive, and not create, change or purge it.
    @Test(arguments: NATSServers.all)
    func observersReadTheArchive(binary: NATSServers.Binary) async throws {
        let bench = try await AuthBench(binary)
        let info = try await bench.run("observer", "stream", "info")
        #expect(info.code == 0, "\(info.error)")
        if info.output.contains("archive           MESH_ARCHIVE") {
            for number in 0..<12 {
                #expect(try await bench.run("tool", "emit", "user.a", "n=\(number)", "--ack").code == 0)
            }
            #expect(try await bench.run("admin", "stream", "update", "--max-messages", "4").code == 0)
            let list = try await bench.run("observer", "list", "user.a")
            #expect(list.lines.count == 12, "\(list.output)\(list.error)")
            #expect(try await bench.run("observer", "export", "user.a").lines.count == 12)
            for user in ["observer", "tool", "node"] {
                let keep = try await bench.run(user, "stream", "update", "--keep", "1h")
                #expect(keep.code == 69 && keep.error.contains("only admins"), "\(keep.error)")
            }
            #expect(try await bench.run("admin", "stream", "purge", "user.a", "--yes").output == "deleted 12 events\n")
            #expect(try await bench.run("observer", "list", "user.a").lines.isEmpty)
        }
        try await bench.end()
    }

    @Test func agesForPeople() {
        #expect(AgeFormatter.span(.seconds(0)) == "0s")
        #expect(AgeFormatter.span(.seconds(59)) == "59s")
        #expect(AgeFormatter.span(.seconds(3_600)) == "1h")
        #expect(AgeFormatter.span(.seconds(3_659)) == "1h")
        #expect(AgeFormatter.span(.seconds(3_661)) == "1h 1m")
        #expect(AgeFormatter.span(.seconds(6 * 86_400 + 4 * 3_600 + 59)) == "6d 4h")
    }
}
