import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// What goes wrong outside: the exit code is 69, and one sentence says what to do.
@Suite struct ExitCodeTests {
    private static let commands: [[String]] = [
        ["emit", "user.a"], ["emit", "user.a", "--ack"], ["emit", "--from", "-"], ["list"], ["watch"], ["serve"],
        ["status"], ["wait-for", "user.a"],
    ]

    private func expectUnavailable(
        _ arguments: [String],
        environment: [String: String] = [:],
        saying words: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await Command.run(arguments, environment: environment)
        #expect(outcome.code == 69, "\(arguments): \(outcome.error)", sourceLocation: sourceLocation)
        #expect(outcome.output.isEmpty, sourceLocation: sourceLocation)
        expectOneLine(outcome, sourceLocation: sourceLocation)
        for word in words {
            #expect(outcome.error.contains(word), "\(arguments): \(outcome.error)", sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: commands)
    func noServer(command: [String]) async throws {
        try await expectUnavailable(command + ["--nats", "nats://127.0.0.1:1"], saying: "127.0.0.1:1")
    }

    @Test(arguments: NATSServers.all)
    func wrongPassword(binary: NATSServers.Binary) async throws {
        let login = "authorization { user: alice, password: secret }"
        try await withServer(binary, .init(jetStream: true, extraConfiguration: login)) { server in
            for command in Self.commands {
                let wrong = command + ["--nats", server.url, "--user", "alice", "--password", "wrong"]
                try await expectUnavailable(wrong, saying: "login")
            }
            let named = ["emit", "user.a", "--ack", "--nats", server.url, "--user", "alice"]
            let right = try await Command.run(named, environment: ["MESH_EVENTS_PASSWORD": "secret"])
            #expect(right.code == 0, "\(right.error)")
            #expect(!right.error.contains("secret"))
        }
    }

    @Test func tokensOfTheFlagAndOfTheEnvironment() async throws {
        try await withServer(NATSServers.first, .init(extraConfiguration: "authorization { token: t0ken }")) { server in
            let command = ["emit", "user.a", "--nats", server.url]
            try await expectUnavailable(command)
            try await expectUnavailable(command + ["--token", "other"])
            #expect(try await Command.run(command + ["--token", "t0ken"]).code == 0)
            #expect(try await Command.run(command, environment: ["MESH_EVENTS_TOKEN": "t0ken"]).code == 0)
        }
    }

    @Test(arguments: NATSServers.all)
    func certificates(binary: NATSServers.Binary) async throws {
        let files = try await Certificates.make()
        let tls = """
            tls { cert_file: "\(files.server)", key_file: "\(files.serverKey)", ca_file: "\(files.ca)", verify: true }
            """
        try await withServer(binary, .init(extraConfiguration: tls)) { server in
            let client = ["--tls-cert", files.client, "--tls-key", files.clientKey]
            for command in Self.commands {
                let wrong = command + client + ["--nats", server.url, "--tls-ca", files.otherCA]
                try await expectUnavailable(wrong, saying: "certificate")
            }
            let emit = ["emit", "user.a", "--ack", "--nats", server.url]
            let right = try await Command.run(emit + client + ["--tls-ca", files.ca])
            #expect(right.code == 0, "\(right.error)")
            try await expectUnavailable(emit + ["--tls-ca", files.ca])
        }
    }

    @Test(arguments: NATSServers.all)
    func jetStreamDisabled(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(jetStream: false)) { server in
            for command in [["emit", "user.a", "--ack"], ["emit", "--from", "-"], ["list"], ["serve"]] {
                try await expectUnavailable(command + ["--nats", server.url], saying: "JetStream")
            }
            #expect(try await Command.run(["emit", "user.a", "--nats", server.url]).code == 0)
        }
    }

    @Test func noServerProgram() async throws {
        let environment = ["MESH_EVENTS_NATS_SERVER": "/no/such/nats-server"]
        try await expectUnavailable(
            ["serve", "--port", "0"],
            environment: environment,
            saying: "apt-get install nats-server"
        )
    }

    @Test func portTaken() async throws {
        try await withServer { server in
            let environment = ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
            try await expectUnavailable(
                ["serve", "--port", "\(server.port)"],
                environment: environment,
                saying: "\(server.port)",
                "in use"
            )
        }
    }

    @Test func storeNotWritable() async throws {
        // A file where the directory should be: that stops root, too.
        let directory = try TemporaryDirectory()
        let file = try directory.file("store", "")
        let environment = ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path]
        for path in [file, file + "/below"] {
            try await expectUnavailable(
                ["serve", "--port", "0", "--store-dir", path],
                environment: environment,
                saying: file
            )
        }
    }

