import Foundation
import LocalNATSServer
import TestSupport
import Testing

@Suite struct EmitTests {
    @Test(arguments: NATSServers.all)
    func anAcknowledgedEventIsListed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let emit = try await Command.run([
                "emit", "events.tool.crashed", "tool=whisper", "error=out of memory", "restart_count=2", "--ack",
                "--node", "pi", "--nats", server.url,
            ])
            #expect(emit.code == 0, "\(emit.error)")
            #expect(emit.output == "stored in MESH_EVENTS at sequence 1\n")
            #expect(emit.error.isEmpty)
            let list = try await Command.run(["list"], environment: ["JB_NATS_URL": server.url])
            #expect(list.code == 0, "\(list.error)")
            let row = #/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  tool\.crashed +pi +(\{.*\})\n/#
            let match = try #require(list.output.wholeMatch(of: row))
            #expect(match.1 == #"{"tool":"whisper","error":"out of memory","restart_count":2}"#)
        }
    }

    @Test(arguments: NATSServers.all)
    func anEventWithoutAcknowledgementIsStoredWhenThereIsAStream(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let environment = ["JB_NATS_URL": server.url, "JB_NODE_NAME": "from-environment"]
            #expect(try await Command.run(["emit", "user.first", "--ack"], environment: environment).code == 0)
            let emit = try await Command.run(["emit", "user.second", "a=1", "--json"], environment: environment)
            #expect(emit.code == 0, "\(emit.error)")
            try await eventually("the second event to be stored") {
                try await Command.run(["list", "--json"], environment: environment).lines.count == 2
            }
            let list = try await Command.run(["list", "--json", "--limit", "1"], environment: environment)
            // What emit --json printed is what was stored, list adds to it.
            #expect(list.output.hasPrefix(emit.output.dropLast(2) + #","sequence":2,"stored":""#))
            #expect(emit.output.hasPrefix(#"{"type":"user.second","node":"from-environment","timestamp":""#))
        }
    }

    @Test func theDataOptionAndFieldsTogether() async throws {
        try await withServer { server in
            let emit = try await Command.run([
                "emit", "user.a", #"--data={"big":123456789012345678901234567890,"a":1}"#, "a=2", "--json", "--ack",
                "--nats",
                server.url,
            ])
            #expect(emit.code == 0, "\(emit.error)")
            #expect(emit.output.contains(#""data":{"big":123456789012345678901234567890,"a":2}}"#))
        }
    }

    @Test(arguments: [
        (["emit", ""], 64), (["emit", "tool..x"], 64), (["emit", "tool.*"], 64), (["emit", "a b"], 64),
        (["emit", "a\nb"], 64), (["emit", String(repeating: "x", count: 201)], 64), (["emit"], 64),
        (["emit", "a", "novalue"], 64), (["emit", "a", "=x"], 64), (["emit", "a", "x=1", "x=2"], 64),
        (["emit", "a", "--node", ""], 64), (["emit", "a", "--from", "-"], 64), (["emit", "--from", "/no/such"], 64),
        (["emit", "a", "--data", "{"], 65), (["emit", "a", "--data", "[1]"], 65),
        (["emit", "a", "--data", #"{"a":NaN}"#], 65),
        (["emit", "a", "--data", #"{"a":1e}"#], 65),
    ])
    func nothingBadIsSent(arguments: [String], code: Int) async throws {
        // There is no server: what is bad is told before anyone is asked.
        let outcome = try await Command.run(arguments + ["--nats", "nats://127.0.0.1:1"])
        #expect(Int(outcome.code) == code, "\(outcome.error)")
        expectOneLine(outcome)
    }

    @Test func anEventLargerThanTheServerTakesIsBadData() async throws {
        try await withServer(NATSServers.first, .init(maxPayload: 1024)) { server in
            for extra in [[], ["--ack"]] {
                let arguments = ["emit", "user.a", "x=" + String(repeating: "x", count: 2_000), "--nats", server.url]
                let outcome = try await Command.run(arguments + extra)
                #expect(outcome.code == 65)
                #expect(outcome.error.contains("1024"), "\(outcome.error)")
                expectOneLine(outcome)
            }
        }
    }

    @Test(arguments: NATSServers.all)
    func aFileIsStoredInTheOrderOfItsLines(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let count = 5_000
            let lines = (0..<count).map { #"{"type":"user.bulk","data":{"i":\#($0)}}"# + "\n" }.joined()
            let emit = try await Command.run(
                ["emit", "--from", "-", "--node", "importer", "--nats", server.url],
                input: lines
            )
            #expect(emit.code == 0)
            #expect(emit.output.isEmpty && emit.error.isEmpty, "\(emit.error)")
            let list = try await Command.run(["list", "--json", "--limit", "10000", "--nats", server.url])
            let expected = (0..<count).map { #""node":"importer"|"data":{"i":\#($0)},"sequence":\#($0 + 1),"# }
            #expect(list.lines.count == count)
            for (line, expected) in zip(list.lines, expected) {
                for part in expected.split(separator: "|") where !line.contains(part) {
                    Issue.record("\(line) is not \(expected)")
                }
            }
        }
    }

    @Test func aBadLineIsReportedWithItsNumberAndWhatCameBeforeIsStored() async throws {
        try await withServer { server in
            var lines = (1...700).map { #"{"type":"user.bulk","data":{"i":\#($0)}}"# }
            lines.insert("", at: 100)
            lines[650] = #"{"type":"user..bulk"}"#
            let directory = try TemporaryDirectory()
            let file = try directory.file("events.ndjson", lines.joined(separator: "\n"))
            let emit = try await Command.run(["emit", "--from", file, "--nats", server.url])
            #expect(emit.code == 65)
            #expect(emit.error.contains("line 651: "), "\(emit.error)")
            #expect(emit.error.contains("649 events were stored"), "\(emit.error)")
            expectOneLine(emit)
            let list = try await Command.run(["list", "--json", "--limit", "1000", "--nats", server.url])
            #expect(list.lines.count == 649)
            #expect(list.lines.last?.contains(#""data":{"i":649},"sequence":649,"#) == true)
        }
    }

    @Test func aLineTooLargeForTheServerIsReportedWithItsNumber() async throws {
        try await withServer(NATSServers.first, .init(maxPayload: 1024)) { server in
            let large = #"{"type":"user.b","data":{"x":"\#(String(repeating: "x", count: 2_000))"}}"#
            let emit = try await Command.run(
                ["emit", "--from", "-", "--nats", server.url],
                input: #"{"type":"user.a"}"# + "\n" + large + "\n"
            )
            #expect(emit.code == 65)
            #expect(emit.error.contains("line 2: "), "\(emit.error)")
            #expect(emit.error.contains("1 event was stored"), "\(emit.error)")
        }
    }

    @Test(arguments: [["x=1e400"], ["--data", #"{"x":[-1e400]}"#]])
    func aNumberThatGoNodesCannotReadIsBadData(arguments: [String]) async throws {
        let outcome = try await Command.run(["emit", "user.a", "--nats", "nats://127.0.0.1:1"] + arguments)
        #expect(outcome.code == 65 && outcome.error.contains("beyond the range of a double"), "\(outcome.error)")
        expectOneLine(outcome)
    }

    @Test func anEmptyFileIsDone() async throws {
        try await withServer { server in
            let outcome = try await Command.run(["emit", "--from", "-", "--nats", server.url])
            #expect(outcome.code == 0, "\(outcome.error)")
        }
    }

    @Test func emittingAFileOutlivesAServerThatIsKilled() async throws {
        try await withServer { server in
            let count = 30_000
            let lines = (0..<count).map { #"{"type":"user.bulk","data":{"i":\#($0)}}"# + "\n" }.joined()
            let create = try await Command.run(["emit", "user.start", "--ack", "--nats", server.url])
            #expect(create.code == 0)
            let emit = try Command(["emit", "--from", "-", "--nats", server.url], input: lines)
            try await eventually("some events to be stored") {
                try await !Command.run(["list", "user.bulk", "--limit", "1", "--nats", server.url]).lines.isEmpty
            }
            await server.kill()
            #expect(emit.isRunning, "it was done before the server was killed: emit more")
            try await server.restart()
            let outcome = try await emit.wait(within: .seconds(60))
            #expect(outcome.code == 0, "\(outcome.error)")
            let list = try await Command.run(["list", "user.bulk", "--json", "--limit", "1", "--nats", server.url])
            #expect(list.output.contains(#""sequence":\#(count + 1),"#), "\(list.output)")
        }
    }

    @Test func progressIsShownOnATerminalOnly() async throws {
        try await withServer { server in
            let terminal = try PseudoTerminal(width: 80)
            let command = try Command(
                ["emit", "--from", "-", "--nats", server.url],
                input: String(repeating: #"{"type":"user.a"}"# + "\n", count: 10),
                terminal: terminal
            )
            #expect(try await command.wait().code == 0)
            #expect(terminal.text().contains("10 events stored"))
        }
    }
}

/// What is said on standard error is one line for people: no stack of types, nothing that cannot be read.
func expectOneLine(_ outcome: Command.Outcome, sourceLocation: SourceLocation = #_sourceLocation) {
    let lines = outcome.error.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 2 && lines.last == "", "not one line: \(outcome.error)", sourceLocation: sourceLocation)
    #expect(outcome.error.hasPrefix("mesh-events: "), "\(outcome.error)", sourceLocation: sourceLocation)
    for dump in ["Error(", "Optional(", "Swift.", "NIOCore", "NIOPosix", "underlying"] {
        #expect(!outcome.error.contains(dump), "a dump: \(outcome.error)", sourceLocation: sourceLocation)
    }
}
