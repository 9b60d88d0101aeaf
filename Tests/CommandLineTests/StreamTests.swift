import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

@testable import mesh_events

@Suite struct StreamTests {
    @Test("a limit above the account's is refused at once, and its name is said", arguments: NATSServers.all)
    func accountLimit(binary: NATSServers.Binary) async throws {
        let account = """
            accounts { A { jetstream { max_file: 1048576, max_mem: 0 }, users: [ { user: u, password: p } ] } }
            no_auth_user: u
            """
        try await withServer(binary, .init(extraConfiguration: account)) { server in
            func run(_ arguments: [String]) async throws -> Command.Outcome {
                try await Command.run(["stream"] + arguments + ["--nats", server.url])
            }
            #expect(try await run(["create"]).code == 0)
            let update = try await run(["update", "--max-bytes", "2000000"])
            #expect(update.code == 69, "\(update.error)")
            #expect(
                update.error.contains("max_file") && update.error.contains("ask for fewer bytes"),
                "\(update.error)"
            )
            #expect(try await run(["update", "--max-bytes", "200000"]).code == 0)
        }
    }

    @Test(arguments: NATSServers.all)
    func infoUpdateAndPurge(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            func run(_ arguments: [String]) async throws -> Command.Outcome {
                try await Command.run(["stream"] + arguments + ["--nats", server.url])
            }
            let missing = try await run(["info"])
            #expect(missing.code == 69 && missing.error.contains("stream create"), "\(missing.error)")
            let lines = (0..<9).map { #"{"type":"user.\#($0 % 3 == 0 ? "a" : "b")","data":{"i":\#($0)}}"# + "\n" }
            // Without an archive, whose events purging would delete and count too.
            let emit = try await Command.run(
                ["emit", "--from", "-", "--nats", server.url],
                environment: ["MESH_EVENTS_ARCHIVE": "none"],
                input: lines.joined()
            )
            #expect(emit.code == 0)

            let info = try await run(["info"])
            #expect(info.code == 0)
            for part in ["MESH_EVENTS", "events            9, ", "sequences         1 to 9", "kept for          1d"] {
                #expect(info.output.contains(part), "\(info.output)")
            }
            #expect(info.output.contains("at most           10000 events"))
            #expect(info.output.contains("  6  user.b\n  3  user.a"), "\(info.output)")
            let json = try await run(["info", "--json"])
            #expect(json.lines.count == 1)
            #expect(json.output.contains(#""types":{"user.a":3,"user.b":6}"#), "\(json.output)")

            let update = try await run(["update", "--max-age", "7d", "--max-messages", "5", "--max-bytes", "1000000"])
            #expect(update.code == 0, "\(update.error)")
            #expect(update.output.contains("7d") && update.output.contains("5 events, 976.6 KiB"), "\(update.output)")
            #expect(try await run(["info", "--json"]).output.contains(#""messages":5,"#))
            let unlimited = try await run([
                "update", "--max-age", "none", "--max-messages", "none", "--max-bytes", "none",
            ])
            #expect(unlimited.output.contains("ever") && unlimited.output.contains("any number of events"))
            #expect(try await run(["update", "--max-age", "30s"]).output.contains("ids remembered    30s"))

            #expect(try await run(["purge", "user.b"]).code == 64)
            #expect(try await run(["info", "--json"]).output.contains(#""messages":5,"#))
            #expect(try await run(["purge", "user.b", "--yes"]).output == "deleted 4 events\n")
            #expect(try await run(["purge", "--yes"]).output == "deleted 1 event\n")
            #expect(
                try await run(["info", "--json"]).output.contains(#""first_sequence":10,"last_sequence":9"#) == false
            )
        }
    }

    @Test(arguments: NATSServers.all)
    func aDurableSubscriptionIsForgotten(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            func run(_ arguments: [String]) async throws -> Command.Outcome {
                try await Command.run(arguments + ["--nats", server.url])
            }
            #expect(try await run(["emit", "user.a", "--ack"]).code == 0)
            let transport = try await NATSTransport.connect(to: server.url)
            let bus = try await PersistentEventBus.open(transport: transport, node: "n")
            try await bus.subscribe(durable: "alerts", to: "events.user.a").drain()
            await transport.close()
            #expect(try await run(["stream", "info"]).output.contains("alerts"))
            #expect(try await run(["stream", "forget", "alerts"]).code == 64)
            let forgotten = try await run(["stream", "forget", "alerts", "--yes"])
            #expect(forgotten.code == 0 && forgotten.output.contains("alerts"), "\(forgotten.error)")
            #expect(try await run(["stream", "info"]).output.contains("alerts") == false)
            let again = try await run(["stream", "forget", "alerts", "--yes"])
            #expect(again.code != 0 && again.error.contains("does not exist"), "\(again.error)")
        }
    }

    @Test(arguments: [
        ["update"], ["update", "--max-age", "soon"], ["update", "--max-messages", "-1"], ["update", "--replicas", "9"],
        ["purge", "a..b", "--yes"],
    ])
    func whatMakesNoSenseIsRefused(arguments: [String]) async throws {
        try await withServer { server in
            #expect(try await Command.run(["emit", "user.a", "--ack", "--nats", server.url]).code == 0)
            let outcome = try await Command.run(["stream"] + arguments + ["--nats", server.url])
            #expect(outcome.code == 64, "\(outcome.error)")
        }
    }

    @Test func sizesAndDurationsForPeople() {
        #expect(StreamReportFormatter.bytes(0) == "0 bytes")
        #expect(StreamReportFormatter.bytes(1023) == "1023 bytes")
        #expect(StreamReportFormatter.bytes(1536) == "1.5 KiB")
        #expect(StreamReportFormatter.bytes(5 << 30) == "5.0 GiB")
        #expect(StreamReportFormatter.duration(.seconds(86_400)) == "1d")
        #expect(StreamReportFormatter.duration(.seconds(5400)) == "90m")
        #expect(StreamReportFormatter.duration(.seconds(61)) == "61s")
    }
}
