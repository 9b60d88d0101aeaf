import Foundation
import Logging
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// What real tools write, in files.
@Suite("Logs of tools")
struct ToolLogsTests {
    private func logs(_ home: TemporaryDirectory) -> ToolLogs {
        ToolLogs(directory: home.path + "/logs", node: "my node", logger: Logger(label: "logs") { _ in LoggedLines() })
    }

    @Test("output of all runs is kept, with what the node says of them, and outlives the supervisor")
    func runs() async throws {
        let home = try TemporaryDirectory()
        do {
            let bench = try ToolBench(logs: logs(home))
            try await bench.run(bench.tool("echo out; sleep 0.1; echo oh >&2; sleep 0.1; printf rest; exit 3"))
            _ = try await bench.events(3)
            try await bench.pass(.seconds(1))
            _ = try await bench.events(5)
            await bench.supervisor.shutdown()
        }
        let records = logs(home).records(ofTool: "tool")
        let words = records.map { "\($0.stream.rawValue) \($0.line.replacing(/[0-9]+$/, with: "N"))" }
        let run = [
            "node started, process N", "stdout out", "stderr oh", "stdout rest", "node crashed: exited with code N",
        ]
        // Two streams, and the node beside them: each is in order.
        for stream in ["stdout", "stderr", "node"] {
            let (found, expected) = (words.filter { $0.hasPrefix(stream) }, run.filter { $0.hasPrefix(stream) })
            #expect(found.filter { !$0.contains("stopped") } == expected + expected, "\(words)")
        }
        #expect(records.map(\.number) == Array(1...UInt64(records.count)))
        #expect(TemporaryDirectory.exists(home.path + "/logs/my_20node/tools/tool"))
        #expect(logs(home).records(ofTool: "../other").isEmpty && logs(home).records(ofTool: "none").isEmpty)
    }

    @Test("a tool whose logs are off leaves no file") func off() async throws {
        let home = try TemporaryDirectory()
        let bench = try ToolBench(logs: logs(home))
        var tool = bench.tool("echo out; exit 3", restart: .never)
        tool.logs = .off
        try await bench.run(tool)
        _ = try await bench.events(3)
        #expect(logs(home).records(ofTool: "tool").isEmpty)
        #expect(bench.logged.lines.contains("info tool stdout: out"))
        tool.logs = ToolLogSettings(files: 1)
        tool.name = "wrong"
        await #expect(throws: ToolError.self) { try await bench.supervisor.install(tool) }
    }

    @Test("100 MB as fast as a tool can write: the ring stays small, keeps the end, and the memory stays flat")
    func flood() async throws {
        let home = try TemporaryDirectory()
        let bench = try ToolBench(logs: logs(home))
        let before = ToolProcesses.memory
        let script =
            "yes 'a line of noise that is neither short nor long' | head -c 100000000; echo; echo the end; exit 3"
        try await bench.run(bench.tool(script, restart: .never))
        _ = try await bench.events(3, within: .seconds(120))
        let grown = ToolProcesses.memory - before
        #expect(grown < 64 << 20, "\(grown >> 20) MiB more")
        let records = logs(home).records(ofTool: "tool", matching: LogQuery(lines: 3))
        #expect(records.map(\.line).contains("the end"), "\(records)")
        let path = home.path + "/logs/my_20node/tools/tool"
        let sizes = try FileManager.default.contentsOfDirectory(atPath: path).map { name in
            try FileManager.default.attributesOfItem(atPath: path + "/" + name)[.size] as? Int ?? 0
        }
        #expect(sizes.count <= 3 && sizes.reduce(0, +) <= (12 << 20) + 30_000, "\(sizes)")
        let logged = bench.logged.lines.count { $0.contains("stdout: a line") }
        let all = logs(home).records(ofTool: "tool", matching: LogQuery(lines: nil))
        // Far more than the node's log has.
        #expect(all.count > 5 * max(1, min(logged, 10_000)), "\(all.count) kept, \(logged) logged")
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.number + 1 == $1.number })
    }

    @Test("a removed tool leaves no file open; its log can be read, and goes on when the tool is installed again")
    func removed() async throws {
        let home = try TemporaryDirectory()
        let logs = logs(home)
        let bench = try ToolBench(logs: logs)
        let tool = bench.tool("echo out; exit 3", restart: .never)
        try await bench.run(tool)
        _ = try await bench.events(3)
        // As a reader does.
        let ring = logs.ring(ofTool: "tool")
        try await bench.supervisor.remove("tool")
        #if os(Linux)
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }
            #expect(!open.contains { $0.hasPrefix(home.path) && $0.contains("/tools/") }, "\(open)")
        #endif
        let count = logs.records(ofTool: "tool").count
        #expect(count >= 2)
        try await bench.supervisor.install(tool)
        #expect(logs.ring(ofTool: "tool") === ring)
        try await bench.supervisor.start("tool")
        _ = try await bench.events(7)
        let records = logs.records(ofTool: "tool")
        #expect(records.map(\.number) == Array(1...UInt64(records.count)) && records.count > count)
        await bench.supervisor.shutdown()
    }

    @Test("a ring that is used no more is forgotten") func forgotten() throws {
        let logs = logs(try TemporaryDirectory())
        weak var ring: LogRing?
        do {
            let used = logs.ring(ofTool: "tool")
            ring = used
            #expect(logs.ring(ofTool: "tool") === used)
        }
        #expect(ring == nil)
    }

    @Test("the logs of 32 removed tools stay, those that were written last; no other is deleted")
    func bounded() throws {
        let home = try TemporaryDirectory()
        let logs = logs(home)
        let tools = home.path + "/logs/my_20node/tools"
        for number in 0..<40 {
            let tool = "t\(number)"
            logs.ring(ofTool: tool).append("line of \(number)", .stdout)
            let segment = try #require(LogSegment.all(in: "\(tools)/\(tool)").first)
            // The first is the newest.
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: Double(1_000_000 - 100 * number))],
                ofItemAtPath: LogSegment.path(segment.first, in: "\(tools)/\(tool)")
            )
        }
        func kept() -> Set<String> { Set(LogDirectory.names(in: tools).filter { $0.hasPrefix("t") }) }
        #expect(kept().count == 40)
        // One that is old and was not removed stays.
        for number in (0..<40).reversed() where number != 38 { logs.remove("t\(number)") }
        #expect(kept() == Set((0..<32).map { "t\($0)" } + ["t38"]))
        logs.remove("t38")
        #expect(kept() == Set((0..<32).map { "t\($0)" }))
        logs.install("t31")
        logs.ring(ofTool: "t40").append("line", .stdout)
        logs.removeAll(but: ["t31"])
        #expect(kept() == Set((0..<32).map { "t\($0)" } + ["t40"]))
        #expect(logs.records(ofTool: "t31").map(\.line) == ["line of 31"])
        logs.remove("none")
        #expect(!LogDirectory.names(in: tools).contains("none"))
    }

    @Test("one process at a time writes the logs of a node") func lock() async throws {
        let home = try TemporaryDirectory()
        let first = logs(home)
        first.append("from the first")
        let said = LoggedLines()
        let other = ToolLogs(directory: home.path + "/logs", node: "my node", logger: Logger(label: "l") { _ in said })
        other.append("from the second")
        #expect(first.records().map(\.line) == ["from the first"])
        #expect(said.lines.contains { $0.contains("another process writes the logs") }, "\(said.lines)")
        let third = ToolLogs(directory: home.path + "/logs", node: "other", logger: Logger(label: "l") { _ in said })
        third.append("from another node")
        #expect(third.records().map(\.line) == ["from another node"])
    }
}
