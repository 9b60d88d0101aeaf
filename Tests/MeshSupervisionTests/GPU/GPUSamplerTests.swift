import Foundation
import Logging
import MeshConcurrency
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// A program that stands in for `nvidia-smi`.
@Suite("GPUs are asked", .timeLimit(.minutes(3)))
struct GPUSamplerTests {
    private static let devices = """
        index, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], temperature.gpu, power.draw [W], name
        0, GPU-a, 5 %, 1 MiB, 24564 MiB, 40, 20.00 W, NVIDIA GeForce RTX 4090
        1, GPU-b, 45 %, 11300 MiB, 24564 MiB, 54, 120.45 W, NVIDIA GeForce RTX 4090
        """

    /// A stand-in that answers with files of the directory, and notes each call.
    private func standIn(_ directory: TemporaryDirectory, before: String = "") throws {
        _ = try directory.script(
            "nvidia-smi",
            """
            echo "$*" >> \(directory.path)/calls
            \(before)
            case "$1" in
            --query-gpu=*) cat \(directory.path)/devices ;;
            --query-compute-apps=*) cat \(directory.path)/apps ;;
            esac
            """
        )
        try directory.file("devices", Self.devices + "\n")
        try directory.file("apps", "gpu_uuid, pid, used_gpu_memory [MiB]\n")
    }

    private func sampler(
        _ directory: TemporaryDirectory,
        _ logged: LoggedLines = LoggedLines(),
        deadline: Duration = .seconds(60)
    ) -> GPUSampler {
        GPUSampler(
            interval: .milliseconds(20),
            deadline: deadline,
            searchPath: "/nowhere:\(directory.path)",
            vendors: [GPUSampler.Vendor.all[0]],
            logger: Logger(label: "gpu") { _ in logged }
        )
    }

    private func calls(_ directory: TemporaryDirectory) -> Int {
        (try? directory.text(of: "calls"))?.split(separator: "\n").count ?? 0
    }

    @Test("the memory of a GPU goes to the tool whose process holds it, also when a child of the tool does")
    func join() async throws {
        let bench = try ToolBench()
        let directory = bench.directory
        try standIn(directory)
        let gpus = sampler(directory)
        let supervisor = ToolSupervisor(
            environment: ToolEnvironment(url: "nats://127.0.0.1:1", node: "bench"),
            logger: quiet,
            gpus: gpus
        ) { _ in }
        try await supervisor.install(bench.tool("sleep 600 & echo $! > child; wait", name: "whisper"))
        try await supervisor.install(bench.tool("exec sleep 600", name: "idle"))
        for name in ["whisper", "idle"] { try await supervisor.start(name) }
        let child = try await bench.pid(inFile: "child")
        try directory.file(
            "apps",
            "gpu_uuid, pid, used_gpu_memory [MiB]\nGPU-b, \(child), 11264 MiB\nGPU-a, 1, 99 MiB\n"
        )
        await gpus.ask(every: .seconds(10))
        #expect(gpus.devices.map(\.index) == [0, 1] && gpus.devices.last?.use == 0.45)
        try await eventually("the tool's share") {
            supervisor.tool(named: "whisper")?.usage?.gpus == [.init(index: 1, memoryMB: 11_264)]
        }
        #expect(supervisor.tool(named: "idle")?.usage?.gpus == [])
        // It is in the node's list.
        let health = NodeHealth(status: "online", resources: nil, listing: supervisor.tools)
        #expect(try health.eventData().json.contains(#""gpus":[{"index":1,"memory_mb":11264}]"#))
        await supervisor.shutdown()
    }

    @Test("a program that is missing costs nothing and is said at most once")
    func missing() async throws {
        let (directory, logged) = (try TemporaryDirectory(), LoggedLines())
        let gpus = sampler(directory, logged)
        for _ in 0..<5 { await gpus.ask(every: .milliseconds(1)) }
        #expect(gpus.devices.isEmpty && logged.lines.count == 1, "\(logged.lines)")
        // It is installed later.
        try standIn(directory)
        await gpus.ask(every: .milliseconds(1))
        #expect(gpus.devices.count == 2)
    }

