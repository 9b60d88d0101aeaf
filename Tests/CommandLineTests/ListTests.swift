import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite struct ListTests {
    @Test(arguments: NATSServers.all)
    func theNewestAreListedOldestFirst(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let types = ["user.a", "tool.started", "user.b"]
            let lines = (0..<300).map { i in
                #"{"type":"\#(types[i % 3])","node":"\#(i % 2 == 0 ? "even" : "odd")","data":{"i":\#(i)}}"# + "\n"
            }
            let emit = try await Command.run(["emit", "--from", "-", "--nats", server.url], input: lines.joined())
            #expect(emit.code == 0, "\(emit.error)")
            func numbers(_ arguments: [String]) async throws -> [Int] {
                let list = try await Command.run(["list", "--json", "--nats", server.url] + arguments)
                #expect(list.code == 0, "\(list.error)")
                return try list.lines.map { line in
                    let match = try #require(
                        line.firstMatch(of: #/"data":\{"i":(\d+)\},"sequence":(\d+),"stored":"[^"]+"\}$/#)
                    )
                    #expect(Int(match.2) == Int(match.1).map { $0 + 1 })
                    return try #require(Int(match.1))
                }
            }
            #expect(try await numbers([]) == Array(250..<300))
            #expect(try await numbers(["--limit", "3"]) == [297, 298, 299])
            #expect(try await numbers(["user.*", "--limit", "3"]) == [296, 297, 299])
            #expect(try await numbers(["events.tool.>", "--limit", "2"]) == [295, 298])
            #expect(try await numbers(["--node", "even", "--limit", "2"]) == [296, 298])
            #expect(try await numbers(["tool.started", "--node", "odd", "--limit", "2"]) == [289, 295])
            #expect(try await numbers(["--since", "1h", "--limit", "1000"]) == Array(0..<300))
            #expect(try await numbers(["--until", "1h"]) == [])
            let future = try await Command.run(["list", "--since", "2200-01-01T00:00:00Z", "--nats", server.url])
            #expect(future.code == 64 && future.error.contains("future"), "\(future.error)")
            #expect(try await numbers(["user.b", "tool.*", "--limit", "3"]) == [296, 298, 299])
            #expect(try await numbers(["node.*"]) == [])
        }
    }

    @Test(arguments: NATSServers.all)
    func aCursorLeadsToThePageBefore(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let lines = (0..<25).map { #"{"type":"user.a","data":{"i":\#($0)}}"# + "\n" }
            _ = try await Command.run(["emit", "--from", "-", "--nats", server.url], input: lines.joined())
            var pages: [[Int]] = []
            var cursor: [String] = []
            repeat {
                let list = try await Command.run(["list", "--json", "--limit", "10", "--nats", server.url] + cursor)
                pages.append(list.output.matches(of: #/"data":\{"i":(\d+)\}/#).compactMap { Int($0.1) })
                let next = list.error.firstMatch(of: #/older events: (--cursor) (\d+-\d+)/#)
                cursor = next.map { [String($0.1), String($0.2)] } ?? []
            } while !cursor.isEmpty && pages.count < 9
            #expect(pages == [Array(15..<25), Array(5..<15), Array(0..<5)])
            for (cursor, count) in [("0", 0), ("1", 0), ("26", 25), ("18446744073709551615", 25)] {
                let list = try await Command.run(["list", "--json", "--nats", server.url, "--cursor", cursor])
                #expect(list.code == 0 && list.lines.count == count, "\(list.error)")
            }
        }
    }

    @Test func sinceAndUntilAreTheTimesOfStoring() async throws {
        try await withServer { server in
            for _ in 1...3 {
                #expect(try await Command.run(["emit", "user.a", "--ack", "--nats", server.url]).code == 0)
            }
            let all = try await Command.run(["list", "--json", "--nats", server.url])
            let stored = try all.lines.map { line in
                String(try #require(line.firstMatch(of: #/"stored":"([^"]+)"/#)).1)
            }
            try #require(stored.count == 3)
            let middle = try await Command.run([
                "list", "--json", "--nats", server.url, "--since", stored[1], "--until", stored[1],
            ])
            #expect(middle.lines == [all.lines[1]])
            #expect(
                try await Command.run(["list", "--json", "--nats", server.url, "--since", stored[1]]).lines
                    == Array(all.lines[1...])
            )
            #expect(
                try await Command.run(["list", "--json", "--nats", server.url, "--until", stored[1]]).lines
                    == Array(all.lines[...1])
            )
        }
    }

    @Test func rawIsWhatIsStored() async throws {
        try await withServer { server in
            let create = try await Command.run(["stream", "create", "--nats", server.url])
            #expect(create.code == 0, "\(create.error)")
            let payloads = [
                #"{"data":{"x":"\u003c","n":1e400}, "type":"user.a","node":"go","more":[1],"timestamp":"2026-11-24T10:04:34.50+01:00"}"#,
                #"{"type":"user.a","node":"py","timestamp":"2026-11-24T10:04:34Z","data":{}}"#,
            ]
            let connection = try await connect(server)
            for payload in payloads { try connection.publish(ByteBuffer(string: payload), to: "events.user.a") }
            try await connection.flush()
            await connection.close()
            try await eventually("both to be stored") {
                try await Command.run(["list", "--raw", "--nats", server.url]).lines == payloads
            }
            let one = try await Command.run(["list", "--raw", "--node", "go", "--nats", server.url])
            #expect(one.lines == [payloads[0]])
            let json = try await Command.run(["list", "--json", "--node", "go", "--nats", server.url])
            #expect(
                json.output.hasPrefix(
                    #"{"type":"user.a","node":"go","timestamp":"2026-11-24T09:04:34.5Z","data":{"x":"\u003c","n":1e400},"#
                )
            )
            let both = try await Command.run(["list", "--raw", "--json", "--nats", server.url])
            #expect(both.code == 64 && both.error.contains("--raw"), "\(both.error)")
        }
    }

    @Test func rowsLineUp() async throws {
        try await withServer { server in
            let lines = [
                #"{"type":"user.training.epoch.done","node":"raspberry-pi-4","data":{"a":1}}"#,
                #"{"type":"user.a","data":{"a":2}}"#,
            ]
            let input = lines.map { $0 + "\n" }.joined()
            _ = try await Command.run(["emit", "--from", "-", "--node", "n", "--nats", server.url], input: input)
            let list = try await Command.run(["list", "--nats", server.url])
            let columns = list.lines.map {
                $0.firstRange(of: "{").map { String(list.lines[0][..<$0.lowerBound]).count }
            }
            #expect(columns.count == 2)
            #expect(columns[0] != nil && columns[0] == columns[1])
        }
    }

    @Test func readingCreatesNothingAndSaysSo() async throws {
        try await withServer { server in
            for _ in 1...2 {
                for command in [["list"], ["list", "--raw"], ["export"]] {
                    let outcome = try await Command.run(command + ["--nats", server.url])
                    #expect(outcome.code == 0 && outcome.output.isEmpty)
                    #expect(outcome.error.contains("no events are stored yet"), "\(outcome.error)")
                    #expect(outcome.error.contains("`mesh-events stream create`"), "\(outcome.error)")
                    expectOneLine(outcome)
                }
            }
        }
    }

    /// A server has no second stream for the same subjects, so the advice to create one would fail.
    @Test(arguments: NATSServers.all)
    func anotherStreamThatKeepsTheEventsIsNamed(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let emit = ["emit", "user.a", "--ack", "--stream", "ARCHIVE", "--nats", server.url]
            #expect(try await Command.run(emit).code == 0)
            let commands = [["list"], ["replay"], ["export"], ["status"]]
            for command in commands + [["wait-for", "user.a", "--since", "1h"]]
                + commands.map({ $0 + ["--stream", "X"] })
            {
                let outcome = try await Command.run(command + ["--nats", server.url])
                let isExact = command.contains("X") || command[0] == "wait-for"
                #expect(outcome.code == (isExact ? 69 : 0), "\(command): \(outcome.error)")
                #expect(outcome.error.contains("--stream ARCHIVE"), "\(command): \(outcome.error)")
                #expect(!outcome.error.contains("stream create"), "\(command): \(outcome.error)")
                expectOneLine(outcome)
            }
            let list = try await Command.run(["list", "--stream", "ARCHIVE", "--nats", server.url])
            #expect(list.code == 0 && list.lines.count == 1, "\(list.error)")
        }
    }

    @Test(arguments: [
        ["--since", "10x"], ["--since", "yesterday"], ["--until", "2026-11-24"], ["--limit", "0"], ["--limit", "-1"],
        ["--limit", "x"], ["events.>.x"], ["a b"], [""], ["tool..x"], ["--since", "1m", "--until", "1h"],
        ["--nonsense"], ["a", "b c"], ["--cursor", "-1"], ["--cursor", "x"],
        ["--cursor", "1-"], ["--cursor", "1-x"], ["--cursor", "18446744073709551616"],
    ])
    func whatCannotBeUnderstoodIsAUsageError(arguments: [String]) async throws {
        let list = try await Command.run(["list", "--nats", "nats://127.0.0.1:1"] + arguments)
        #expect(list.code == 64, "\(list.error)")
        expectOneLine(list)
        #expect(list.error.contains("list --help"))
    }
}
