// A supervisor for tests to kill: runs the tools of a manifest, says each event on a line, and waits.
// Argument: the path of the manifest.
import Logging
import MeshEvents
import MeshSupervision

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

let manifest = try ToolManifest.load(CommandLine.arguments[1])
let supervisor = ToolSupervisor(
    environment: ToolEnvironment(url: "nats://127.0.0.1:4222", node: manifest.node ?? "fixture"),
    logger: Logger(label: "fixture") { _ in SwiftLogNoOpLogHandler() }
) { payload in
    let data = (try? payload.eventData().json) ?? ""
    print("\(type(of: payload).eventType) \(data)")
    fflush(nil)
}
await supervisor.apply(ToolManifest().difference(to: manifest))
for tool in supervisor.tools where tool.state != .running { print("waits \(tool.name) \(tool.lastError ?? "")") }
print("pids \(supervisor.tools.compactMap(\.pid).map(String.init).joined(separator: " "))")
fflush(nil)
while true { try await Task.sleep(for: .seconds(60)) }