    @Test("one that hangs is killed with what it started, said once, and asked less often")
    func hanging() async throws {
        let (directory, logged) = (try TemporaryDirectory(), LoggedLines())
        try standIn(
            directory,
            before:
                "[ -e \(directory.path)/well ] || { trap '' TERM; sleep 600 & echo $! > \(directory.path)/child; wait; wait; }"
        )
        let gpus = sampler(directory, logged, deadline: .milliseconds(500))
        await gpus.ask(every: .milliseconds(1))
        #expect(calls(directory) == 1 && gpus.devices.isEmpty)
        let child = try #require(Int32(try directory.text(of: "child").trimmingCharacters(in: .whitespacesAndNewlines)))
        try await ToolProcesses.end(of: child)
        #expect(
            logged.lines.count == 1 && logged.lines[0].contains("does not answer within 0.5 seconds"),
            "\(logged.lines)"
        )
        // An hour's interval: it is not its turn yet.
        for _ in 0..<5 { await gpus.ask(every: .seconds(3_600)) }
        let after = calls(directory)
        #expect(after <= 2 && logged.lines.count == 1, "\(logged.lines)")
    }

    @Test("one that fails leaves no figures, and is said again only after it has answered")
    func failing() async throws {
        let (directory, logged) = (try TemporaryDirectory(), LoggedLines())
        try standIn(
            directory,
            before:
                "[ ! -e \(directory.path)/broken ] || { echo 'Failed to initialize NVML: password=hunter22hunter22'; exit 255; }"
        )
        let gpus = sampler(directory, logged)
        await gpus.ask(every: .zero)
        #expect(gpus.devices.count == 2 && logged.lines.isEmpty)
        try directory.file("broken", "")
        for _ in 0..<3 { await gpus.ask(every: .zero) }
        #expect(gpus.devices.isEmpty && logged.lines.count == 1, "\(logged.lines)")
        #expect(
            logged.lines[0].contains("exits with code 255: Failed to initialize NVML")
                && !logged.lines[0].contains("hunter22")
        )
        try FileManager.default.removeItem(atPath: directory.path + "/broken")
        await gpus.ask(every: .zero)
        #expect(gpus.devices.count == 2 && logged.lines.count == 2 && logged.lines[1].contains("answers again"))
    }

    @Test(
        "the reason of a failure is the last line of standard error, or what was said first and last",
        arguments: [
            (
                "echo '0, GPU-a'; echo 'WARNING: low power' >&2; echo 'ERROR: no driver' >&2; exit 3",
                "3: ERROR: no driver"
            ),
            (
                "echo 'Failed to initialize NVML'; echo; echo 'NVML version: 5'; exit 4",
                "4: Failed to initialize NVML … NVML version: 5"
            ),
            ("yes noise | head -n 30000; echo 'no device'; exit 5", "5: noise … no device"),
        ]
    )
    func reason(_ script: String, _ reason: String) async throws {
        let (directory, logged) = (try TemporaryDirectory(), LoggedLines())
        try standIn(directory, before: script)
        await sampler(directory, logged).ask(every: .zero)
        #expect(logged.lines.count == 1 && logged.lines[0].contains("exits with code \(reason)"), "\(logged.lines)")
    }

    @Test("what a program that fails had written counts, but for its last line")
    func partial() async throws {
        let directory = try TemporaryDirectory()
        try standIn(
            directory,
            before:
                "[ \"$1\" = --query-compute-apps=gpu_uuid,pid,used_memory ] || { head -n 3 \(directory.path)/devices; exit 3; }"
        )
        let gpus = sampler(directory)
        await gpus.ask(every: .zero)
        #expect(gpus.devices.map(\.index) == [0])
    }

    @Test("an endless answer takes bounded memory and gives nothing")
    func endless() async throws {
        let (directory, logged) = (try TemporaryDirectory(), LoggedLines())
        try standIn(directory, before: "exec yes 0123456789012345678901234567890123456789")
        let gpus = sampler(directory, logged, deadline: .seconds(1))
        await gpus.ask(every: .milliseconds(1))
        #expect(gpus.devices.isEmpty && logged.lines.count == 1)
    }

    @Test("it asks until its task is cancelled, and nothing is left of it")
    func cancelled() async throws {
        let directory = try TemporaryDirectory()
        try standIn(directory, before: "echo $$ > \(directory.path)/pid; [ -e \(directory.path)/well ] || sleep 600")
        let gpus = sampler(directory)
        let task = Task { await gpus.run() }
        try await eventually("a question") { (try? directory.text(of: "pid"))?.hasSuffix("\n") == true }
        task.cancel()
        await task.value
        let pid = try #require(Int32(try directory.text(of: "pid").trimmingCharacters(in: .whitespacesAndNewlines)))
        try await ToolProcesses.end(of: pid)
        try directory.file("well", "")
        let again = Task { await gpus.run() }
        try await eventually("answers") { gpus.devices.count == 2 && calls(directory) > 4 }
        again.cancel()
        await again.value
    }

    @Test("a node publishes its GPUs with its health, and asks for them while it runs")
    func node() async throws {
        let directory = try TemporaryDirectory()
        try standIn(directory)
        let mesh = try await MemoryMesh()
        let node = mesh.node(.init(jitter: 0, gpus: sampler(directory)))
        let running = Task { try await node.run() }
        var gpus: JSONValue?
        try await eventually("a health event with GPUs") {
            node.emitHealth()
            gpus = try await mesh.events().last { $0.type == .nodeHealth }?.data["resources"]?["gpus"]?.value
            return gpus != nil
        }
        #expect(gpus?.array?.count == 2 && gpus?.array?.last?["mem_used_mb"] == 11_300)
        node.leave(reason: "shutdown")
        try await running.value
    }
}
