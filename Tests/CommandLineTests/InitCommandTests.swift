import Foundation
import LocalNATSServer
import TestSupport
import Testing

/// `mesh-events init` and `serve --check`, as a person runs them.
@Suite(.timeLimit(.minutes(5))) struct InitCommandTests {
    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    private func names(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }

    @Test("what it writes passes `serve --check` and `alert check`, whatever was chosen")
    func everyChoice() async throws {
        let choices: [[String]] = [
            [], ["--alerts"], ["--notify", "slack"], ["--notify", "discord"], ["--notify", "ntfy=https://ntfy.sh/lab"],
            ["--notify", "webhook=http://127.0.0.1:9000/"],
        ]
        let variables = [
            "SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/k",
            "DISCORD_WEBHOOK": "https://discord.com/api/webhooks/1/k",
        ]
        let directory = try TemporaryDirectory()
        for (number, choice) in choices.enumerated() {
            for auth in [[], ["--auth"]] {
                let place = "\(directory.path)/my lab \(number)\(auth.isEmpty ? "" : " auth")"
                let made = try await Command.run(["init", place, "--node", "pi"] + choice + auth)
                #expect(made.code == 0, "\(made.error)")
                let check = try await Command.run(
                    ["serve", "--check", "--config", place + "/mesh.yaml"],
                    environment: variables
                )
                #expect(check.code == 0, "\(check.error)")
                #expect(check.lines.first?.contains("is right: node pi, on a server of its own") == true)
                #expect(check.output.contains("1 tool: clock\n"), "\(check.output)")
                #expect(check.lines.first?.contains("5 users") == !auth.isEmpty, "\(check.output)")
                let rules = choice.isEmpty ? "no alerts" : "2 alerts: tool-crashed, node-unreachable"
                #expect(check.output.contains(rules), "\(check.output)")
                let alerts = try await Command.run(["alert", "check", place + "/mesh.yaml"], environment: variables)
                #expect(alerts.code == 0, "\(alerts.error)")
                #expect(try names(place) == (auth.isEmpty ? [] : ["mesh-auth"]) + ["mesh.yaml"])
                #expect(try mode(place + "/mesh.yaml") == (geteuid() == 0 ? 0o644 : 0o600))
                if !auth.isEmpty {
                    #expect(try mode(place + "/mesh-auth") == 0o700 && mode(place + "/mesh-auth/node.nk") == 0o600)
                }
            }
        }
    }

    @Test("it says what comes next, and what is missing")
    func next() async throws {
        let made = try await Command.run(["init", "lab", "--notify", "slack"])
        #expect(made.code == 0)
        #expect(made.lines.prefix(2) == ["wrote lab/mesh.yaml", "What comes next:"], "\(made.output)")
        #expect(made.lines.count == 5 && made.lines[2].hasPrefix("  export SLACK_WEBHOOK=ADDRESS "), "\(made.output)")
        let bare = try await Command.run(["init"], environment: ["MESH_EVENTS_NATS_SERVER": "/no/such"])
        #expect(bare.code == 0 && bare.error.contains("apt-get install nats-server"), "\(bare.error)")
    }

    @Test("what is there stays as it is, and nothing is left of what failed")
    func never() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        let manifest = try directory.file("mesh.yaml", "node: mine\n")
        for options in [[], ["--auth"]] {
            let refused = try await Command.run(["init", path] + options)
            #expect(refused.code == 64 && refused.error.contains("\(manifest) is there already"), "\(refused.error)")
            #expect(try directory.text(of: "mesh.yaml") == "node: mine\n" && names(path) == ["mesh.yaml"])
        }
        // A link to nothing is there, too.
        let linked = try TemporaryDirectory()
        try FileManager.default.createSymbolicLink(
            atPath: linked.path + "/mesh.yaml",
            withDestinationPath: linked.path + "/elsewhere"
        )
        #expect(try await Command.run(["init", linked.path]).code == 64)
        #expect(try names(linked.path) == ["mesh.yaml"])
        let users = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: users.path + "/mesh-auth", withIntermediateDirectories: false)
        let refused = try await Command.run(["init", users.path, "--auth"])
        #expect(refused.code == 64 && refused.error.contains("mesh-auth is there already"), "\(refused.error)")
        #expect(try names(users.path) == ["mesh-auth"] && names(users.path + "/mesh-auth").isEmpty)
        // A wrong option, a name that no user of a server can have, and a directory in which others may replace files.
        let new = users.path + "/new"
        let long = String(repeating: "n", count: 300)
        for options in [["--notify", "sms=1"], ["--node", "a\u{7}"], ["--node", ""], ["--auth", "--node", long]] {
            let refused = try await Command.run(["init", new] + options)
            #expect(refused.code == 64, "\(options): \(refused.error)")
            expectOneLine(refused)
            #expect(!TemporaryDirectory.exists(new), "\(options)")
        }
        let open = try TemporaryDirectory()
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open.path)
        let unsafe = try await Command.run(["init", open.path, "--auth"])
        #expect(unsafe.code == 64 && unsafe.error.contains("others may write in the directory"), "\(unsafe.error)")
        #expect(try names(open.path).isEmpty)
    }

    @Test("a place where nothing can be written is named, with what to do")
    func places() async throws {
        var places = [("/dev/null", "is a file"), ("/dev/null/lab", "cannot be made"), ("", "must not be empty")]
        #if os(Linux)
            places.append(("/proc", "cannot be written"))
        #endif
        for (place, reason) in places {
            let refused = try await Command.run(["init", place, "--yes"])
            #expect(refused.code == 64 && refused.error.contains(reason), "\(place): \(refused.error)")
            expectOneLine(refused)
        }
    }

    #if os(Linux)
        @Test("in a directory whose name is not UTF-8 nothing is written, here or elsewhere")
        func notUTF8() async throws {
            let directory = try TemporaryDirectory()
            let odd = #"d=$(printf '%s/x\377' "$0"); mkdir -p "$d"; cd "$d"; "#
            let launcher = ["/bin/sh", "-c", odd + #"exec "$@""#, directory.path]
            try directory.file("mesh.yaml", "node: pi\n")
            for command in [["init", "--auth"], ["auth", "init", "users"]] {
                let refused = try await Command(command, launcher: launcher).wait()
                #expect(refused.code == 64 && refused.error.contains("is not UTF-8"), "\(refused.error)")
                let found = try SpawnedProcess.run("/bin/ls", ["-A", directory.path])
                #expect(found.split(separator: "\n").count == 2, "\(found)")
            }
            let copying = ["/bin/sh", "-c", odd + #"cp ../mesh.yaml .; exec "$@""#, directory.path]
            let serve = try await Command(["serve", "--for", "1s"], launcher: copying).wait()
            #expect(serve.code == 64 && serve.error.contains("is not UTF-8"), "\(serve.error)")
        }
    #endif

    @Test("on a terminal it asks three questions, each with an answer for Enter")
    func questions() async throws {
        let directory = try TemporaryDirectory()
        func asked(_ place: String, _ answers: String) async throws -> (text: String, code: Int32) {
            let terminal = try PseudoTerminal(width: 80)
            let command = try Command(["init", directory.path + "/" + place], terminal: terminal, asks: true)
            try await eventually("the first question") { terminal.text().contains("The node's name") }
            terminal.type(answers)
            let code = try await command.wait().code
            return (terminal.text(), code)
        }
        let defaults = try await asked("defaults", "\n\n\n")
        #expect(defaults.code == 0 && defaults.text.contains("wrote "), "\(defaults.text)")
        #expect(try !directory.text(of: "defaults/mesh.yaml").contains("alerts:"))
        let chosen = try await asked("chosen", "garden\ny\nntfy=https://ntfy.sh/lab\n")
        #expect(chosen.code == 0, "\(chosen.text)")
        let text = try directory.text(of: "chosen/mesh.yaml")
        for line in ["node: \"garden\"\n", "auth: mesh-auth\n", "    to: [phone]\n"] {
            #expect(text.contains(line), "\(text)")
        }
        let wrong = try await asked("wrong", "\nperhaps\n")
        #expect(wrong.code == 64 && !TemporaryDirectory.exists(directory.path + "/wrong"), "\(wrong.text)")
        // With options, or without a terminal to answer on, it asks nothing.
        let terminal = try PseudoTerminal(width: 80)
        let quiet = try Command(["init", directory.path + "/quiet", "--yes"], terminal: terminal, asks: true)
        #expect(try await quiet.wait().code == 0)
        #expect(!terminal.text().contains("The node's name"))
    }

    @Test("a node serves by the manifest's users, and by no others", arguments: NATSServers.all)
    func servesItsUsers(binary: NATSServers.Binary) async throws {
        let directory = try TemporaryDirectory()
        let place = directory.path + "/my lab"
        #expect(try await Command.run(["init", place, "--node", "pi", "--auth"]).code == 0)
        let config = ["--config", place + "/mesh.yaml"]
        let environment = ["MESH_EVENTS_NATS_SERVER": binary.path]
        let serve = try Command(["serve", "--port", "0"] + config, environment: environment)
        try await serve.waitForOutput("tool.started")
        let url = try #require(serve.error.firstMatch(of: #/JB_NATS_URL=(tls:\S+)/#)).1
        // The line can be given to a shell as it is.
        let line = try #require(serve.error.firstMatch(of: /in other terminals: (export .+)/)).1
        let shown = try SpawnedProcess.run("/bin/sh", ["-c", "\(line); printf %s \"$MESH_EVENTS_NKEY\""])
        #expect(shown.hasSuffix("/my lab/mesh-auth/admin.nk"), "\(shown)")
        let login = ["--nkey", place + "/mesh-auth/observer.nk", "--tls-ca", place + "/mesh-auth/ca.pem"]
        let status = try await Command.run(["status", "--nats", String(url)] + login)
        #expect(status.code == 0 && status.output.contains("clock"), "\(status.error)")
        let authority = ["--tls-ca", place + "/mesh-auth/ca.pem"]
        let stranger = try await Command.run(["status", "--nats", String(url)] + authority)
        #expect(stranger.code == 69 && stranger.error.contains("refused the login"), "\(stranger.error)")
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
        // A server elsewhere has users of its own.
        let named = try await Command.run(["serve", "--for", "1s"] + config, environment: ["JB_NATS_URL": String(url)])
        #expect(named.code == 64 && named.error.contains("but JB_NATS_URL names another"), "\(named.error)")
        let option = try await Command.run(["serve", "--nats", "nats://127.0.0.1:1"] + config)
        #expect(option.code == 69, "\(option.error)")
        for more in [["--allow-control", "--dashboard"], ["--user", "u", "--password", "p"]] {
            let refused = try await Command.run(["serve"] + more + config)
            #expect(refused.code == 64 && refused.error.contains("`auth` of the manifest"), "\(refused.error)")
        }
    }

    @Test("`serve --check` names mistakes, and starts and changes nothing")
    func check() async throws {
        let directory = try TemporaryDirectory()
        let none = try await Command.run(["serve", "--check"])
        #expect(none.code == 64 && none.error.contains("`mesh-events init`"), "\(none.error)")
        let wrong = try directory.file("wrong.yaml", "tools: [{name: a, command: x, restrat: never}]\n")
        let mistakes = try await Command.run(["serve", "--check", "--config", wrong])
        #expect(mistakes.code == 65 && mistakes.error.contains("did you mean 'restart'?"), "\(mistakes.error)")
        let rule = try directory.file("rule.yaml", "alerts: [{name: a, when: tool.crashed, to: [me]}]\n")
        #expect(try await Command.run(["serve", "--check", "--config", rule]).code == 65)
        let missing = try directory.file("missing.yaml", "auth: nowhere\n")
        let users = try await Command.run(["serve", "--check", "--config", missing])
        #expect(users.code == 64 && users.error.contains("nowhere"), "\(users.error)")
        let remote = try directory.file("remote.yaml", "node: b\nnats: [nats://a:1, nats://b:1]\n")
        let right = try await Command.run(["serve", "--check", "--config", remote])
        #expect(right.code == 0 && right.output.contains("node b, on 2 servers that the manifest names"), "\(right)")
        let option = try await Command.run(["serve", "--check", "--config", remote, "--nats", "nats://c:1"])
        #expect(option.code == 0 && option.output.contains("on the server that --nats names"), "\(option)")
        let both = try await Command.run(["serve", "--check", "--config", remote, "--auth", directory.path])
        #expect(both.code == 64 && both.error.contains("the manifest names another"), "\(both.error)")
        #expect(try names(directory.path) == ["missing.yaml", "remote.yaml", "rule.yaml", "wrong.yaml"])
    }
}
