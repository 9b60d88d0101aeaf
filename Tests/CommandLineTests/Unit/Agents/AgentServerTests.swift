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

    /// A server with an input, and a file for what it sends.
    private struct Bench {
        let server: AgentServer
        let reader: LineReader
        private let directory: TemporaryDirectory
        private let file: FileHandle

        /// - Parameters:
        ///   - desk: has the tool that is called.
        ///   - lines: the input.
        ///   - descriptor: where it sends; `nil` for the file.
        init(
            _ desk: Desk,
            _ lines: [String],
            to descriptor: Int32? = nil,
            limits: AgentSession.Limits = .init(),
            patience: Duration = .seconds(30)
        ) throws {
            directory = try TemporaryDirectory()
            file = try directory.outputFile()
            let input = try directory.file("input", lines.map { $0 + "\n" }.joined())
            reader = try LineReader(path: input, longest: AgentSession.longestLine, longLines: .leaveOut)
            server = AgentServer(
                AgentToolbox(tools: [desk.tool], instructions: "", version: "1"),
                AgentOutput(descriptor: descriptor ?? file.fileDescriptor),
                limits: limits,
                patience: patience
            )
        }

        func run() async throws { try await server.run(reader) }

        /// What it has sent.
        var sent: [Substring] {
            get throws { try directory.text(of: "output").split(separator: "\n") }
        }
    }

    @Test func whatComesBeforeTheEndOfTheInputIsAnswered() async throws {
        let desk = Desk()
        desk.mayEnd()
        let long = String(repeating: " ", count: 2 << 20)
        let bench = try Bench(desk, [Self.begin, Self.call(1), "{", long, Self.call(2)])
        try await bench.run()
        let lines = try bench.sent.map { try EventData(json: String($0)) }
        #expect(Set(lines.map { $0["id"]?.json ?? "" }) == [#""begin""#, "1", "2", "null"])
        #expect(lines.compactMap { $0["error"]?["code"]?.int }.sorted() == [-32_700, -32_600])
        #expect(lines.count { $0["result"]?["content"] != nil } == 2)
    }

    @Test func callsThatGoOnEndSomeTimeBehindTheInput() async throws {
        let desk = Desk()
        let bench = try Bench(desk, [Self.begin, Self.call(1)], patience: .milliseconds(50))
        try await bench.run()
        #expect(desk.started.load(ordering: .relaxed) == desk.ended.load(ordering: .relaxed))
        #expect(try bench.sent.count == 1, "it has no answer")
    }

    @Test func atMostSoManyCallsRunAtOnce() async throws {
        let desk = Desk()
        let bench = try Bench(desk, [Self.begin] + (1...10).map(Self.call), limits: AgentSession.Limits(calls: 3))
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (server, reader) = (bench.server, bench.reader)
            group.addTask { try await server.run(reader) }
            try await eventually("the answers to those that are too many") {
                try bench.sent.count { $0.contains("busy") } == 7
            }
            #expect(desk.started.load(ordering: .relaxed) <= 3)
            desk.mayEnd()
            try await group.waitForAll()
        }
        #expect(desk.ended.load(ordering: .relaxed) == 3)
        #expect(try bench.sent.count == 11)
    }

    /// A client that sends and never reads: its calls take their places and keep them, and nothing else waits.
    @Test func aClientThatReadsNothingHoldsUpItselfAlone() async throws {
        let desk = Desk()
        desk.mayEnd()
        let pipe = Pipe()
        let bench = try Bench(
            desk,
            [Self.begin] + (1...200).map(Self.call),
            to: pipe.fileHandleForWriting.fileDescriptor
        )
        let (server, reader) = (bench.server, bench.reader)
        let run = Task { try await server.run(reader) }
        // The pipe takes little, so that the answers wait, and the calls keep their places.
        try await eventually("all places to be taken") { desk.ended.load(ordering: .relaxed) >= 16 }
        let before = desk.started.load(ordering: .relaxed)
        #expect(before < 40, "answers that fitted into the pipe, and 16")
        // Another server of the same process goes on.
        let second = try Bench(desk, [Self.begin, Self.call(1)])
        try await second.run()
        #expect(try second.sent.count == 2)
        run.cancel()
        try await withDeadline(.seconds(60), "the end of the server") { try await run.value }
        withExtendedLifetime(pipe) {}
    }

    @Test func aClientThatIsGoneEndsTheServer() async throws {
        let directory = try TemporaryDirectory()
        signal(SIGPIPE, SIG_IGN)
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        // An input that does not end.
        let path = directory.path + "/silent"
        try #require(mkfifo(path, 0o600) == 0)
        let holder = open(path, O_RDWR | O_CLOEXEC)
        defer { close(holder) }
        let line = Array((Self.begin + "\n").utf8)
        #expect(write(holder, line, line.count) == line.count)
        let server = try Bench(Desk(), [], to: pipe.fileHandleForWriting.fileDescriptor).server
        let reader = try LineReader(path: path)
        try await withDeadline(.seconds(60), "the end of the server") { try await server.run(reader) }
        withExtendedLifetime(pipe) {}
    }

    @Test func aCancelledCallEndsAndGetsNoAnswer() async throws {
        let desk = Desk()
        let cancel = #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#
        let bench = try Bench(desk, [Self.begin, Self.call(1), cancel])
        try await bench.run()
        #expect(desk.started.load(ordering: .relaxed) == desk.ended.load(ordering: .relaxed))
        #expect(try bench.sent.count == 1)
    }
}
