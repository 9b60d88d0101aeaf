import Foundation
import MeshEvents
import Synchronization
import TestSupport
import Testing

@testable import mesh_events

/// The server of one client, over files and pipes, with tools of the test.
@Suite(.timeLimit(.minutes(2))) struct AgentServerTests {
    /// Counts calls, and keeps them until they may end.
    private final class Desk: Sendable {
        let started = Atomic(0)
        let ended = Atomic(0)
        private let end = StopRequest()

        func mayEnd() { end.stop(.signal) }

        /// A tool that answers when it may, with much data.
        var tool: AgentTool {
            AgentTool(name: "work", title: "Work", description: "Works.", fields: []) { _, _ in
                self.started.wrappingAdd(1, ordering: .relaxed)
                defer { self.ended.wrappingAdd(1, ordering: .relaxed) }
                guard await self.end.wait() != nil else { throw CancellationError() }
                var data = UntrustedData()
                data.add("list", list: (0..<100).map { _ in .string(String(repeating: "x", count: 1_000)) })
                return AgentAnswer(["Done."], data)
            }
        }
    }

    private static let begin =
        #"{"jsonrpc":"2.0","id":"begin","method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#

    private static func call(_ id: Int) -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"method":"tools/call","params":{"name":"work"}}"#
    }

    private func toolbox(_ desk: Desk) -> AgentToolbox {
        AgentToolbox(tools: [desk.tool], instructions: "", version: "1")
    }

    private func reader(_ directory: TemporaryDirectory, _ lines: [String]) throws -> LineReader {
        let path = try directory.file("input", lines.map { $0 + "\n" }.joined())
        return try LineReader(path: path, longest: AgentSession.longestLine, longLines: .leaveOut)
    }

    @Test func whatComesBeforeTheEndOfTheInputIsAnswered() async throws {
        let directory = try TemporaryDirectory()
        let desk = Desk()
        desk.mayEnd()
        let long = String(repeating: " ", count: 2 << 20)
        let reader = try reader(directory, [Self.begin, Self.call(1), "{", long, Self.call(2)])
        let path = try directory.file("output", "")
        let output = try #require(FileHandle(forWritingAtPath: path))
        let server = AgentServer(toolbox(desk), AgentOutput(descriptor: output.fileDescriptor))
        try await server.run(reader)
        let lines = try directory.text(of: "output").split(separator: "\n").map { try EventData(json: String($0)) }
        #expect(Set(lines.map { $0["id"]?.json ?? "" }) == [#""begin""#, "1", "2", "null"])
        #expect(lines.compactMap { $0["error"]?["code"]?.int }.sorted() == [-32_700, -32_600])
        #expect(lines.count { $0["result"]?["content"] != nil } == 2)
    }

    @Test func callsThatGoOnEndSomeTimeBehindTheInput() async throws {
        let directory = try TemporaryDirectory()
        let desk = Desk()
        let output = try #require(FileHandle(forWritingAtPath: try directory.file("output", "")))
        let server = AgentServer(
            toolbox(desk),
            AgentOutput(descriptor: output.fileDescriptor),
            patience: .milliseconds(50)
        )
        try await server.run(try reader(directory, [Self.begin, Self.call(1)]))
        #expect(desk.started.load(ordering: .relaxed) == desk.ended.load(ordering: .relaxed))
        #expect(try directory.text(of: "output").split(separator: "\n").count == 1, "it has no answer")
    }

    @Test func atMostSoManyCallsRunAtOnce() async throws {
        let directory = try TemporaryDirectory()
        let desk = Desk()
        let output = try #require(FileHandle(forWritingAtPath: try directory.file("output", "")))
        let server = AgentServer(
            toolbox(desk),
            AgentOutput(descriptor: output.fileDescriptor),
            limits: AgentSession.Limits(calls: 3)
        )
        let reader = try reader(directory, [Self.begin] + (1...10).map(Self.call))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run(reader) }
            try await eventually("the answers to those that are too many") {
                try directory.text(of: "output").split(separator: "\n").count { $0.contains("busy") } == 7
            }
            #expect(desk.started.load(ordering: .relaxed) <= 3)
            desk.mayEnd()
            try await group.waitForAll()
        }
        #expect(desk.ended.load(ordering: .relaxed) == 3)
        #expect(try directory.text(of: "output").split(separator: "\n").count == 11)
    }

    /// A client that sends and never reads: its calls take their places and keep them, and nothing else waits.
    @Test func aClientThatReadsNothingHoldsUpItselfAlone() async throws {
        let directory = try TemporaryDirectory()
        let desk = Desk()
        desk.mayEnd()
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let (readEnd, writeEnd) = (ends[0], ends[1])
        defer { for end in [readEnd, writeEnd] { close(end) } }
        let reader = try reader(directory, [Self.begin] + (1...200).map(Self.call))
        let server = AgentServer(toolbox(desk), AgentOutput(descriptor: writeEnd))
        let run = Task { try await server.run(reader) }
        // The pipe takes little, so that the answers wait, and the calls keep their places.
        try await eventually("all places to be taken") { desk.ended.load(ordering: .relaxed) >= 16 }
        let before = desk.started.load(ordering: .relaxed)
        #expect(before < 40, "answers that fitted into the pipe, and 16")
        // Another server of the same process goes on.
        let other = try directory.file("other", "")
        let handle = try #require(FileHandle(forWritingAtPath: other))
        let second = AgentServer(toolbox(desk), AgentOutput(descriptor: handle.fileDescriptor))
        try await second.run(try self.reader(directory, [Self.begin, Self.call(1)]))
        #expect(try directory.text(of: "other").split(separator: "\n").count == 2)
        run.cancel()
        try await withDeadline(.seconds(60), "the end of the server") { try await run.value }
    }

    @Test func aClientThatIsGoneEndsTheServer() async throws {
        let directory = try TemporaryDirectory()
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        // An input that does not end.
        let path = directory.path + "/silent"
        try #require(mkfifo(path, 0o600) == 0)
        let holder = open(path, O_RDWR | O_CLOEXEC)
        defer { close(holder) }
        let line = Array((Self.begin + "\n").utf8)
        #expect(write(holder, line, line.count) == line.count)
        let server = AgentServer(toolbox(Desk()), AgentOutput(descriptor: ends[1]))
        let reader = try LineReader(path: path)
        try await withDeadline(.seconds(60), "the end of the server") { try await server.run(reader) }
    }

    @Test func aCancelledCallEndsAndGetsNoAnswer() async throws {
        let directory = try TemporaryDirectory()
        let desk = Desk()
        let output = try #require(FileHandle(forWritingAtPath: try directory.file("output", "")))
        let cancel = #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#
        let server = AgentServer(toolbox(desk), AgentOutput(descriptor: output.fileDescriptor))
        try await server.run(try reader(directory, [Self.begin, Self.call(1), cancel]))
        #expect(desk.started.load(ordering: .relaxed) == desk.ended.load(ordering: .relaxed))
        #expect(try directory.text(of: "output").split(separator: "\n").count == 1)
    }
}
