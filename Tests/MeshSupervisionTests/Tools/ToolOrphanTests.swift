import Foundation
import Subprocess
import TestSupport
import Testing

/// These run `tool-supervisor-fixture`, a supervisor that can be killed.
@Suite("No tool is left behind")
struct ToolOrphanTests {
    @Test(
        "a supervisor that is killed takes its tools along, and all that they started",
        arguments: [SIGKILL, SIGTERM]
    )
    func killed(_ signal: Int32) async throws {
        let directory = try TemporaryDirectory()
        #if os(Linux)
            let escape = "setsid sleep 600 & echo $! > escaped;"
        #else
            let escape = ""
        #endif
        let manifest = try directory.file(
            "mesh.yaml",
            """
            node: fixture
            tools:
              - name: plain
                version: "1"
                command: [sleep, 600]
              - name: family
                version: "1"
                command: [sh, -c, "trap '' TERM HUP; sleep 600 & echo $! > child; \(escape) echo > ready; wait; sleep 600"]
              - name: watched
                version: "1"
                command: [sh, -c, "dirname $NOTIFY_SOCKET > socket; exec sleep 600"]
                watchdog: 1h
                health: {exec: [sh, -c, "echo $$ > probe; exec sleep 600"], every: 100ms, timeout: 1h}
            """
        )
        let fixture = try BuildProducts.executable("tool-supervisor-fixture")
        let result = try await Subprocess.run(
            // Which becomes the fixture.
            .name("env"),
            arguments: [fixture, manifest],
            input: .none,
            output: .sequence,
            error: .discarded
        ) { execution in
            let supervisor = execution.processIdentifier.value
            defer { kill(supervisor, SIGKILL) }
            var pids: [Int32] = []
            var events: [String] = []
            for try await line in execution.standardOutput.strings() {
                events.append(line)
                guard line.hasPrefix("pids ") else { continue }
                pids = line.split(separator: " ").compactMap { Int32($0) }
                break
            }
            #expect(
                events.dropLast() == [
                    #"tool.installed {"tool":"plain","version":"1"}"#,
                    #"tool.installed {"tool":"family","version":"1"}"#,
                    #"tool.installed {"tool":"watched","version":"1"}"#,
                    #"tool.started {"tool":"plain"}"#, #"tool.started {"tool":"family"}"#,
                    #"tool.started {"ready":false,"tool":"watched"}"#,
                ]
            )
            #expect(pids.count == 3)
            try await eventually("the tool's children, and the probe") {
                ["ready", "probe", "socket"].allSatisfy { (try? directory.text(of: $0))?.hasSuffix("\n") == true }
            }
            let socket = try directory.text(of: "socket").trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(TemporaryDirectory.exists(socket + "/notify"))
            for file in ["child", "escaped", "probe"] {
                guard let text = try? directory.text(of: file) else { continue }
                pids.append(try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))))
            }
            #expect(pids.allSatisfy { TestProcess.exists($0) })
            kill(supervisor, signal)
            for pid in pids { try await ToolProcesses.end(of: pid) }
            try await eventually("the socket's directory to be removed") { !TemporaryDirectory.exists(socket) }
            return pids.count
        }
        #if os(Linux)
            #expect(result.closureResult == 6)
        #endif
    }
}
