import Foundation
import LocalNATSServer
import NATSClient
import TestSupport
import Testing

/// `mesh-events on`, as processes.
@Suite(.timeLimit(.minutes(3)))
struct OnTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func emit(_ server: LocalNATSServer, _ numbers: Range<Int>, type: String = "user.job") async throws {
        let lines = numbers.map { #"{"type":"\#(type)","node":"pi","data":{"n":\#($0)}}"# + "\n" }.joined()
        let outcome = try await Command.run(["emit", "--from", "-", "--nats", server.url], input: lines)
        #expect(outcome.code == 0, "\(outcome.error)")
    }

    private func on(_ server: LocalNATSServer, _ arguments: [String], _ command: [String]) throws -> Command {
        try Command(["on", "user.job", "--nats", server.url, "--durable", "jobs"] + arguments + ["--"] + command)
    }

    private func lines(_ name: String) -> [String] {
        ((try? directory.text(of: name)) ?? "").split(separator: "\n").map(String.init)
    }

    @Test(arguments: NATSServers.all)
    func theCommandGetsTheEventAndARestartGoesOn(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let script = try directory.script(
                "job",
                """
                echo "$MESH_EVENT_TYPE $MESH_EVENT_NODE $MESH_EVENT_SEQUENCE $MESH_EVENT_DELIVERIES $1" >>\(directory.path)/env
                cat >>\(directory.path)/input
                """
            )
            try await emit(server, 0..<5)
            let first = try on(server, [], [script, "an argument"])
            try await first.waitForError("running \(script) for events.user.job as jobs on \(server.url)")
            try await eventually("five runs") { lines("input").count == 5 }
            first.signal(SIGTERM)
            #expect(try await first.wait().code == 0)
            try await emit(server, 5..<10)
            let second = try on(server, [], [script, "an argument"])
            try await eventually("ten runs") { lines("input").count == 10 }
            second.signal(SIGINT)
            #expect(try await second.wait().code == 0)
            #expect(lines("env") == (1...10).map { "user.job pi \($0) 1 an argument" })
            for (number, line) in lines("input").enumerated() {
                #expect(line.hasPrefix(#"{"type":"user.job","node":"pi","timestamp":""#))
                #expect(line.hasSuffix(#""data":{"n":\#(number)}}"#), "\(line)")
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func whatFailsComesAgainThenIsADeadLetter(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 0..<3)
            let script = try directory.script(
                "job",
                """
                echo "$MESH_EVENT_SEQUENCE $MESH_EVENT_DELIVERIES" >>\(directory.path)/runs
                case "$MESH_EVENT_SEQUENCE" in 1) exit 3;; 2) kill -9 $$;; *) cat >/dev/null;; esac
                """
            )
            let command = try on(server, ["--max-deliveries", "2", "--retry-delay", "100ms"], [script])
            try await command.waitForError("event 1 (user.job): \(script) ended with exit code 3 (delivery 1 of 2)")
            try await eventually("two dead letters") {
                let list = try await Command.run(["list", "user.dead_letter.jobs", "--json", "--nats", server.url])
                return list.lines.count == 2
            }
            command.signal(SIGTERM)
            let outcome = try await command.wait()
            #expect(outcome.code == 0)
            #expect(outcome.error.contains("was ended by signal 9"))
            #expect(
                outcome.error.contains("for the last time; it is the event user.dead_letter.jobs now"),
                "\(outcome.error)"
            )
            #expect(lines("runs").sorted() == ["1 1", "1 2", "2 1", "2 2", "3 1"])
            let list = try await Command.run(["list", "user.dead_letter.jobs", "--json", "--nats", server.url])
            #expect(list.output.contains("exit code 3") && list.output.contains(#""type":"user.job""#))
        }
    }

    @Test(arguments: NATSServers.all)
    func aDeadLetterThatIsNotStoredIsNoDeadLetter(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await emit(server, 0..<1)
            let connection = try await connect(server)
            let jetStream = JetStream(connection: connection)
            var stream = try await jetStream.streamInfo("MESH_EVENTS").configuration
            stream.maximumMessages = 1
            stream.fields["discard"] = "new"
            _ = try await jetStream.updateStream(stream)
            let command = try on(server, ["--max-deliveries", "1"], ["/bin/false"])
            try await command.waitForError(
                "for the last time, but the dead letter of event 1 could not be stored: the store has no room"
            )
            command.signal(SIGTERM)
            let outcome = try await command.wait()
            #expect(outcome.error.contains("the event is delivered again in 300"), "\(outcome.error)")
            #expect(!outcome.error.contains("dead_letter"), "\(outcome.error)")
            let list = try await Command.run(["list", "user.dead_letter.jobs", "--nats", server.url])
            #expect(list.code == 0 && list.output.isEmpty, "\(list.output)")
            await connection.close()
        }
    }

    @Test func twoProcessesShareAndTheEventsOfOneThatIsKilledGoToTheOther() async throws {
        try await withServer { server in
            try await emit(server, 0..<30)
            let script = try directory.script(
                "job",
                "echo \"$MESH_EVENT_SEQUENCE $MESH_EVENT_DELIVERIES $WHO\" >>\(directory.path)/runs; sleep 0.3"
            )
            func start(_ who: String) throws -> Command {
                try Command(
                    ["on", "user.job", "--nats", server.url, "--durable", "jobs", "--parallel", "2", "--", script],
                    environment: ["WHO": who]
                )
            }
            let first = try start("a")
            let second = try start("b")
            try await eventually("both to work") {
                ["a", "b"].allSatisfy { who in lines("runs").contains { $0.hasSuffix(" " + who) } }
            }
            first.signal(SIGKILL)
            // What was in the hands of the one that was killed comes after the acknowledgement wait of 30 s.
            try await eventually("every event, and what the other did not finish") {
                Set(lines("runs").compactMap { $0.split(separator: " ").first }).count == 30
                    && lines("runs").contains { $0.hasSuffix(" 2 b") }
            }
            second.signal(SIGTERM)
            #expect(try await second.wait().code == 0)
        }
    }

    @Test func runsAsManyAtOnceAsAllowed() async throws {
        try await withServer { server in
            try await emit(server, 0..<4)
            // Each waits for the others: with fewer at once none would end.
            let script = try directory.script(
                "job",
                """
                touch \(directory.path)/started.$MESH_EVENT_SEQUENCE
                while [ $(ls \(directory.path) | grep -c started) -lt 4 ]; do sleep 0.02; done
                """
            )
            let command = try on(server, ["--parallel", "4", "--timeout", "20s"], [script])
            try await eventually("four at once") {
                (1...4).allSatisfy { TemporaryDirectory.exists("\(directory.path)/started.\($0)") }
            }
            command.signal(SIGTERM)
            #expect(try await command.wait().code == 0)
            #expect(!command.error.contains("did not end"))
        }
    }

    @Test func aCommandThatTakesTooLongIsEndedWithItsChildren() async throws {
        try await withServer { server in
            try await emit(server, 0..<1)
            let script = try directory.script(
                "job",
                "trap '' TERM; sleep 300 & echo $! >\(directory.path)/child; echo $$ >\(directory.path)/parent; sleep 300"
            )
            let command = try on(server, ["--timeout", "500ms", "--max-deliveries", "1"], [script])
            try await command.waitForError("did not end within 0.5 seconds, for the last time")
            for name in ["child", "parent"] {
                let pid = try #require(Int32(lines(name)[0]))
                try await eventually("process \(name) to be gone") { kill(pid, 0) != 0 }
            }
            command.signal(SIGTERM)
            #expect(try await command.wait().code == 0)
        }
    }

    @Test func aSignalLetsTheCommandFinishOrTerminatesItAfterTheGrace() async throws {
        try await withServer { server in
            try await emit(server, 0..<1)
            let script = try directory.script(
                "job",
                """
                echo "$MESH_EVENT_DELIVERIES" >>\(directory.path)/began; echo $$ >\(directory.path)/pid
                sleep ${NAP}; echo "$MESH_EVENT_DELIVERIES" >>\(directory.path)/ended
                """
            )
            func start(nap: String, grace: String) throws -> Command {
                try Command(
                    [
                        "on", "user.job", "--nats", server.url, "--durable", "jobs", "--grace", grace, "--", script,
                    ],
                    environment: ["NAP": nap]
                )
            }
            let hurried = try start(nap: "300", grace: "200ms")
            try await eventually("the command to begin") { lines("began").count == 1 }
            let pid = try #require(Int32(lines("pid")[0]))
            hurried.signal(SIGTERM)
            #expect(try await hurried.wait(within: .seconds(8)).code == 0)
            #expect(hurried.error.contains("terminated"))
            #expect(kill(pid, 0) != 0, "the command is gone")
            let patient = try start(nap: "1", grace: "10s")
            try await eventually("the event to come again at once") { lines("began").count == 2 }
            patient.signal(SIGTERM)
            #expect(try await patient.wait().code == 0)
            #expect(lines("began") == ["1", "2"])
            #expect(lines("ended") == ["2"])
            // It was acknowledged: nothing comes again.
            let third = try start(nap: "0", grace: "1s")
            try await emit(server, 1..<2)
            try await eventually("the next event") { lines("ended").count == 2 }
            third.signal(SIGTERM)
            _ = try await third.wait()
            #expect(lines("ended") == ["2", "1"])
        }
    }

    @Test func aCommandNeedNotReadALargeEvent() async throws {
        try await withServer { server in
            let line = #"{"type":"user.job","data":{"x":"\#(String(repeating: "x", count: 500_000))"}}"# + "\n"
            let emitted = try await Command.run(["emit", "--from", "-", "--nats", server.url], input: line + line)
            #expect(emitted.code == 0)
            let script = try directory.script("job", "echo $MESH_EVENT_SEQUENCE >>\(directory.path)/runs")
            let command = try on(server, ["--max-deliveries", "1"], [script])
            try await eventually("both runs") { lines("runs").count == 2 }
            command.signal(SIGTERM)
            let outcome = try await command.wait()
            #expect(outcome.code == 0)
            #expect(!outcome.error.contains("for the last time"), "\(outcome.error)")
        }
    }

    @Test func otherSettingsAreRefusedUnlessTheyAreToBeUpdated() async throws {
        try await withServer { server in
            let first = try on(server, [], ["true"])
            try await first.waitForError("running true")
            first.signal(SIGTERM)
            _ = try await first.wait()
            let refused = try await on(server, ["--max-deliveries", "9"], ["true"]).wait()
            #expect(refused.code == 69)
            #expect(refused.error.contains("maximum deliveries: asked 9, found 5"), "\(refused.error)")
            let updated = try on(server, ["--max-deliveries", "9", "--update"], ["true"])
            try await updated.waitForError("running true")
            updated.signal(SIGTERM)
            #expect(try await updated.wait().code == 0)
        }
    }

    @Test(arguments: [
        (["on", "user.job", "--durable", "d"], "command"),
        (["on", "user.job", "--", "true"], "--durable"),
        (["on", "--durable", "d", "--", "true"], "pattern"),
        (["on", "user.job", "--durable", "d", "--", "no-such-command-anywhere"], "does not exist"),
        (["on", "user.job", "--durable", "d", "--", "/etc/passwd"], "not executable"),
        (["on", "user.job", "--durable", "d", "--parallel", "0", "--", "true"], "--parallel"),
        (["on", "user.job", "--durable", "d", "--max-deliveries", "0", "--", "true"], "--max-deliveries"),
        (["on", "user.job", "--durable", "d", "--timeout", "0s", "--", "true"], "--timeout"),
        (["on", "user.job", "--durable", "d", "--from", "soon", "--", "true"], "--from"),
        (["on", "a..b", "--durable", "d", "--", "true"], "empty token"),
        (["on", "user.job", "--durable", "a.b", "--", "true"], "durable"),
    ])
    func whatCannotBeUnderstoodIsAUsageError(arguments: [String], word: String) async throws {
        try await withServer { server in
            let separator = arguments.firstIndex(of: "--") ?? arguments.endIndex
            var arguments = arguments
            arguments.insert(contentsOf: ["--nats", server.url], at: separator)
            let outcome = try await Command.run(arguments)
            #expect(outcome.code == 64, "\(outcome.error)")
            #expect(outcome.error.contains(word), "\(outcome.error)")
            expectOneLine(outcome)
        }
    }
}