    @Test(arguments: [
        ["--port", "70000"], ["--port", "-1"], ["--port", "x"], ["--for", "soon"], ["--for", "0s"], ["--for", "15"],
        ["--store-dir", ""], ["--port", "1", "--nats", "nats://127.0.0.1:1"], ["--config", "mesh.yaml"], ["extra"],
        ["--node", ""],
    ])
    func serveUsage(arguments: [String]) async throws {
        let outcome = try await Command.run(["serve"] + arguments)
        #expect(outcome.code == 64, "\(outcome.error)")
        expectOneLine(outcome)
    }

    @Test func nonsense() async throws {
        for arguments in [["emitt"], ["--foo"], ["help", "--foo"]] {
            let outcome = try await Command.run(arguments)
            #expect(outcome.code == 64, "\(outcome.error)")
            expectOneLine(outcome)
        }
    }

    @Test func aMistypedCommandIsNamedAndTheHelpIsThatOfTheCommandThatIsMeant() async throws {
        let mistyped = try await Command.run(["srve", "--port", "0"])
        #expect(mistyped.code == 64 && mistyped.error.contains("there is no command 'srve'"), "\(mistyped.error)")
        #expect(mistyped.error.contains("did you mean 'serve'?"), "\(mistyped.error)")
        expectOneLine(mistyped)
        let logs = try await Command.run(["tool", "logs"])
        #expect(logs.code == 64 && logs.error.contains("`mesh-events tool logs --help`"), "\(logs.error)")
        let help = try await Command.run(["help", "alert", "check"])
        #expect(help.code == 0 && help.output.contains("USAGE: mesh-events alert check"), "\(help.error)")
    }

    @Test func helpOfEveryCommandHasExamplesThatCanBeCopied() async throws {
        for command in [[], ["emit"], ["watch"], ["list"], ["status"], ["wait-for"], ["serve"]] {
            let help = try await Command.run(command + ["--help"])
            #expect(help.code == 0)
            #expect(help.error.isEmpty)
            let examples = help.lines.filter { $0.hasPrefix("  mesh-events ") }
            #expect(examples.count >= 4, "\(command): \(help.output)")
            // None is broken over two lines.
            #expect(examples.allSatisfy { $0.count < 80 })
        }
        for arguments in [["--version"], ["help", "emit"], []] {
            let outcome = try await Command.run(arguments)
            #expect(outcome.code == 0 && !outcome.output.isEmpty && outcome.error.isEmpty)
        }
    }

    @Test func aFullDiskIsTold() async throws {
        try await withServer { server in
            _ = try await Command.run(["emit", "user.a", "--ack", "--nats", server.url])
            let directory = try TemporaryDirectory()
            let mesh = try BuildProducts.executable("mesh-events")
            let script = try directory.script(
                "full",
                "'\(mesh)' list --nats \(server.url) >/dev/full 2>'\(directory.path)/error'"
            )
            guard TemporaryDirectory.exists("/dev/full") else { return }
            let process = try SpawnedProcess(script)
            try await eventually("the command to end") { !process.isRunning }
            #expect(process.code == 70)
            #expect(try directory.text(of: "error").contains("No space left on device"))
        }
    }

    @Test("closed standard output and error: the command ends, and nothing of what it prints gets into a socket")
    func closedOutput() async throws {
        try await withServer { server in
            _ = try await Command.run(["emit", "user.a", "--ack", "--nats", server.url])
            let directory = try TemporaryDirectory()
            let mesh = try BuildProducts.executable("mesh-events")
            let error = "2>'\(directory.path)/error'"
            for (arguments, redirections) in [
                ("list", ">&- \(error)"), ("status", ">&- \(error)"), ("list", ">&- 2>&-"),
                ("list", "<&- >&- \(error)"),
            ] {
                let script = try directory.script(
                    "closed",
                    "exec '\(mesh)' \(arguments) --nats \(server.url) \(redirections)"
                )
                let process = try SpawnedProcess(script)
                try await eventually("`\(arguments) \(redirections)` to end") { !process.isRunning }
                #expect(process.code == 70, "\(arguments) \(redirections)")
                if redirections.contains("error") {
                    #expect(try directory.text(of: "error").contains("Bad file descriptor"))
                }
            }
        }
    }
}
