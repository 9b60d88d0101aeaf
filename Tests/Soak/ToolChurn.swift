import Foundation
import MeshEvents
import MeshLifecycle
import Synchronization
import TestSupport

/// Installs, starts, stops, kills, updates and removes tools, over and over.
final class ToolChurn: Sendable {
    private let supervisor: ToolSupervisor
    private let done = Mutex<[String: Int]>([:])
    private let names = (0..<5).map { "tool-\($0)" }
    private let sdkTool: String

    init(_ supervisor: ToolSupervisor) throws {
        self.supervisor = supervisor
        sdkTool = try BuildProducts.executable("mesh-tool-fixture")
    }

    /// How many things were done, by their name.
    var counts: [String: Int] { done.withLock { $0 } }

    /// Goes on until the task is cancelled.
    func run() async throws {
        for name in names { try await installAndStart(name) }
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            let name = names[Int.random(in: 0..<names.count, using: &generator)]
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: try await doing("restart") { () throws(ToolError) in try await supervisor.restart(name) }
            case 1:
                try await doing("stop and start") { () throws(ToolError) in
                    try await supervisor.stop(name)
                    try await supervisor.start(name)
                }
            case 2:
                guard let pid = supervisor.tool(named: name)?.pid else { break }
                try await doing("kill -9") { () throws(ToolError) in kill(pid, SIGKILL) }
            case 3:
                try await doing("remove and install") { () throws(ToolError) in
                    try await supervisor.remove(name)
                    try await installAndStart(name)
                }
            case 4:
                try await doing("configure") { () throws(ToolError) in
                    try await supervisor.configure(name, ["lastWords": 1, "round": .init(counts.count)])
                }
            default:
                try await doing("update") { () throws(ToolError) in
                    try await supervisor.update(specification(name, version: "2.\(counts["update"] ?? 0)"))
                }
            }
            try? await Task.sleep(for: .milliseconds(400))
        }
    }

    private func doing(_ what: String, _ body: () async throws(ToolError) -> Void) async throws(ToolError) {
        try await body()
        done.withLock { $0[what, default: 0] += 1 }
    }

    private func installAndStart(_ name: String) async throws(ToolError) {
        try await supervisor.install(specification(name, version: "1.0.0"))
        try await supervisor.start(name)
    }

    /// The first uses the SDK and the mesh; the last crashes by itself all the time; the others just run, and talk.
    private func specification(_ name: String, version: String) -> ToolSpecification {
        let command =
            switch name {
            case names[0]: [sdkTool]
            case names[4]: ["sh", "-c", "sleep 1; echo tired >&2; exit 3"]
            default: ["sh", "-c", "while :; do echo still here; sleep 0.2; done"]
            }
        return ToolSpecification(
            name: name,
            version: version,
            command: command,
            configuration: ["lastWords": 1],
            restart: RestartPolicy(
                mode: .always,
                initialDelay: .milliseconds(100),
                maximumDelay: .seconds(1),
                maximumRestarts: 1_000_000
            ),
            gracePeriod: .seconds(2)
        )
    }
}
