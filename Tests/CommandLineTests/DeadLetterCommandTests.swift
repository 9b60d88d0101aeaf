import Foundation
import LocalNATSServer
import MeshEvents
import NATSClient
import TestSupport
import Testing

/// `mesh-events dead-letters`, as processes.
@Suite(.timeLimit(.minutes(4)))
struct DeadLetterCommandTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func emit(_ server: LocalNATSServer, _ numbers: Range<Int>) async throws {
        let lines = numbers.map { #"{"type":"user.job","node":"pi","data":{"n":\#($0)}}"# + "\n" }.joined()
        // Without an archive, so that what is purged is gone.
        let outcome = try await Command.run(
            ["emit", "--from", "-", "--nats", server.url],
            environment: ["MESH_EVENTS_ARCHIVE": "none"],
            input: lines
        )
        #expect(outcome.code == 0, "\(outcome.error)")
    }

    private func letters(_ server: LocalNATSServer, _ arguments: [String]) async throws -> Command.Outcome {
        try await Command.run(["dead-letters"] + arguments + ["--nats", server.url])
    }

    /// Runs a command for the events of the durable `jobs`, that is given up at the first failure.
    private func on(_ server: LocalNATSServer, _ script: String) throws -> Command {
        try Command([
            "on", "user.job", "--nats", server.url, "--durable", "jobs", "--max-deliveries", "1", "--node", "worker",
            "--", script,
        ])
    }

    /// A command that fails until the file `ok` is there, and notes its runs in the file `runs`.
    private func job(_ name: String = "job", _ more: String = "") throws -> String {
        try directory.script(
            name,
            """
            echo "$MESH_EVENT_SEQUENCE $MESH_EVENT_DELIVERIES ${MESH_EVENT_DEAD_LETTER:-none}" >>\(directory.path)/runs
            \(more)
            test -e \(directory.path)/ok
            """
        )
    }

    private var runs: [String] {
        ((try? directory.text(of: "runs")) ?? "").split(separator: "\n").map(String.init)
    }

    private func succeed() throws { _ = try directory.file("ok", "") }

