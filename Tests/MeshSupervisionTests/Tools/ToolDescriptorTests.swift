#if os(Linux)
    import Foundation
    import TestSupport
    import Testing

    /// These run `tool-supervisor-fixture`, a supervisor whose limits can be set.
    @Suite("A supervisor with few file descriptors", .timeLimit(.minutes(5)))
    struct ToolDescriptorTests {
        /// From too few for any tool to enough for one: where exactly a start runs out of them depends on the number.
        @Test("a start that lacks them waits and says so, and is no crash; it follows when there are enough")
        func limits() async throws {
            let directory = try TemporaryDirectory()
            let tools = (1...4).map { "  - {name: t\($0), version: \"1\", command: [sleep, 600], restart: never}\n" }
            let manifest = try directory.file("mesh.yaml", "node: fixture\ntools:\n" + tools.joined())
            let fixture = try BuildProducts.executable("tool-supervisor-fixture")
            for limit in Array(8...36) + [100] {
                let output = try directory.outputFile("output-\(limit)")
                let process = try SpawnedProcess(
                    "/bin/sh",
                    ["-c", "ulimit -S -n \(limit); exec \"$@\"", "sh", fixture, manifest],
                    output: output
                )
                func lines() -> [Substring] {
                    ((try? directory.text(of: "output-\(limit)")) ?? "").split(separator: "\n")
                }
                func started() -> Int { lines().count { $0.hasPrefix("tool.started") } }
                try await eventually("the manifest to be applied with \(limit) descriptors: \(lines())") {
                    lines().contains { $0.hasPrefix("pids") } || !process.isRunning
                }
                #expect(process.isRunning, "\(limit): \(lines())")
                let waiting = lines().count { $0.hasPrefix("waits") && $0.contains("too many files are open") }
                // One may have been started since.
                #expect(started() + waiting >= 4, "\(limit): \(lines())")
                #expect(!lines().contains { $0.hasPrefix("tool.crashed") }, "\(limit): \(lines())")
                if limit == 100 { #expect(started() == 4) }
                guard limit % 7 == 0 else { continue }
                try SpawnedProcess.run("/usr/bin/prlimit", ["--pid", "\(process.pid)", "--nofile=1024:"])
                try await eventually("all tools to be started: \(lines())") { started() == 4 }
                #expect(!lines().contains { $0.hasPrefix("tool.crashed") }, "\(limit): \(lines())")
            }
        }
    }
#endif
