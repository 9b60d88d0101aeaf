import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Numbers at and beyond their limits on the command line: an answer or a sentence, never a trap.
@Suite(.timeLimit(.minutes(5))) struct NumberLimitTests {
    private static let integers = [
        "0", "-1", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "-9223372036854775808", "1e3", "0x10", "",
    ]
    private static let durations = [
        "0s", "1ms", "0.4ms", "36525d", "36526d", "99999999999999999999d", "1.7976931348623157e308s",
        String(repeating: "9", count: 400) + "s", "-1s", "1", "", "1.s", "1h1h1h",
    ]
    private static let times = [
        "0001-01-01T00:00:00Z", "1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775808Z", "9999-12-31T23:59:60.999999999+23:59",
    ]

    private static func each(_ command: [String], _ option: String, _ values: [String]) -> [[String]] {
        values.map { command + ["\(option)=\($0)"] }
    }

    /// Command lines that end by themselves, whatever they say.
    private static let commands: [[String]] =
        each(["list"], "--limit", integers) + each(["list", "--limit", "3"], "--cursor", integers)
        + each(["list"], "--since", durations + times) + each(["list"], "--until", durations + times)
        + [
            ["list", "--since", "1m", "--until", "1h"], ["export", "--since", "1m", "--until", "1h"],
            ["list", "--since", "2100-01-01T00:00:00Z"],
            ["list", "user.a", "user.b", "--cursor", "18446744073709551615"],
        ]
        + each(["export"], "--since", durations + times) + each(["export"], "--until", times)
        + each(["replay", "--limit", "1"], "--from", integers + ["5", "20", "21", "22"] + durations + times)
        + each(["replay"], "--limit", integers)
        + each(
            ["replay", "--limit", "1"],
            "--speed",
            ["0", "-1", "nan", "inf", "1e-320", "1e308", "0.001", "1000000", "1000001", "x", ""]
        )
        + each(["wait-for", "user.never"], "--timeout", ["0s", "1ms", "36526d", "-1s", ""])
        + each(["wait-for", "user.a", "--timeout", "1s"], "--since", durations + times)
        + each(["stream", "update"], "--max-age", durations + ["none"])
        + each(["stream", "update"], "--max-messages", integers + ["none"])
        + each(["stream", "update"], "--max-bytes", integers + ["none"])
        + each(["stream", "update"], "--replicas", integers)
        + each(["stream", "update"], "--duplicate-window", durations)
        + each(["on", "user.a", "--durable", "d"], "--max-deliveries", ["0", "-1", "9223372036854775808"]).map {
            $0 + ["--", "true"]
        }
        + each(["on", "user.a", "--durable", "d"], "--parallel", ["0", "-1", "1025", "9223372036854775807"]).map {
            $0 + ["--", "true"]
        }
        + each(["dead-letters", "list", "d"], "--limit", integers)
        + each(["dead-letters", "list", "d"], "--since", durations + times)
        + integers.map { ["dead-letters", "retry", "d", $0] }
        + each(["serve"], "--for", ["0s", "-1s", "36526d", ""])
        + each(["serve"], "--port", ["-1", "65536", "99999999999"])
        + each(["tool", "start", "x", "--node", "n"], "--timeout", ["0s", "1ms", "36526d"])
        + each(["dashboard"], "--listen", ["127.0.0.1:65536", "127.0.0.1:-1", ":", "[::1]:99999999999999999999"])

    /// What a server makes of them differs little; MESH_EVENTS_LONG=1 asks each.
    private static let servers =
        ProcessInfo.processInfo.environment["MESH_EVENTS_LONG"] == "1" ? NATSServers.all : [NATSServers.current]

    @Test("every option with a number, at its limits", arguments: servers)
    func options(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let lines = (0..<20).map { #"{"type":"user.\#($0 % 2 == 0 ? "a" : "b")","data":{"n":\#($0)}}"# + "\n" }
            let emit = try await Command.run(["emit", "--from", "-", "--nats", server.url], input: lines.joined())
            #expect(emit.code == 0, "\(emit.error)")
            let url = server.url
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for index in stride(from: worker, to: Self.commands.count, by: 4) {
                            let command = Self.commands[index]
                            let separator = command.firstIndex(of: "--") ?? command.count
                            let arguments = command[..<separator] + ["--nats", url] + command[separator...]
                            let outcome = try await Command(Array(arguments)).wait(within: .seconds(120))
                            #expect([0, 64, 65, 69, 75].contains(outcome.code), "\(command): \(outcome)")
                            // Before it waits, wait-for says so.
                            if outcome.code != 0, outcome.code != 75 { expectOneLine(outcome) }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("numbers in what is emitted, imported and noted")
    func lines() async throws {
        let directory = try TemporaryDirectory()
        let numbers = [
            "1e999", "-1e999", "1e-999", "18446744073709551616", "-9223372036854775809", "0.1e1000000000000",
        ]
        try await withServer { server in
            func check(_ arguments: [String], input: String? = nil) async throws {
                let outcome = try await Command.run(arguments + ["--nats", server.url], input: input)
                #expect([0, 64, 65, 69].contains(outcome.code), "\(arguments) \(input ?? ""): \(outcome)")
            }
            for number in numbers {
                try await check(["emit", "user.a", "n=\(number)"])
                try await check(["emit", "user.a", "--data", "{\"n\":\(number)}"])
                let line =
                    #"{"type":"user.a","timestamp":"2026-01-01T00:00:00Z","sequence":\#(number),"#
                    + #""data":{"n":\#(number)}}"#
                try await check(["emit", "--from", "-"], input: line + "\n")
                try await check(["import", "-"], input: line + "\n")
            }
            for time in Self.times {
                try await check(["import", "-"], input: #"{"type":"user.a","timestamp":"\#(time)"}"# + "\n")
            }
            try await check(["list", "--limit", "1000"])
            try await check(["list", "--limit", "1000", "--json"])
            let event = #"{"type":"user.b","timestamp":"2026-01-01T00:00:00Z","data":{}}"# + "\n"
            let file = try directory.file("events.ndjson", event)
            for (lines, sequence) in [
                ("-1", "1"), ("9223372036854775807", "1"), ("0", "18446744073709551615"),
                ("0", "18446744073709551616"), ("9223372036854775808", "0"), ("0", "0"),
            ] {
                let note =
                    #"{"stream":"MESH_EVENTS","server":"\#(server.url)","hash":"","lines":\#(lines),"#
                    + #""sequence":\#(sequence)}"#
                try directory.file("events.ndjson.import-state", note)
                try await check(["import", file])
            }
        }
    }

    /// From 2.10 an operator may have a stream begin anywhere.
    @Test("a stream at the end of its sequences")
    func lastSequences() async throws {
        let binary = NATSServers.current
        try await withServer(binary) { server in
            let connection = try await connect(server)
            let answer = try await connection.request(
                ByteBuffer(
                    string: #"{"name":"MESH_EVENTS","subjects":["events.>"],"first_seq":18446744073709551612}"#
                ),
                to: "$JS.API.STREAM.CREATE.MESH_EVENTS"
            )
            // A server that knows no first sequence begins with 1, and everything below holds all the same.
            #expect(!String(buffer: answer.payload).contains("\"error\""), "\(String(buffer: answer.payload))")
            for number in 0..<4 {
                let emit = try await Command.run(["emit", "user.a", "n=\(number)", "--ack", "--nats", server.url])
                #expect([0, 69].contains(emit.code), "\(emit)")
            }
            for command: [String] in [
                ["list"], ["list", "--cursor", "18446744073709551615"], ["list", "user.a", "user.b"], ["export"],
                ["stream", "info"], ["stream", "info", "--json"], ["replay", "--limit", "2"],
                ["replay", "--from", "18446744073709551614", "--limit", "1"],
                ["replay", "--from", "18446744073709551615", "--limit", "1"], ["status"],
                ["emit", "user.a", "--ack", "--json"],
            ] {
                let running = try Command(command + ["--nats", server.url])
                // What waits for more is ended: whether a server still delivers there is not ours to say.
                let deadline = ContinuousClock.now + .seconds(5)
                try? await eventually("\(command)") {
                    !running.isRunning || ContinuousClock.now > deadline
                }
                if running.isRunning { running.signal(SIGTERM) }
                let outcome = try await running.wait()
                #expect([0, 64, 69, 75].contains(outcome.code), "\(command): \(outcome)")
            }
            await connection.close()
        }
    }
}