    @Test(arguments: NATSServers.all)
    func whatWasGivenUpIsListedShownRetriedAndDiscarded(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 0..<3)
            let worker = try on(server, try job())
            try await eventually("three dead letters") {
                try await letters(server, ["list", "jobs", "--json"]).lines.count == 3
            }
            let list = try await letters(server, ["list", "jobs"])
            #expect(
                list.lines.first?.split(separator: " ").map(String.init) == [
                    "LETTER", "STORED", "EVENT", "TYPE", "STATUS", "REASON",
                ]
            )
            #expect(list.lines.count == 4 && list.output.contains("user.job  open"), "\(list.output)")
            #expect(list.output.contains("ended with exit code 1"))
            let shown = try await letters(server, ["show", "jobs", "4"])
            #expect(
                shown.output.contains("Dead letter  4 of jobs") && shown.output.contains(#"{"n":0}"#),
                "\(shown.output)"
            )
            #expect(shown.output.contains("event 1, still kept") && shown.output.contains("Given up by  worker"))

            try succeed()
            let retry = try await letters(server, ["retry", "jobs", "4", "5", "--node", "operator"])
            #expect(retry.code == 0, "\(retry.error)")
            #expect(
                retry.lines == [
                    "event 1 is delivered to jobs again (dead letter 4)",
                    "event 2 is delivered to jobs again (dead letter 5)",
                ]
            )
            try await eventually("the retries") { runs.count == 5 }
            #expect(runs.suffix(2) == ["1 1 4", "2 1 5"])
            try await eventually("the retries to be handled") {
                try await letters(server, ["list", "jobs", "--json"]).lines.count == 1
            }
            let again = try await letters(server, ["retry", "jobs", "4"])
            #expect(
                again.code == 0 && again.output.hasPrefix("dead letter 4 stays as it was: handled"),
                "\(again.output)"
            )

            let discard = try await letters(
                server,
                ["discard", "jobs", "--all", "--reason", "a test", "--node", "operator"]
            )
            #expect(discard.lines == ["dead letter 6 of jobs is discarded"], "\(discard.error)")
            let none = try await letters(server, ["list", "jobs"])
            #expect(none.output.isEmpty && none.error.contains("jobs has no open dead letters"))
            let all = try await letters(server, ["list", "jobs", "--all", "--json"])
            let states = try all.lines.map { try EventData(json: $0)["status"]?.string }
            #expect(states == ["handled", "handled", "discarded"])
            let last = try EventData(json: all.lines[2])
            #expect(last["status_reason"]?.string == "a test" && last["status_node"]?.string == "operator")
            #expect(last["original"]?["data"]?["n"]?.int == 2)
            worker.signal(SIGTERM)
            #expect(try await worker.wait().code == 0)
            #expect(runs.count == 5, "nothing was run twice: \(runs)")
        }
    }

    @Test(arguments: NATSServers.all)
    func whatCannotBeDoneIsSaid(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let empty = try await letters(server, ["list", "jobs"])
            #expect(empty.code == 0 && empty.error.contains("no events are stored yet"), "\(empty.error)")
            try await emit(server, 0..<2)
            let worker = try on(server, "/bin/false")
            try await eventually("two dead letters") {
                try await letters(server, ["list", "jobs", "--json"]).lines.count == 2
            }
            worker.signal(SIGTERM)
            _ = try await worker.wait()
            for (arguments, words) in [
                (["retry", "jobs"], "or give --all"), (["retry", "jobs", "3", "--all"], "or give --all"),
                (["retry", "jobs", "3", "--since", "1h"], "--since goes with --all"),
                (["discard", "jobs", "3"], "--reason"),
                (["discard", "jobs", "3", "--reason", ""], "must not be empty"),
                (["list", "a.b"], "cannot be the name of a durable"), (["list", "jobs", "--limit", "0"], "--limit"),
                (["show", "jobs", "x"], "is invalid"), (["retry", "jobs", "18446744073709551616"], "is invalid"),
            ] {
                let outcome = try await letters(server, arguments)
                #expect(outcome.code == 64 && outcome.error.contains(words), "\(arguments): \(outcome.error)")
            }
            for sequence in ["1", "99", "18446744073709551615"] {
                let outcome = try await letters(server, ["retry", "jobs", sequence])
                #expect(
                    outcome.code == 69 && outcome.error.contains("is no dead letter of the durable jobs"),
                    "\(outcome.error)"
                )
            }
            // The original of one is gone: the other is retried all the same.
            let connection = try await connect(server)
            _ = try await JetStream(connection: connection).purgeStream("MESH_EVENTS", before: 2)
            await connection.close()
            let gone = try await letters(server, ["show", "jobs", "3"])
            #expect(gone.output.contains("gone from the stream and its archive"), "\(gone.output)")
            let both = try await letters(server, ["retry", "jobs", "--all"])
            #expect(
                both.code == 69 && both.lines == ["event 2 is delivered to jobs again (dead letter 4)"],
                "\(both.output)"
            )
            #expect(
                both.error.contains("event 1, which dead letter 3 is about, is gone") && both.error.contains("1 of 2")
            )
        }
    }

    @Test(arguments: NATSServers.all)
    func aRetryWaitsForAHandlerAndOutlastsOneThatIsKilled(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 0..<1)
            let first = try on(server, try job())
            try await eventually("a dead letter") {
                try await letters(server, ["list", "jobs", "--json"]).lines.count == 1
            }
            first.signal(SIGTERM)
            _ = try await first.wait()
            #expect(try await letters(server, ["retry", "jobs", "--all"]).code == 0)
            // In the middle of the retry the process is killed; its command hangs.
            let hanging = try on(server, try job("hangs", "sleep 20"))
            try await eventually("the retry to begin") { runs.count == 2 }
            hanging.signal(SIGKILL)
            _ = try await hanging.wait()
            let list = try await letters(server, ["list", "jobs"])
            #expect(list.output.contains("delivered once"), "\(list.output)")
            try succeed()
            let second = try Command([
                "on", "user.job", "--nats", server.url, "--durable", "jobs", "--max-deliveries", "5", "--update",
                "--node", "worker", "--", try job(),
            ])
            // What was in the hands of the one that was killed comes after the acknowledgement wait of 30 s.
            try await eventually(within: .seconds(100), "the retry once more") { runs.count == 3 }
            #expect(runs == ["1 1 none", "1 1 2", "1 2 2"])
            try await eventually("it to be handled") { try await letters(server, ["list", "jobs"]).output.isEmpty }
            second.signal(SIGTERM)
            #expect(try await second.wait().code == 0)
        }
    }

    @Test func aRetryThatFailsIsADeadLetterAgain() async throws {
        try await withServer { server in
            try await emit(server, 0..<1)
            let worker = try on(server, try job())
            try await eventually("a dead letter") {
                try await letters(server, ["list", "jobs", "--json"]).lines.count == 1
            }
            #expect(try await letters(server, ["retry", "jobs", "2"]).code == 0)
            try await worker.waitForError("event 1 (user.job)")
            try await eventually("another dead letter") {
                let line = try await letters(server, ["list", "jobs", "--json"]).lines.first
                return try line.flatMap { try EventData(json: $0)["retry_of"]?.int } == 2
            }
            try await eventually("the first one to be settled") {
                try await letters(server, ["list", "jobs", "--all"]).output.contains("failed again")
            }
            worker.signal(SIGTERM)
            #expect(try await worker.wait().code == 0)
            #expect(runs == ["1 1 none", "1 1 2"])
        }
    }

    @Test func whatADeadLetterSaysWritesIntoNoTerminal() async throws {
        try await withServer { server in
            try await emit(server, 0..<1)
            let evil =
                #"{"type":"user.dead_letter.jobs","node":"\u001b[2Jx\ny","data":{"sequence":1,"type":"user.\u001b]0;x\u0007","reason":"\u001b[31mred\u202e","payload":"\u009b1m"}}"#
            #expect(try await Command.run(["emit", "--from", "-", "--nats", server.url], input: evil + "\n").code == 0)
            for arguments in [["list", "jobs"], ["show", "jobs", "2"]] {
                let outcome = try await letters(server, arguments)
                #expect(outcome.code == 0 && outcome.output.contains("red"), "\(outcome.error)")
                let unsafe = (outcome.output + outcome.error).unicodeScalars.filter {
                    ($0.value < 0x20 && $0 != "\n") || (0x7F...0x9F).contains($0.value) || $0.value == 0x202E
                }
                #expect(unsafe.isEmpty, "\(outcome.output.debugDescription)")
            }
        }
    }
}
