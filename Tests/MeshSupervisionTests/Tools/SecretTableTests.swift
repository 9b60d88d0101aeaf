import Foundation
import MeshEvents
import ProcessGuard
import TestSupport
import Testing

@testable import MeshSupervision

/// Each kind of secret, in each place where it might get out: none does.
@Suite("Kinds of secrets")
struct SecretTableTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        let key: String
        let value: JSONValue
        /// What must not be seen.
        let secret: String
        var testDescription: String { "\(key): \(value)" }

        init(_ key: String, _ value: JSONValue, _ secret: String) {
            (self.key, self.value, self.secret) = (key, value, secret)
        }
    }

    private static let pem = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """
    private static let jwt =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    private static let random = "q7Wv3nR8sK2xZ9pLm4Tj6Yc1Bd5Fg0Ha"

    /// Kinds that their key betrays.
    static let named: [Kind] = [
        "pass", "password", "PASSWORD", "dbpassword", "dbPassword", "db-password", "db_passwd", "pwd", "passphrase",
        "secret",
        "clientsecret", "client_secret", "token", "tokens", "TOKEN", "accessToken", "refresh-token", "apikey",
        "api_key",
        "openai_key", "OPENAI_API_KEY", "Authorization", "cookie", "session_cookie", "credentials", "creds",
        "private_key",
        "signing_key", "jwt", "nkey", "otp", "pin", "cvv", "dsn", "webhook", "psk", "hmac", "salt",
    ].map { Kind($0, "hunter-two", "hunter-two") }

    /// Numbers that are secrets.
    static let numbers: [Kind] = [
        Kind("pin", 4711, "4711"), Kind("PIN", 4711, "4711"), Kind("password", 123_456, "123456"),
        Kind("otp", 998_877, "998877"), Kind("cvv", 737, "737"),
        Kind("account", 4_111_111_111_111_111, "4111111111111111"),
    ]

    /// Kinds that their value betrays, whatever the key.
    static let valued: [Kind] = [
        Kind("url", "postgres://u:a/b@h", "a/b"), Kind("url", "postgres://u:p@ss@h/db", "p@ss"),
        Kind("url", "https://TOKEN77@host/x", "TOKEN77"), Kind("url", "redis://:pw77@h:6379/0", "pw77"),
        Kind("url", "amqps://u:a,b;c@h", "a,b;c"), Kind("nats", "nats://a:first77@h1,nats://b:second77@h2", "second77"),
        Kind("login", "me:hunter77@host", "hunter77"), Kind("url", "https://h/x?token=abc77&y=1", "abc77"),
        Kind("url", "https://h/x?a=1&access_token=abc77", "abc77"),
        Kind("url", "https://h/x?a=1&sig_secret=abc77", "abc77"),
        Kind("header", "Bearer abc77", "abc77"), Kind("header", "bearer  abc77", "abc77"),
        Kind("header", "Authorization: Bearer abc77", "abc77"), Kind("header", "Basic dTpwNzc=", "dTpwNzc"),
        Kind("text", .string(pem), "MC4CAQAwBQ"), Kind("text", .string(String(pem.prefix(60))), "MC4CAQAwBQ"),
        Kind("text", .string(jwt), "dozjgNryP4J3"), Kind("text", "ghp_abcdefghij1234567890", "abcdefghij"),
        Kind("text", "github_pat_11ABCDEFG0abcdefghij", "11ABCDEFG0"),
        Kind("text", "sk-proj-abcdefghijkl", "abcdefghijkl"),
        Kind("text", "sk_live_abcdefghijkl", "abcdefghijkl"), Kind("text", "xoxb-123456-abcdef", "123456-abcdef"),
        Kind("text", "AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        Kind("text", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG"),
        Kind("text", "glpat-abcdefghijklmnop", "abcdefghij"),
        Kind("text", "AIzaSyA-1234567890abcdefghij", "SyA-1234567890"),
        Kind("text", "hf_abcdefghijklmnopqrstuvwxyz", "abcdefghijklm"), Kind("text", .string(random), random),
        Kind("text", "5f4dcc3b5aa765d61d8327deb882cf99", "5f4dcc3b5aa765d6"),
        Kind("text", "SUAOTHJX5LNK6DSU3WCZXIWUQYVT5TIZ5M7KWZ5B5A4UPL3QY2BN7EMCWU", "SUAOTHJX5LNK"),
        Kind("text", "password=hunter77", "hunter77"), Kind("text", "--api-key hunter77 --fast", "hunter77"),
        Kind("text", "--password=hunter77", "hunter77"), Kind("text", "{\"apiKey\": \"hunter77\"}", "hunter77"),
        Kind("text", "DB_PASSWORD='hunter77 and more'", "hunter77 and more"),
        Kind("text", "PGPASSWORD=hunter77 psql", "hunter77"),
        Kind("text", "card 4111111111111111", "4111111111111111"),
    ]

    static let all = named + numbers + valued

    @Test("in a configuration, at its top", arguments: all)
    func top(kind: Kind) { #expect(!shown([kind.key: kind.value]).contains(kind.secret)) }

    @Test("nested in objects and lists", arguments: all)
    func nested(kind: Kind) {
        let value: JSONValue = .object([kind.key: kind.value])
        #expect(!shown(["a": [["b": value], .array([value])]]).contains(kind.secret))
    }

    @Test("under a key that is published", arguments: valued)
    func published(kind: Kind) {
        let redaction = Redaction(published: [kind.key])
        #expect(!redaction.redact([kind.key: .array([kind.value])]).json.contains(kind.secret))
        #expect(!redaction.redact([kind.key: kind.value]).json.contains(kind.secret))
    }

    @Test("in an object that is published", arguments: named)
    func publishedObject(kind: Kind) {
        #expect(
            !Redaction(published: ["all"]).redact(["all": .object([kind.key: kind.value])]).json.contains(kind.secret)
        )
    }

    @Test("as a key", arguments: valued)
    func key(kind: Kind) throws {
        let text = try #require(kind.value.string)
        #expect(!shown(.init(dictionaryLiteral: (text, 1))).contains(kind.secret))
    }

    @Test("in the middle of a text, as of a crash", arguments: valued)
    func text(kind: Kind) throws {
        let text = try #require(kind.value.string)
        for text in [text, "failed: \(text)", "failed with \(text) at start", "(\(text))", "é \(text)\nmore"] {
            #expect(!Redaction().redact(text).contains(kind.secret), "\(text)")
        }
    }

    @Test("in the output before a crash, and in the lines of a log, which are read one by one", arguments: valued)
    func output(kind: Kind) throws {
        let text = try #require(kind.value.string)
        for text in [text, "failed: \(text)", "before\n\(text)\nafter it", "12:00:01 ERROR (\(text))"] {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            var crash = CrashOutput()
            crash.begin(limit: 20, redaction: Redaction())
            for line in lines { crash.append(line, .stderr) }
            let published = crash.published(Redaction())
            #expect(!published.joined(separator: "\n").contains(kind.secret), "\(published)")
            var redactor = LineRedactor([Redaction()])
            let sent = lines.map { redactor.redact($0) }
            #expect(!sent.joined(separator: "\n").contains(kind.secret) && sent.count == lines.count, "\(sent)")
            if text.hasSuffix("\nafter it") { #expect(published.last == "after it" && sent.last == "after it") }
        }
    }

    @Test("what came from a variable, under harmless keys and listed ones")
    func variables() throws {
        let manifest = try ToolManifest.parse(
            """
            tools:
              - name: a
                version: "1"
                command: [a]
                env: {HF: "${VALUE}", OTHER_TOKEN: spelled-out}
                config: {harmless: "${VALUE}", list: ["x ${VALUE}"], deep: {host: "${HOST:-default}"}, same: plain-words}
                publish: [harmless, list, host, deep.host, same]
            """,
            variables: ["VALUE": "plain-words"]
        )
        let tool = try #require(manifest.tools.first)
        let published = tool.publishedConfiguration.json
        #expect(!published.contains("plain") && !published.contains("default"), "\(published)")
        let redaction = tool.redaction(["UNUSED": "unused-value"])
        #expect(redaction.redact("cannot read plain-words") == "cannot read [redacted]")
        #expect(redaction.redact("cannot read spelled-out, unused-value") == "cannot read [redacted], unused-value")
    }

    @Test("what a supervisor emits holds none, of a real tool")
    func supervisor() async throws {
        let bench = try ToolBench()
        var tool = bench.tool("exit 3", restart: .never)
        tool.configuration = ["endpoint": "https://TOKEN77@host", "plain": "words77", "size": 3]
        tool.inherit = ["PATH"]
        try await bench.supervisor.install(tool)
        tool.command = ["/nowhere/password=hunter77/ghp_abcdefghij1234567890"]
        try await bench.supervisor.update(tool)
        await #expect(throws: ToolError.self) { try await bench.supervisor.start("tool") }
        tool.command = ["sleep", "600"]
        try await bench.supervisor.update(tool)
        try await bench.supervisor.start("tool")
        try await bench.supervisor.stop("tool", reason: "token=hunter77 was withdrawn")
        #expect(
            bench.events == [
                "installed 1.0.0", #"configured {"endpoint":"(string)","plain":"(string)","size":3}"#,
                "installed 1.0.0",
                "crashed command not found: there is no [redacted] 1", "installed 1.0.0", "started",
                "stopped token=[redacted] was withdrawn",
            ]
        )
    }

    @Test("what a supervisor keeps for the list of its tools holds none, also when they change later")
    func list() async throws {
        let bench = try ToolBench()
        let secret = "words-of-mine"
        var tool = bench.tool("exec sleep 600")
        tool.confidential = [secret]
        tool.command = ["/nowhere/\(secret)/ghp_abcdefghij1234567890"]
        try await bench.supervisor.install(tool)
        await #expect(throws: ToolError.self) { try await bench.supervisor.start("tool") }
        // Stopped on request, it is not started by what follows.
        try await bench.supervisor.stop("tool")
        tool.confidential = []
        tool.command = ["sleep", "600"]
        try await bench.supervisor.update(tool)
        let status = try #require(bench.supervisor.tool(named: "tool"))
        #expect(status.state == .failed && status.lastError?.contains(secret) == true)
        let published = try #require(status.publishedError)
        #expect(bench.events.contains("crashed \(published) 1"), "\(bench.events)")
        #expect(!published.contains(secret) && !published.contains("abcdefghij"))
        try await bench.supervisor.start("tool")
        #expect(bench.supervisor.tool(named: "tool")?.publishedError == nil)
        await bench.supervisor.shutdown()
    }

    @Test(
        "in the reason of an unhealthy tool, in what a tool says of itself and in the crash that follows",
        arguments: valued
    )
    func health(kind: Kind) throws {
        let text = try #require(kind.value.string)
        var works = ToolWorks()
        let redaction = Redaction(confidential: ["words-of-mine"])
        let actions: [ToolHealthMachine.Action] = [
            .unhealthy(reason: "it answered 500: \(text) words-of-mine", failures: 1),
            .says("loading \(text) words-of-mine"),
        ]
        var published = ""
        for action in actions {
            let consequence = works.apply(action, of: "t", RestartPolicy(), .nothing, redaction) { { .zero } }
            published += try consequence.event?.eventData().json ?? ""
        }
        published += (works.status.unhealthyReason ?? "") + (works.status.text ?? "")
        #expect(!published.contains(kind.secret) && !published.contains("words-of-mine"), "\(published)")
        #expect(published.contains("it answered 500") && published.contains("loading"))
    }

    private func shown(_ data: EventData) -> String { Redaction().redact(data).json }
}
