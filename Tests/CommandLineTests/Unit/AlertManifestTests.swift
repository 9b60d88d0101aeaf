import MeshAlerts
import MeshEvents
import MeshNotifiers
import MeshSupervision
import Testing

@testable import mesh_events

@Suite struct AlertManifestTests {
    private static let example = """
        notify:
          phone: {ntfy: "https://ntfy.example/lab", token: "${NTFY_TOKEN}", priority: high}
          team:  {slack: "${SLACK_WEBHOOK}", window: 1m, limit: 10}
          chat:  {discord: "https://discord.com/api/webhooks/1/x"}
          hook:  {webhook: "https://example.org/hook", secret: "${HOOK_SECRET}", timeout: 5s}
          ops:   {alertmanager: "http://127.0.0.1:9093", expiry: 1d}
          mail:  {command: [apprise, -t, "{title}", -b, "{body}"], environment: {APPRISE_URLS: "${MAIL}"}}
        alerts:
          - {name: tool-down, when: tool.crashed, where: {tool: whisper}, count: 3, within: 10m, resolve: tool.started, to: [phone, team]}
          - {name: node-down, when: node.unreachable, resolve: [node.recovered, node.left], severity: critical, to: phone, repeat: 4h}
          - {name: no-backup, missing: user.backup.done, every: 25h, to: [mail]}
          - name: hot
            when: node.health
            where: {"resources.cpu": "> 0.95", node: "gpu-*", kind: [a, "b,c"], spare: null, n: 5}
            for: 5m
            to: ops
            group: [node]
            quiet: "22:00-07:00"
          - {name: listed, when: [user.a, user.b.*], where: ["x > 1", "!y"], group: []}

        """
    private static let variables = [
        "NTFY_TOKEN": "tk_secret", "SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/secret",
        "HOOK_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0", "MAIL": "mailto://me:secret@example.org",
    ]

