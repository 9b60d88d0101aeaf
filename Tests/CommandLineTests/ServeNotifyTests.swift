import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// `serve` under a manager of services: what it says by sd_notify.
@Suite(.timeLimit(.minutes(3))) struct ServeNotifyTests {
    /// systemd, as far as a service sees of it: prints each message as Python writes it.
    private func manager(at address: String) async throws -> Python.Script {
        let script = """
            import os, socket
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            address = os.environ["ADDRESS"]
            s.bind("\\0" + address[1:] if address.startswith("@") else address)
            print("bound", flush=True)
            while True: print(repr(s.recv(4096).decode()), flush=True)
            """
        let manager = try Python.start(script, environment: ["ADDRESS": address], "/usr/bin/python3")
        try await manager.waitForOutput("bound")
        return manager
    }

    private func messages(_ manager: Python.Script, _ isIncluded: (Substring) -> Bool) -> [Substring] {
        manager.output.split(separator: "\n").filter(isIncluded)
    }

    #if os(Linux)
        private static let isAbstract = [false, true]
    #else
        private static let isAbstract = [false]
    #endif

    @Test(arguments: isAbstract) func itSaysHowItIsAndHandsTheSocketToNoTool(isAbstract: Bool) async throws {
        try await withServer { server in
            let directory = try TemporaryDirectory()
            let address = isAbstract ? "@mesh-events-\(UUID().uuidString)" : directory.path + "/notify"
            let manager = try await manager(at: address)
            let manifest = """
                node: me
                tools:
                  - name: seer
                    version: "1"
                    command: [sh, -c, "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none} > seen; exec sleep 600"]
                    inherit: [NOTIFY_SOCKET, WATCHDOG_USEC]

                """
            let serve = try Command(
                ["serve", "--config", directory.file("mesh.yaml", manifest), "--nats", server.url],
                environment: ["NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"]
            )
            for text in ["'READY=1'", "'STATUS=me: 1 tool running'", "'WATCHDOG=1'"] {
                try await manager.waitForOutput(text)
            }
            try await eventually("what the tool sees") { (try? directory.text(of: "seen")) == "none none\n" }
            try await serve.waitForOutput("node.joined")

            try directory.file("mesh.yaml", "node: me\ntools: []\n")
            serve.signal(SIGHUP)
            try await manager.waitForOutput("'STATUS=me: no tools'")
            let signs = messages(manager) { $0 == "'WATCHDOG=1'" }.count
            try await eventually("more signs of life") { messages(manager) { $0 == "'WATCHDOG=1'" }.count > signs }
            // One with mistakes is read, too.
            try directory.file("mesh.yaml", "tools: 7\n")
            serve.signal(SIGHUP)
            try await eventually("the end of that") { messages(manager) { $0 == "'READY=1'" }.count == 3 }
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(30))
            #expect(outcome.code == 0, "\(outcome.error)")
            try await manager.waitForOutput("'STOPPING=1'")
            let steps = messages(manager) { !$0.hasPrefix("'WATCHDOG") && !$0.hasPrefix("'STATUS") }.dropFirst()
            let reload = "'RELOADING=1\\nMONOTONIC_USEC="
            #expect(
                steps.map { $0.hasPrefix(reload) ? "reloading" : $0 } == [
                    "'READY=1'", "reloading", "'READY=1'", "reloading", "'READY=1'", "'STOPPING=1'",
                ]
            )
        }
    }

    @Test func aReloadOfANodeWithoutAManifestDoesNotEndIt() async throws {
        try await withServer { server in
            let directory = try TemporaryDirectory()
            let manager = try await manager(at: directory.path + "/notify")
            let serve = try Command(
                ["serve", "--node", "me", "--nats", server.url],
                environment: ["NOTIFY_SOCKET": directory.path + "/notify"]
            )
            try await manager.waitForOutput("'STATUS=me: no tools'")
            serve.signal(SIGHUP)
            try await eventually("the end of the reload") { messages(manager) { $0 == "'READY=1'" }.count == 2 }
            #expect(messages(manager) { $0 == "'STOPPING=1'" }.isEmpty)
            serve.signal(SIGTERM)
            #expect(try await serve.wait(within: .seconds(30)).code == 0)
        }
    }

    @Test func aManagerThatDoesNotHearEndsNothing() async throws {
        try await withServer { server in
            let serve = try Command(
                ["serve", "--node", "me", "--nats", server.url],
                environment: ["NOTIFY_SOCKET": "/no/such/socket"]
            )
            try await serve.waitForError("the manager of services does not hear how this node is: No such file")
            serve.signal(SIGTERM)
            let outcome = try await serve.wait(within: .seconds(30))
            #expect(outcome.code == 0 && outcome.error.components(separatedBy: "does not hear").count == 2)
        }
    }
}
