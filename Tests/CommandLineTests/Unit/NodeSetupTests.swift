import MeshAlerts
import MeshNotifiers
import MeshSupervision
import TestSupport
import Testing

@testable import mesh_events

/// What `init` writes, before it is written.
@Suite struct NodeSetupTests {
    private static let targets: [String?] = [
        nil, "ntfy", "slack", "discord", "webhook", "ntfy=https://ntfy.sh/lab", "webhook=http://127.0.0.1:9000/hook",
        "webhook=https://example.org/${HOOK_KEY}", "slack=${MY_SLACK}",
    ]
    private static let variables = [
        "NTFY_URL": "https://ntfy.sh/secret-1", "SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/secret-2",
        "DISCORD_WEBHOOK": "https://discord.com/api/webhooks/1/secret-3", "WEBHOOK_URL": "https://example.org/secret-4",
        "HOOK_KEY": "secret-5", "MY_SLACK": "https://hooks.slack.com/services/T/B/secret-6",
    ]

    @Test("whatever is chosen, the file is right, says what was chosen, and explains all that is in it")
    func combinations() throws {
        for node in [nil, "pi", "a b", "näme", #"a"b\c: #d"#, "null", "12"] {
            for restrictsAccess in [false, true] {
                for target in Self.targets {
                    for watches in target == nil ? [false, true] : [true] {
                        try check(
                            NodeSetup(
                                node: node,
                                restrictsAccess: restrictsAccess,
                                watches: watches,
                                target: try target.map { try SetupTarget($0) }
                            )
                        )
                    }
                }
            }
        }
    }

    private func check(_ setup: NodeSetup) throws {
        let text = try setup.manifest()
        let manifest = try ToolManifest.parse(text, file: "/lab/mesh.yaml", variables: Self.variables)
        #expect(manifest.node == setup.node)
        #expect(manifest.authDirectory == (setup.restrictsAccess ? "/lab/mesh-auth" : nil))
        #expect(manifest.tools.map(\.name) == ["clock"] && manifest.servers.isEmpty)
        let alerts = try AlertManifest.parse(text, variables: Self.variables)
        #expect(alerts.rules.map(\.name) == (setup.watches ? ["tool-crashed", "node-unreachable"] : []))
        let names = setup.target.map { [$0.kind.name] } ?? []
        #expect(alerts.targets.map(\.name) == names && alerts.rules.allSatisfy { $0.targets == names })
        #expect(alerts.targets.map(\.notifier.kind) == (setup.target.map { [$0.kind.rawValue] } ?? []))
        #expect(!text.contains("secret-"), "a secret is in the file")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            #expect(line.count <= 120 && line.last != " ", "\(line)")
            // Each section, tool and rule stands below its explanation.
            let begins = line.first.map { $0.isLetter } ?? false || line.hasPrefix("  - ")
            if begins, index > 0 {
                #expect(lines[index - 1].trimmingPrefix(while: { $0 == " " }).hasPrefix("#"), "\(line)")
            }
        }
    }

    @Test("what cannot be in a manifest is refused before anything is written")
    func refused() throws {
        for name in ["a\u{7}b", String(repeating: "n", count: 600), "a\u{85}b", "a\u{2028}b"] {
            let failure = try #require(throws: CommandFailure.self) { try NodeSetup(node: name).manifest() }
            #expect(failure.code == .usage && !failure.message.contains("\u{7}"), "\(failure.message)")
        }
        for target in ["ntfy=ftp://ntfy.sh/lab", "ntfy=https://ntfy.sh", "webhook=example.org", "webhook=http://a b/"] {
            let setup = NodeSetup(watches: true, target: try SetupTarget(target))
            let failure = try #require(throws: CommandFailure.self) { try setup.manifest() }
            #expect(failure.code == .usage && failure.message.contains("the address of"), "\(failure.message)")
        }
    }

    @Test(
        "secrets of an address do not come into the file, nor into the error",
        arguments: [
            "slack=https://hooks.slack.com/services/T/B/geheim", "discord=https://discord.com/api/webhooks/1/geheim",
            "webhook=https://me:geheim@example.org/", "webhook=https://geheim@example.org/${KEY}",
            "ntfy=https://ntfy.sh/lab?auth=geheim",
        ]
    )
    func secrets(target: String) throws {
        let failure = try #require(throws: CommandFailure.self) { try SetupTarget(target) }
        #expect(failure.code == .usage && !failure.message.contains("geheim"), "\(failure.message)")
        #expect(failure.message.contains("set the variable"), "\(failure.message)")
    }

    @Test("a target is a kind, with an address or its variable")
    func targets() throws {
        #expect(try SetupTarget("slack").address == "${SLACK_WEBHOOK}")
        #expect(try SetupTarget("webhook=https://me:${PW}@h/?k=${KEY}").variables == ["PW", "KEY"])
        #expect(try SetupTarget("ntfy=https://ntfy.sh/a=b").address == "https://ntfy.sh/a=b")
        for wrong in ["", "=", "sms=1", "ntfy=", "https://ntfy.sh/lab", "Slack"] {
            let failure = try #require(throws: CommandFailure.self) { try SetupTarget(wrong) }
            #expect(failure.code == .usage)
        }
    }

    @Test("the next commands are two or three, and fit a shell")
    func next() throws {
        let files = try SetupFiles("my lab")
        for target in Self.targets {
            for restrictsAccess in [false, true] {
                let target = try target.map { try SetupTarget($0) }
                let setup = NodeSetup(restrictsAccess: restrictsAccess, watches: true, target: target)
                for environment in [[:], Self.variables] {
                    let lines = NextSteps(setup, files).lines(environment)
                    #expect((2...3).contains(lines.count), "\(lines)")
                    #expect(lines.contains { $0.hasPrefix("mesh-events serve --config 'my lab/mesh.yaml' ") })
                    let isMissing = environment.isEmpty && target?.variables.isEmpty == false
                    #expect(lines.contains { $0.hasPrefix("export ") } == isMissing)
                }
            }
        }
        let here = NextSteps(NodeSetup(), try SetupFiles(".")).lines([:])
        try #require(here.count == 2)
        #expect(here[0].hasPrefix("mesh-events serve --dashboard  ") && here[1].hasPrefix("mesh-events status  "))
        let dashed = try SetupFiles("-x/")
        #expect(dashed.manifest == "./-x/mesh.yaml" && dashed.auth == "./-x/mesh-auth")
        #expect(try SetupFiles("/").manifest == "/mesh.yaml")
    }

    @Test(
        "a word for a shell",
        arguments: [
            ("a/b.yaml", "a/b.yaml"), ("", "''"), ("a b", "'a b'"), ("it's", #"'it'\''s'"#), ("~/x", "'~/x'"),
            ("$(id)", "'$(id)'"), ("ä", "'ä'"),
        ]
    )
    func words(word: String, quoted: String) throws {
        #expect(ShellWord.quoted(word) == quoted)
        #expect(try SpawnedProcess.run("/bin/sh", ["-c", "printf %s \(quoted)"]) == word)
    }
}