    @Test("the example is read as it says")
    func example() throws {
        let manifest = try AlertManifest.parse(Self.example, variables: Self.variables)
        #expect(
            manifest.targets.map { "\($0.name): \($0.notifier)" }.sorted() == [
                "chat: discord at discord.com", "hook: webhook at example.org", "mail: command apprise",
                "ops: alertmanager at 127.0.0.1:9093", "phone: ntfy at ntfy.example", "team: slack at hooks.slack.com",
            ]
        )
        let team = try #require(manifest.targets.first { $0.name == "team" })
        #expect(team.window == .seconds(60) && team.mostPerHour == 10)
        let rules = Dictionary(uniqueKeysWithValues: manifest.rules.map { ($0.name, $0) })
        let down = try #require(rules["tool-down"])
        #expect(down.cause == .events(count: 3, within: .seconds(600)) && down.targets == ["phone", "team"])
        #expect(down.filter.description == "tool = whisper" && down.resolve == [.toolStarted])
        let node = try #require(rules["node-down"])
        #expect(node.severity == .critical && node.repetition == .seconds(4 * 3_600) && node.resolve.count == 2)
        #expect(rules["no-backup"]?.cause == .silence(.seconds(25 * 3_600)))
        let hot = try #require(rules["hot"])
        #expect(hot.cause == .state(for: .seconds(300)) && hot.grouping == .fields(["node"]))
        #expect(hot.quiet == QuietHours(start: 22 * 60, end: 7 * 60))
        let conditions = Set(hot.filter.conditions.map(\.description))
        #expect(conditions == ["resources.cpu > 0.95", "node = gpu-*", "kind in a, \"b,c\"", "!spare", "n = 5"])
        let listed = try #require(rules["listed"])
        #expect(listed.patterns.count == 2 && listed.grouping == .fields([]) && listed.targets.isEmpty)
        #expect(listed.filter.description == "x > 1 and !y")
    }

    @Test(
        "each mistake has its place and says what was expected",
        arguments: [
            ("alerts: 5", "1:9: alerts must be a list"),
            ("alerts: [{when: tool.crashed}]", "1:10: this alert lacks 'name'"),
            (
                "alerts: [{name: a b, when: x}]",
                "1:17: 'a b' is no alert's name: a name has letters, digits, '-' and '_'"
            ),
            ("alerts: [{name: a}]", "1:10: alert a lacks 'when'"),
            ("alerts: [{name: a, when: 'tool..x'}]", "1:26: when: "),
            ("alerts: [{name: a, when: alert.fired}]", "1:26: when: events about alerts make no alert fire"),
            ("alerts: [{name: a, wehn: x}]", "1:20: unknown key 'wehn' in an alert; did you mean 'when'?"),
            ("alerts: [{name: a, when: x, count: 3}]", "1:10: alert a lacks 'within'"),
            ("alerts: [{name: a, when: x, count: 0, within: 1m}]", "1:36: count must be a whole number from 1 to 1000"),
            ("alerts: [{name: a, when: x, for: 5m}]", "1:10: alert a has 'for' but nothing that could end the state"),
            ("alerts: [{name: a, when: x, where: y, for: 5m, count: 2, within: 1m}]", "leave one out"),
            ("alerts: [{name: a, missing: x}]", "1:10: alert a lacks 'every'"),
            ("alerts: [{name: a, missing: x, every: 1h, resolve: y}]", "leave 'resolve' out"),
            ("alerts: [{name: a, when: x, every: 1h}]", "1:36: alert a has 'every', which belongs to 'missing'"),
            ("alerts: [{name: a, when: x, every: soon}]", "1:36: every must be a duration"),
            (
                "alerts: [{name: a, when: x, severity: bad}]",
                "1:39: severity must be info, warning, critical, not 'bad'"
            ),
            ("alerts: [{name: a, when: x, to: phone}]", "1:33: 'phone' is no target of 'notify'; there is no 'notify'"),
            ("alerts: [{name: a, when: x, where: {tool: '> whisper'}}]", "1:43: where: "),
            ("alerts: [{name: a, when: x, where: 'tool whisper'}]", "1:36: where: "),
            ("alerts: [{name: a, when: x, quiet: nights}]", "1:36: quiet must be two times of day"),
            ("alerts: [{name: a, when: x, quiet: {hours: '22:00-07:00', zone: Atlantis}}]", "no time zone here"),
            (
                "alerts: [{name: a, when: x}, {name: a, when: y}]",
                "1:30: a second alert named 'a'; the first is in line 1"
            ),
            ("alerts: [{name: a, when: x, repeat: 5s}]", "1:37: repeat must be from"),
            ("notify: {p: {}}", "1:13: target p says nothing of where it is; give one of ntfy, slack"),
            ("notify: {p: {ntfy: x, slack: y}}", "1:13: target p is several: ntfy and slack"),
            (
                "notify: {p: {ntfy: 'ftp://x/y'}}",
                "target p: the address of ntfy begins with neither https:// nor http://"
            ),
            ("notify: {p: {ntfy: 'https://x/y', secret: z}}", "1:35: unknown key 'secret' in target p"),
            (
                "notify: {p: {ntfy: 'https://x/y', priority: loud}}",
                "1:45: p.priority must be min, low, default, high or max"
            ),
            ("notify: {p: {command: notify-send}}", "1:23: p.command must be a list"),
            ("notify: {p: {slack: '${NOT_SET}'}}", "1:21: p.slack: the environment variable NOT_SET is not set"),
            ("notify: {p: {command: [mail, '${HOOK_SECRET}']}}", "command's environment"),
            ("nottify: {}", "1:1: unknown key 'nottify' in the file; did you mean 'notify'?"),
        ]
    )
    func mistakes(text: String, expected: String) throws {
        let error = #expect(throws: ManifestError.self) { try AlertManifest.parse(text, variables: Self.variables) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix("alerts.yaml:") == true)
    }

    @Test("no secret is in what the file says of itself, nor in its mistakes")
    func secrets() throws {
        let manifest = try AlertManifest.parse(Self.example, variables: Self.variables)
        var text = ""
        dump(manifest, to: &text)
        text += "\(manifest)" + String(reflecting: manifest)
        for target in manifest.targets { text += target.notifier.warnings.joined() }
        let broken = Self.example.replacing("https://", with: "ftp://").replacing("[apprise", with: "[\"${MAIL}\"")
        let variables = Self.variables.mapValues { $0.replacing("https://", with: "ftp://") }
        let error = #expect(throws: ManifestError.self) { try AlertManifest.parse(broken, variables: variables) }
        text += error?.description ?? ""
        for secret in ["tk_secret", "services/T/B", "c2VjcmV0", "me:secret", "webhooks/1"] {
            #expect(!text.contains(secret), "\(secret)")
        }
    }

    @Test("a node's manifest may have both, and each reader takes its own")
    func oneFile() throws {
        let text = "node: pi\ntools: []\n" + Self.example
        #expect(try AlertManifest.parse(text, variables: Self.variables).rules.count == 5)
        #expect(try ToolManifest.parse(text, variables: [:]).node == "pi")
        #expect(try AlertManifest.parse("node: pi").isEmpty)
    }

    @Test("a rule as a sentence")
    func sentences() throws {
        let manifest = try AlertManifest.parse(Self.example, variables: Self.variables)
        let sentences = manifest.rules.map { AlertRuleText.sentence($0) }
        #expect(
            sentences[0]
                == "tool-down (warning): when tool.crashed with tool = whisper comes 3 times within 10m, for each "
                + "tool or node that it is about, to phone, team; over at tool.started"
        )
        #expect(
            sentences[2]
                == "no-backup (warning): when no user.backup.done comes for 1d 1h, one alert, to mail; over at the next one"
        )
    }
}
